"""A study over weights, a range and values in an order, whose best is known, through all that a study goes through."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from ax.api.client import Client
from ax.core.parameter import ChoiceParameter

from bo_shaping import Best, Study
from bo_shaping.errors import StudyChangedError, TellError
from bo_shaping.storage.study_folder import ROOT_VARIABLE, StudyFolder
from bo_shaping.text.wording import describe_shares
from bo_shaping.views.report.recommendation import weights_table_html
from tests.bo_shaping.closed_form import BEST_LAMBDA, OF_UNITS, OPTIMUM

UNITS = list(OF_UNITS)
SPACE = {"parameters": {"gae_lambda": {"bounds": [0.5, 1.0]}, "units": {"values": UNITS}}}
N_TRIALS, N_KILLED = 22, 12


def settings(**others):
    return {"search_space": SPACE, "objective": {"max_kl": None}, "budget": {"trials": N_TRIALS}} | others


@pytest.fixture(scope="module")
def _searched(tmp_path_factory, make_config, _coarse_grid):
    root = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(ROOT_VARIABLE, str(root))
        study = Study.launch(make_config("run_by_units", **settings()))
        study.run()
        study.best()
    return root / "closed"


@pytest.fixture
def searched(_searched, studies):
    """The study when all its trials have run; the test's own copy."""
    shutil.copytree(_searched, studies / "closed")
    return Study.load("closed")


def arms_of(study):
    return [(record.weights, record.parameters) for record in study.folder.records()]


def test_the_best_value_is_found_with_the_best_weights_and_range(searched, bo_shaping):
    best = searched.best()
    assert best.parameters["units"] == "spans"
    assert best.weights == pytest.approx(OPTIMUM, abs=0.15)
    assert best.parameters["gae_lambda"] == pytest.approx(BEST_LAMBDA, abs=0.15)
    shares = best.prob_value["units"]
    assert list(shares) == UNITS
    assert sum(shares.values()) == pytest.approx(1.0)
    assert max(shares, key=shares.get) == "spans"
    assert shares["spans"] > 0.5
    assert set(best.interval) == {*OPTIMUM, "gae_lambda"}
    assert set(best.matters) == {"mixture", "gae_lambda", "units"}
    assert best.matters["units"] > 0.02
    assert Best.from_json(json.loads(bo_shaping("best", "closed", "--json")[1])) == best
    tried = {record.parameters["units"] for record in searched.folder.records()}
    assert tried == set(UNITS)
    assert searched.shaping_function().attribution.units == "spans"


def test_a_study_that_was_killed_goes_on_with_the_same_arms(searched, make_config, tmp_path):
    """Real processes: SIGKILL during the trials that the model chooses."""
    name = "killed"
    path = tmp_path / "killed.yaml"
    path.write_text(make_config("run_by_units", **settings(name=name)).to_yaml())
    folder = StudyFolder(searched.path.parent / name)
    command = [sys.executable, "-m", "bo_shaping.cli"]
    driver = subprocess.Popen([*command, "launch", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 300
        while not folder.journal.path.exists() or len(folder.records()) < 9:
            assert driver.poll() is None, driver.communicate()
            assert time.monotonic() < deadline, "timed out"
            time.sleep(0.05)
        os.kill(driver.pid, signal.SIGKILL)
    finally:
        driver.kill()
        driver.communicate()
    assert len(folder.records()) < N_KILLED
    study = Study.load(name)
    study.run(N_KILLED - len(folder.records()))
    assert [record.origin for record in folder.records()][-3:] == ["model"] * 3
    assert arms_of(study) == arms_of(searched)[:N_KILLED]


def test_ax_keeps_the_values_in_sql_and_in_the_snapshot(searched):
    arms = [trial.arm.parameters["units"] for trial in searched.ax_client._experiment.trials.values()]
    assert arms == [record.parameters["units"] for record in searched.folder.records()]
    client = Client.load_from_json_file(str(searched.path / "ax_experiment.json"))
    parameter = client._experiment.search_space.parameters["units"]
    assert isinstance(parameter, ChoiceParameter)
    assert (parameter.values, parameter.is_ordered) == (UNITS, True)
    assert [trial.arm.parameters["units"] for trial in client._experiment.trials.values()] == arms
    (predicted, other) = searched.ax_client.predict(
        [
            {"w_shap": 0.5, "w_lime": 0.3, "w_sparse": 0.2, "gae_lambda": 0.8, "units": unit}
            for unit in ("spans", "words")
        ]
    )
    assert predicted["reward"][0] > other["reward"][0]


def test_a_lost_database_is_made_again_from_the_journal(searched, bo_shaping):
    before = arms_of(searched)
    (searched.path / "study.db").unlink()
    code, _, error = bo_shaping("resume", "closed", "--rebuild")
    assert (code, error) == (0, "")
    assert arms_of(Study.load("closed")) == before


@pytest.mark.parametrize("source", ["study", "ax.json", "all.json", "trials.csv", "snapshot"])
def test_a_new_study_begins_with_its_trials(searched, make_config, tmp_path, monkeypatch, bo_shaping, source):
    monkeypatch.chdir(tmp_path)
    for form, file in (("ax-json", "ax.json"), ("json", "all.json"), ("csv", "trials.csv")):
        assert bo_shaping("export", "closed", "--format", form, "--output", file)[0] == 0
    where = {"study": "closed", "snapshot": str(searched.path / "ax_experiment.json")}.get(source, source)
    # One value more is a new search space, in which the old trials are points.
    parameters = SPACE["parameters"] | {"units": {"values": [*UNITS, "turns"]}}
    config = make_config("run_by_units", **settings(name="new", search_space={"parameters": parameters}))
    study = Study.launch(config, sources=[where])
    assert arms_of(study) == [
        (pytest.approx(weights), {**parameters, "gae_lambda": pytest.approx(parameters["gae_lambda"])})
        for weights, parameters in arms_of(searched)
    ]


def test_trials_with_a_value_that_is_not_searched_stay_behind(searched, make_config, tmp_path, monkeypatch, bo_shaping):
    monkeypatch.chdir(tmp_path)
    assert bo_shaping("export", "closed", "--output", "trials.csv")[0] == 0
    narrow = SPACE["parameters"] | {"units": {"values": ["words", "spans"]}}
    config = make_config("run_by_units", **settings(name="narrow", search_space={"parameters": narrow}))
    few = Study.launch(config, sources=["trials.csv"])
    kept = [parameters for _, parameters in arms_of(searched) if parameters["units"] in ("words", "spans")]
    assert len(kept) < N_TRIALS
    taken = [record for record in few.folder.records() if record.status == "completed"]
    assert [record.parameters["units"] for record in taken] == [parameters["units"] for parameters in kept]


def test_a_study_that_holds_the_units_takes_the_trials_that_had_them(searched, make_config):
    space = {"parameters": {"gae_lambda": {"bounds": [0.5, 1.0]}}}
    held = make_config("run_by_units", **settings(name="held", search_space=space), attribution={"units": "spans"})
    study = Study.launch(held, sources=["closed"])
    kept = [arm for _, arm in arms_of(searched) if arm["units"] == "spans"]
    completed = [record for record in study.folder.records() if record.status == "completed"]
    assert [record.parameters for record in completed] == [{"gae_lambda": arm["gae_lambda"]} for arm in kept]
    (taken,) = study.taken
    assert any("its units is words, and the study holds spans" in reason for _, reason in taken.left_out)


def test_optuna_has_them_as_categories_and_gives_them_back(searched, make_config, tmp_path, bo_shaping):
    optuna = pytest.importorskip("optuna", reason="needs the extra optuna")
    file = tmp_path / "ours.db"
    assert bo_shaping("export", "closed", "--format", "optuna", "--output", file)[0] == 0
    study = optuna.load_study(study_name="closed", storage=f"sqlite:///{file}")
    words = [record.parameters["units"] for record in searched.folder.records()]
    assert [trial.params["units"] for trial in study.trials] == words
    assert study.trials[0].distributions["units"].choices == tuple(UNITS)
    new = Study.launch(
        make_config("run_by_units", **settings(name="new")),
        sources=[f"optuna+sqlite:///{file}#closed"],
        metrics=["objective=reward"],
    )
    assert [record.parameters["units"] for record in new.folder.records()] == words


def test_tables_and_terminal_name_the_values(searched, bo_shaping):
    rows = list(csv.DictReader(io.StringIO(bo_shaping("export", "closed")[1])))
    assert [row["units"] for row in rows] == [record.parameters["units"] for record in searched.folder.records()]
    assert searched.trials()["units"].tolist() == [row["units"] for row in rows]
    for verb in ("status", "trials"):
        code, out, _ = bo_shaping(verb, "closed")
        assert code == 0
        assert "units" in out
        assert "sentences" in out
    code, out, _ = bo_shaping("best", "closed")
    (line,) = [line for line in out.splitlines() if line.startswith("parameter units")]
    assert "spans   best with probability: tokens " in line
    assert [part.split()[0] for part in line.partition(": ")[2].split(", ")] == UNITS
    assert "In short: span-level " in out
    assert "ran these very weights" in out or "none ran these very weights" in out


def test_report_and_pages_show_how_probable_each_value_is(searched, bo_shaping, studies):
    assert bo_shaping("report", "closed")[0] == 0
    html = (searched.path / "report" / "index.html").read_text()
    shares = searched.best().prob_value["units"]
    assert f'<p class="range">{describe_shares(shares)}</p>' in html
    assert '<td class="" data-head="units">spans</td>' in html
    assert "or the probability of each value" in weights_table_html(searched.best())
    pytest.importorskip("httpx2", reason="needs httpx2, the test client of starlette (extra dev)")
    from starlette.testclient import TestClient

    from bo_shaping.dashboard.server import make_app
    from bo_shaping.dashboard.shelf import Shelf

    with TestClient(make_app(Shelf(studies)), base_url="http://127.0.0.1:8421") as client:
        page = client.get("/study/closed/").text
        assert '<th scope="col" data-sort="word">units</th>' in page
        assert "<td>spans</td>" in page
        address = next(part for part in page.split('"') if part.endswith("weights.svg"))
        picture = client.get(f"/study/closed/{address}" if not address.startswith("/") else address)
        assert picture.status_code == 200
        table = client.get(str(picture.url).replace(".svg", ".csv")).text
        assert "name,recommended,low,high,value,probability" in table
        assert "units,spans,,,tokens," in table
        assert "units" in client.get("/study/closed/trial/0/").text


def test_an_own_inner_loop_asks_tells_and_attaches_words(make_config):
    study = Study.launch(make_config("run_by_units", **settings()))
    index, arm = study.ask()
    assert arm["units"] in UNITS
    study.tell(index, 1.0)
    weights = {"shap": 0.5, "sparse": 0.5, "gae_lambda": 0.8}
    study.attach({**weights, "units": "words"}, mean=1.0)
    assert study.trial(1).parameters == {"gae_lambda": 0.8, "units": "words"}
    for wrong, says in (
        (
            "wrods",
            r"units must be one of \[tokens, words, spans, sentences\], got 'wrods', which is most like 'words'\.",
        ),
        (2, r"units must be one of \[tokens, words, spans, sentences\], got 2\."),
    ):
        with pytest.raises(TellError, match=says):
            study.attach({**weights, "units": wrong})
    with pytest.raises(TellError, match=r"gae_lambda must be a number between 0\.5 and 1, got 'high'"):
        study.attach({**weights, "gae_lambda": "high", "units": "words"})


def test_other_values_are_another_search_space(searched, make_config):
    parameters = SPACE["parameters"] | {"units": {"values": UNITS[::-1]}}
    with pytest.raises(StudyChangedError, match="cannot go on with another search space"):
        Study.load("closed", make_config("run_by_units", **settings(search_space={"parameters": parameters})))


def test_sizes_that_divide_another_are_searched_by_value(make_config):
    space = {"parameters": {"samples_per_prompt": {"values": [1, 2, 4]}, "sharpness": {"values": [0.5, 1, 2]}}}
    study = Study.launch(make_config(search_space=space, objective={"max_kl": None}, budget={"trials": 9}))
    study.run()
    arms = [trial.arm.parameters for trial in study.ax_client._experiment.trials.values()]
    assert {(arm["samples_per_prompt"], type(arm["samples_per_prompt"])) for arm in arms} <= {
        (1, int),
        (2, int),
        (4, int),
    }
    assert {arm["sharpness"] for arm in arms} <= {0.5, 1.0, 2.0}
    assert len({(arm["samples_per_prompt"], arm["sharpness"]) for arm in arms}) > 2
    best = study.best()
    assert list(best.prob_value["samples_per_prompt"]) == ["1", "2", "4"]
    assert list(best.prob_value["sharpness"]) == ["0.5", "1", "2"]
