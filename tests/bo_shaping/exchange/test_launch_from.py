"""A study begins with trials of others: plain Ax, its database, tables, Optuna, older studies."""

import json
import logging
import re
import shlex
import shutil
from pathlib import Path

import pytest

from bo_shaping import Study, StudyConfig
from bo_shaping.errors import ExperimentFileError
from tests.bo_shaping import closed_form

WEIGHTS = [(1.0, 0.0), (0.0, 1.0), (0.5, 0.25), (0.25, 0.5), (0.2, 0.3), (0.6, 0.2)]
"""Of shap and lime; sparse gets the rest."""
LAMBDAS = [0.9, 0.8, 0.7, 0.95, 0.6, 0.85]


def arm(k):
    shap, lime = WEIGHTS[k]
    return {"shap": shap, "lime": lime, "sparse": 1 - shap - lime}, LAMBDAS[k]


def reward(k):
    return closed_form.reward(*arm(k))


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """A folder with what people have: six trials, of which the last failed, and one more that is not on the simplex."""
    folder = tmp_path_factory.mktemp("others")
    _plain_ax(folder)
    _ax_client(folder)
    _optuna(folder)
    rows = [{"w_shap": WEIGHTS[k][0], "w_lime": WEIGHTS[k][1], "gae_lambda": LAMBDAS[k]} for k in range(6)]
    lines = [",".join([*map(str, row.values()), str(reward(k)), "0.2"]) for k, row in enumerate(rows[:5])]
    header = "w_shap,w_lime,gae_lambda,reward,reward_sem"
    (folder / "trials.csv").write_bytes(("\ufeff" + "\r\n".join([header, *lines, "0.6,0.2,0.85,,"])).encode())
    table = [{**row, "score": reward(k)} for k, row in enumerate(rows)]
    (folder / "trials.json").write_text(json.dumps(table))
    return folder


def _plain_ax(folder):
    from ax.api.client import Client
    from ax.api.configs import RangeParameterConfig
    from ax.storage.sqa_store.db import create_all_tables, session_context
    from ax.storage.sqa_store.save import save_experiment
    from sqlalchemy import create_engine

    logging.disable(logging.CRITICAL)
    client = Client()
    names = ("w_shap", "w_lime", "w_sparse")
    ranges = [RangeParameterConfig(name=name, parameter_type="float", bounds=(0, 1)) for name in names]
    ranges.append(RangeParameterConfig(name="gae_lambda", parameter_type="float", bounds=(0.5, 1)))
    client.configure_experiment(parameters=ranges, name="plain")
    client.configure_optimization("reward")
    for k in range(6):
        weights, gae_lambda = arm(k)
        parameters = {f"w_{name}": weight for name, weight in weights.items()} | {"gae_lambda": gae_lambda}
        index = client.attach_trial(parameters)
        if k < 5:
            client.complete_trial(index, raw_data={"reward": (reward(k), 0.2)})
        else:
            client.mark_trial_failed(index, failed_reason="out of memory")
    index = client.attach_trial({"w_shap": 0.9, "w_lime": 0.9, "w_sparse": 0.9, "gae_lambda": 0.9})
    client.complete_trial(index, raw_data={"reward": 1.0})
    client.save_to_json_file(str(folder / "plain.json"))
    url = f"sqlite:///{folder / 'runs.db'}"
    create_all_tables(create_engine(url))
    with session_context(url=url):
        save_experiment(client._experiment)
    logging.disable(logging.NOTSET)


def _ax_client(folder):
    from ax.service.ax_client import AxClient, ObjectiveProperties

    client = AxClient(verbose_logging=False)
    ranges = [{"name": name, "type": "range", "bounds": [0.0, 1.0]} for name in ("shap", "lime", "lam")]
    client.create_experiment(name="old", parameters=ranges, objectives={"loss": ObjectiveProperties(minimize=True)})
    for k in range(5):
        shap, lime = WEIGHTS[k]
        _, index = client.attach_trial({"shap": shap, "lime": lime, "lam": LAMBDAS[k]})
        client.complete_trial(index, raw_data={"loss": -reward(k)})
    client.save_to_json_file(str(folder / "axclient.json"))


def _optuna(folder):
    optuna = pytest.importorskip("optuna", reason="needs the extra optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{folder / 'optuna.db'}", study_name="tuned", direction="maximize")
    spread = optuna.distributions.FloatDistribution(0.0, 1.0)
    for k in range(5):
        shap, lime = WEIGHTS[k]
        values = {"shap": shap, "lime": lime, "gae_lambda": LAMBDAS[k]}
        study.add_trial(
            optuna.trial.create_trial(params=values, distributions=dict.fromkeys(values, spread), value=reward(k))
        )


SOURCES = {
    "an experiment that Ax's Client has saved": ["plain.json"],
    "an experiment of AxClient": ["axclient.json", "--map", "lam=gae_lambda", "--metric=-loss=reward"],
    "an experiment in a database of Ax": ["sqlite:///runs.db#plain"],
    "a CSV file": ["trials.csv"],
    "a JSON table": ["trials.json", "--metric", "score=reward"],
    "an Optuna study": ["optuna+sqlite:///optuna.db#tuned"],
}


@pytest.fixture
def here(others, tmp_path, monkeypatch):
    """A copy of that folder, which is the current one, with a configuration."""
    for file in others.iterdir():
        shutil.copy(file, tmp_path / file.name)
    monkeypatch.chdir(tmp_path)
    settings = {
        "name": "new",
        "executor": "inline",
        "inner_loop": "tests.bo_shaping.closed_form:run_trial",
        "ppo": {"steps": 2},
        "search_space": {"components": "papers"},
        "objective": {"max_kl": None},
        "budget": {"trials": 2},
    }
    Path("study.yaml").write_text(json.dumps(settings))
    return tmp_path


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


PAGE = Path(__file__).parents[3] / "docs" / "going-on.md"
COMMANDS = re.findall(r"^\| (.+?) \| `bo-shaping (.+?)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_has_a_row_for_everything():
    assert len(COMMANDS) == 11


@pytest.mark.parametrize(("_what", "command"), COMMANDS, ids=[what for what, _ in COMMANDS])
def test_what_the_page_says_to_type_works(here, make_config, bo_shaping, _what, command):
    for seed, name in enumerate(("first", "second")):
        settings = {"objective": {"max_kl": None}, "budget": {"trials": 4}, "executor": "inline"}
        Study.launch(make_config(name=name, seed=seed, **settings)).run()
    shutil.copy(Study.load("first").folder.snapshot_file, "ax_experiment.json")
    wider = json.loads(Path("study.yaml").read_text())
    wider["search_space"] = {"components": ["shap", "lime", "owen", "sparse"]}
    Path("wider.yaml").write_text(json.dumps(wider))
    words = shlex.split(command)
    if words[0] == "resume":
        words += ["--set", f"inner_loop={Study.load('first').config.inner_loop}"]
    code, _, error = bo_shaping(*words)
    assert (code, error) == (0, "")


@pytest.mark.parametrize("words", SOURCES.values(), ids=SOURCES)
def test_every_source_gives_the_same_study_which_goes_on(here, bo_shaping, words):
    before = contents(here)
    code, out, error = bo_shaping("launch", "study.yaml", "--from", *words)
    assert (code, error) == (0, "")
    study = Study.load("new")
    records = study.folder.records()
    taken = [record for record in records if record.origin == "attached"]
    n_expected = 6 if words[0] == "trials.json" else 5
    assert [record.mean for record in taken[:5]] == pytest.approx([reward(k) for k in range(5)])
    for k, record in enumerate(taken[:5]):
        assert record.weights == pytest.approx(arm(k)[0])
        assert record.parameters == {"gae_lambda": LAMBDAS[k]}
    # On top of them the budget: the sparse reward, which none of them was, and what the study itself asked for.
    assert (len(taken), len(records)) == (n_expected, n_expected + 2)
    assert (records[n_expected].weights["sparse"], records[n_expected].status) == (1.0, "completed")
    assert f"Took {n_expected} of" in out
    assert contents(here) == before


def test_what_is_left_out_is_listed_with_the_reason(here, bo_shaping):
    out = bo_shaping("launch", "study.yaml", "--from", "plain.json", "--no-run")[1]
    assert "Took 5 of 7 trials from plain.json." in out
    assert "Their standard errors are shown and not used" in out
    assert "left out trial 5: it is failed" in out
    assert "left out trial 6: its weights sum to 2.7, not to 1" in out
    out = bo_shaping("launch", "study.yaml", "--name", "other", "--from", "trials.csv", "--no-run")[1]
    assert "left out trial 5: it has no reward" in out


def test_standard_errors_are_used_where_the_study_has_replicates(here):
    config = StudyConfig.from_yaml("study.yaml", ["noise.replicates=2"])
    study = Study.launch(config, sources=["plain.json"])
    assert [len(record.seeds) for record in study.folder.records()] == [2] * 6
    assert study.folder.journal.entries()[0].data[0].sem == 0.2
    seeds = [seed for record in study.folder.records()[:5] for seed in record.seeds]
    assert len(set(seeds)) == 10


def test_two_sources_join(here):
    study = Study.launch(
        StudyConfig.from_yaml("study.yaml"), sources=["trials.csv", "optuna+sqlite:///optuna.db#tuned"]
    )
    assert [each.n_taken for each in study.taken] == [5, 5]
    assert len(study.folder.records()) == 11
    assert study.config.budget.trials == 12


def test_an_old_study_is_a_source_for_a_new_question(here, bo_shaping, make_config):
    old = Study.launch(make_config(name="old", objective={"max_kl": None}, budget={"trials": 6}))
    old.run()
    wider = {
        "components": ["shap", "lime", "uniform", "sparse"],
        "parameters": {"gae_lambda": {"bounds": [0.6, 1.0]}, "kl_coef": {"bounds": [0.01, 1.0], "log": True}},
    }
    Path("study.yaml").write_text(json.dumps({**json.loads(Path("study.yaml").read_text()), "search_space": wider}))
    code, out, _ = bo_shaping("launch", "study.yaml", "--from", "old", "--no-run")
    assert code == 0
    new, before = Study.load("new"), old.folder.records()
    inside = [record for record in before if record.parameters["gae_lambda"] >= 0.6]
    assert f"Took {len(inside)} of {len(before)} trials from study old." in out
    for ours, theirs in zip(new.folder.records(), inside, strict=False):
        assert ours.weights == theirs.weights | {"uniform": 0.0}
        assert ours.parameters == theirs.parameters | {"kl_coef": old.config.ppo.kl_coef}
        assert (ours.mean, ours.seeds) == (theirs.mean, theirs.seeds)
    # The same from its snapshot alone.
    again = Study.launch(StudyConfig.from_yaml("study.yaml", ["name=again"]), sources=[str(old.folder.snapshot_file)])
    assert again.folder.records() == new.folder.records()


def test_a_study_learns_from_an_old_one_whose_trainings_are_others(here, make_config, bo_shaping):
    old = Study.launch(make_config(name="old", budget={"trials": 12}))
    old.run()
    words = ["study.yaml", "--set", "ppo.steps=7", "--set", "objective.max_kl=8.0", "--trials", "5"]
    code, out, error = bo_shaping("launch", *words, "--from", "old")
    assert (code, error) == (0, "")
    assert "Learns from 12 of 12 trials from study old as from another task: ppo.steps is 2 there and 7 here." in out
    new = Study.load("new")
    # None of them is a trial of the new study, whose budget is its own.
    assert [record.origin for record in new.folder.records()] == ["design"] * 3 + ["model", "replicate"]
    assert [trial.outcomes["reward"] for trial in new.config.related[0].trials] == [
        record.mean for record in old.folder.records()
    ]
    assert all(trial.seeds == (0,) for trial in new.config.related[0].trials)
    out = bo_shaping("best", "new")[1]
    assert "Learned from 12 trials of study old: its surface and this one correlate by 0." in out
    assert "With them a trial is predicted from the others within" in out
    assert Study.load("old").best().borrowed is None
    # It is the same surface, and the best arm of the old study one of the first.
    borrowed = new.best().borrowed
    assert borrowed.older[0].correlation > 0.6
    assert borrowed.error < borrowed.error_without
    code, page, error = bo_shaping("report", "new", "--output", here)
    assert (code, error) == (0, "")
    assert "its surface and this one correlate by" in Path(page.strip()).read_text(encoding="utf-8")


def test_what_a_study_has_learned_from_travels_with_its_snapshot(here, make_config):
    Study.launch(make_config(name="old", budget={"trials": 8})).run()
    new = Study.launch(StudyConfig.from_yaml("study.yaml", ["ppo.steps=7", "budget.trials=4"]), sources=["old"])
    new.run()
    shutil.copy(new.folder.snapshot_file, "alone.json")
    twin = Study.from_ax("alone.json", name="twin", settings=[f"inner_loop={new.config.inner_loop}"])
    assert twin.config.related == new.config.related
    assert twin.ask()[1] == new.ask()[1]
    rebuilt = Study.rebuild(new.path)
    assert rebuilt.best() == new.best()


def test_trials_of_the_same_task_join_beside_another_one(here, make_config):
    Study.launch(make_config(name="old", budget={"trials": 4})).run()
    config = StudyConfig.from_yaml("study.yaml", ["ppo.steps=7"])
    new = Study.launch(config, sources=["old", "trials.csv"])
    assert [(each.n_taken, bool(each.differs)) for each in new.taken] == [(4, True), (5, False)]
    assert [record.origin for record in new.folder.records()] == ["attached"] * 5 + ["design"]
    assert new.config.budget.trials == config.budget.trials + 5
    new.run()
    assert len(new.folder.records()) == config.budget.trials + 5


def test_two_studies_of_the_same_other_task_make_one_surface(here, make_config):
    for seed, name in enumerate(("first", "second")):
        Study.launch(make_config(name=name, seed=seed, budget={"trials": 4})).run()
    other = make_config(name="third", ppo={"steps": 3}, budget={"trials": 4})
    Study.launch(other).run()
    config = StudyConfig.from_yaml("study.yaml", ["ppo.steps=7"])
    new = Study.launch(config, sources=["first", "third", "second"])
    assert [(task.source, len(task.trials)) for task in new.config.related] == [
        ("study first and study second", 8),
        ("study third", 4),
    ]


def test_too_few_trials_of_another_task_teach_nothing(here, make_config, studies):
    Study.launch(make_config(name="old", budget={"trials": 2})).run()
    with pytest.raises(ExperimentFileError, match=r"another task: ppo\.steps .* It takes 3 trials to learn from\."):
        Study.launch(StudyConfig.from_yaml("study.yaml", ["ppo.steps=7"]), sources=["old"])
    assert not (studies / "new").exists()


def test_a_study_that_plain_ax_went_on_with_is_taken_with_what_that_added(here, make_config, bo_shaping):
    from ax.api.client import Client

    old = Study.launch(make_config(name="old", budget={"trials": 4}))
    old.run()
    client = Client.load_from_json_file(str(old.folder.snapshot_file))
    index = client.attach_trial({"w_shap": 0.25, "w_lime": 0.25, "w_sparse": 0.5, "gae_lambda": 0.75})
    client.complete_trial(index, raw_data={"reward": 1.5, "kl": 3.0})
    client.save_to_json_file("went_on.json")
    code, _, error = bo_shaping("resume", "went_on.json", "--name", "x", "--set", f"inner_loop={old.config.inner_loop}")
    assert (code, "trials that plain Ax has added" in error) == (2, True)
    new = Study.launch(StudyConfig.from_yaml("study.yaml"), sources=["went_on.json"])
    assert [record.mean for record in new.folder.records()][-1] == 1.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["axclient.json"], r"has no gae_lambda: the study searches w_shap, .* there are shap, lime, lam; .*--map"),
        (["axclient.json", "--map", "lam=gae_lambda"], r"wants less of 'loss'.*--metric=-loss=reward"),
        (["axclient.json", "--map", "lam"], "--map looks like THEIRS=OURS"),
        (
            ["axclient.json", "--map", "x=gae_lambda"],
            r"the source has no 'x', did you mean .*\? There are shap, lime, lam",
        ),
        (["axclient.json", "--map", "lam=colour"], "the study has no 'colour'"),
        (["trials.json"], "has no metric 'reward'; there are score, other: .*--metric score=reward"),
        (["nowhere.json"], "There is no file nowhere.json, and no such study. "),
        (["sqlite:///runs.db"], "Say which experiment of the database is meant: sqlite:///runs.db#NAME"),
        (
            ["sqlite:///runs.db#old"],
            r"no experiment 'old' in sqlite:///runs.db, did you mean 'plain'\? There are plain",
        ),
        (["sqlite:///nowhere.db#plain"], "There is no database file nowhere.db."),
        (["sqlite:///optuna.db#tuned"], "is no database of Ax"),
        (["optuna+sqlite:///optuna.db#other"], "no experiment 'other' in sqlite:///optuna.db, did you mean"),
        (["optuna+sqlite:///nowhere.db#x"], "There is no database file nowhere.db."),
        (["broken.json"], "no whole JSON file"),
        (["empty.csv"], "has no trials"),
        (["strange.json"], "holds no trials"),
        (["spoilt.json"], "is a damaged Ax experiment"),
        (["latin.csv"], "is not UTF-8 text"),
        (["ragged.csv"], "line 2, has more cells than the header"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence_and_leaves_nothing(here, studies, bo_shaping, words, message):
    plain = json.loads(Path("plain.json").read_text())
    Path("broken.json").write_text(json.dumps(plain)[:-50])
    plain["experiment"]["trials"]["0"].pop("status")
    Path("spoilt.json").write_text(json.dumps(plain))
    Path("strange.json").write_text('{"colour": "red"}')
    Path("empty.csv").write_text("w_shap,reward\n")
    Path("latin.csv").write_bytes("w_shap,reward\n0,\xe4".encode("latin-1"))
    Path("ragged.csv").write_text("w_shap,reward\n0,1,2\n")
    if words == ["trials.json"]:
        rows = [{**row, "other": 1.0} for row in json.loads(Path("trials.json").read_text())]
        Path("trials.json").write_text(json.dumps(rows))
    before = contents(here)
    code, _, error = bo_shaping("launch", "study.yaml", "--from", *words)
    assert (code, error.count("\n")) == (2, 1), error
    assert re.search(message, error), error
    assert contents(here) == before
    assert not list(studies.glob("*")), list(studies.glob("*"))


def test_a_limit_needs_its_measure(here, bo_shaping):
    code, _, error = bo_shaping("launch", "study.yaml", "--set", "objective.max_kl=5", "--from", "trials.csv")
    assert (code, "The study limits kl, which trials.csv does not have" in error) == (2, True)


def test_names_without_a_source_mean_nothing(here, bo_shaping):
    code, _, error = bo_shaping("launch", "study.yaml", "--map", "a=b")
    assert (code, "there is none" in error) == (2, True)


def test_nothing_that_a_foreign_file_names_is_imported(here):
    """An experiment that names a class of its own, a runner and a callable is read without any of them."""
    plain = json.loads(Path("plain.json").read_text())
    evil = {"__type": "evil_module.Payload", "module": "evil_module", "is_callable_as_path": True, "value": "os.system"}
    plain["experiment"]["runner"] = plain["experiment"]["trials"]["0"]["runner"] = evil
    plain["experiment"]["properties"]["evil"] = plain["generation_strategy"] = evil
    Path("plain.json").write_text(json.dumps(plain))
    study = Study.launch(StudyConfig.from_yaml("study.yaml"), sources=["plain.json"])
    assert study.taken[0].n_taken == 5
