import io
import json

import pytest
from rich.console import Console

from bo_shaping import StudyConfig
from bo_shaping.generation.design import initial_design
from bo_shaping.views.rehearsal import cost_of, rehearse
from bo_shaping.views.rehearsal_text import print_rehearsal
from inner_loop.spec import StepStats
from tests.bo_shaping.views.report.made_up import make_result

TINY = (
    "ppo.steps=3",
    "ppo.rollout_size=4",
    "ppo.minibatch_size=4",
    "ppo.epochs=1",
    "attribution.budget=12",
    "evaluation.n_prompts=4",
    "evaluation.every=2",
    "executor=inline",
)
SPACE = "search_space.components=[shap,lime,sparse]"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tried.yaml"
    path.write_text("name: tried\nbudget: {trials: 9}\n", encoding="utf-8")
    return path


def everything_below(path):
    return sorted(str(each) for each in path.glob("**/*"))


def test_a_dry_run_times_a_step_and_writes_nothing(file, tmp_path):
    config, before = StudyConfig.from_yaml(file, [*TINY, SPACE]), everything_below(tmp_path)
    rehearsal = rehearse(config)
    assert everything_below(tmp_path) == before
    assert rehearsal.problem is None
    assert len(rehearsal.design) == len(initial_design(config)) == 9 - rehearsal.n_model - rehearsal.n_last
    assert rehearsal.design[0].weights == {"shap": 0.0, "lime": 0.0, "sparse": 1.0}
    assert set(rehearsal.cost.step) == {"sample", "attribute", "update"}
    assert all(seconds > 0 for seconds in rehearsal.cost.step.values())
    assert rehearsal.cost.memory_mb > 100
    assert rehearsal.similarity.components == ["shap", "lime", "sparse"]
    data = json.loads(json.dumps(rehearsal.as_json()))
    assert data["is_ready"] is True
    assert (data["max_kl"], data["trials"], len(data["design"])) == (8.0, 9, len(rehearsal.design))
    console = Console(file=io.StringIO(), width=120, height=45, highlight=False)
    print_rehearsal(console, rehearsal, "bo-shaping launch tried.yaml")
    text = console.file.getvalue()
    assert len(text.splitlines()) <= 45
    for words in ("pure sparse", "KL budget 8 nats", "one step", "MB of memory", "in all", "one after the other"):
        assert words in text
    assert text.splitlines()[-1] == "nothing was written; run it with: bo-shaping launch tried.yaml"


def step_of(seconds):
    stats = StepStats(
        score=0.0, kl=0.0, length=1, policy_loss=0, value_loss=0, clip_fraction=0, grad_norm=0, n_evaluations=1
    )
    result = make_result(1.0, 1.0)
    return result.model_copy(update={"seconds": seconds, "steps": [stats], "curve": result.curve[:2]})


def test_the_cost_of_a_study_is_that_of_its_steps_and_judgements():
    settings = {"name": "x", "ppo": {"steps": 10}, "evaluation": {"every": 4}, "budget": {"trials": 12, "parallel": 3}}
    seconds = {"setup": 5.0, "sample": 1.0, "attribute": 2.0, "update": 3.0, "evaluate": 8.0, "explain": 7.0}
    cost = cost_of(StudyConfig(**settings), step_of(seconds), 12)
    # Judged at steps 0, 4, 8 and 10, 4 s each.
    assert cost.evaluation == 4.0
    assert cost.trial == 5.0 + 10 * 6.0 + 4 * 4.0 + 7.0
    assert cost.study_hours == pytest.approx(12 * 88.0 / 3 / 3600)
    twice = cost_of(StudyConfig(**settings, noise={"replicates": 2}, executor="inline"), step_of(seconds), 12)
    assert twice.trial == 2 * 88.0
    assert twice.study_hours == pytest.approx(12 * 176.0 / 3600)


def test_the_command_prints_data_and_says_no_by_its_exit_code(bo_shaping, file, studies):
    code, out, _ = bo_shaping("launch", file, "--dry-run", "--json", "--set", "task.policy=/no/such/policy")
    assert code == 1
    data = json.loads(out)
    assert data["is_ready"] is False
    assert "/no/such/policy" in data["findings"][-1]["text"]
    assert data["cost"] is None
    assert not studies.exists()


def test_a_name_that_is_taken_is_refused_before_anything_runs(bo_shaping, make_config, file):
    from bo_shaping import Study

    Study.launch(make_config())
    own = ("--set", "inner_loop=tests.bo_shaping.closed_form:run_trial")
    code, out, _ = bo_shaping("launch", file, "--name", "closed", "--dry-run", *own)
    assert code == 1
    assert "already exists" in out
    assert "remedy: give it another name: --name NAME" in out
    assert bo_shaping("launch", file, "--dry-run", *own)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--json"], "--json goes with --dry-run"), (["--map", "a=b"], "there is none")]
)
def test_what_does_not_go_together_is_said(bo_shaping, file, arguments, words):
    code, _, err = bo_shaping("launch", file, *arguments)
    assert code == 2
    assert words in err


def test_trials_of_others_stand_in_place_of_the_design(file, tmp_path):
    rows = ["shap,lime,sparse,gae_lambda,mean,kl", "1,0,0,0.95,0.5,2", "0,1,0,0.95,0.4,2"]
    table = tmp_path / "old.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    own = [SPACE, "inner_loop=experiments.benchmarks.outer_loop.fast_loop:run_trial"]
    config, before = StudyConfig.from_yaml(file, own), everything_below(tmp_path)
    rehearsal, alone = rehearse(config, sources=[str(table)]), rehearse(config)
    assert everything_below(tmp_path) == before
    assert rehearsal.problem is None
    assert rehearsal.n_joined == 2
    assert rehearsal.n_trials == alone.n_trials == 9
    # None of theirs is the sparse reward alone, so it is trained here first; the design goes on behind them.
    assert rehearsal.design[0].weights["sparse"] == 1.0
    assert rehearsal.design[1:] == alone.design[3:]
    assert [finding.text for finding in rehearsal.findings if finding.check == "source"] == [
        f"Took 2 of 2 trials from {table}."
    ]
    assert rehearsal.as_json()["trials_joined"] == 2
    assert rehearse(config, sources=[str(tmp_path / "nothing.csv")]).problem.check == "source"
