import os
from pathlib import Path

import pytest

from bo_shaping.config import StudyConfig
from bo_shaping.study import Study
from experiments.benchmarks.outer_loop.fast_loop import LOG_VARIABLE
from experiments.benchmarks.outer_loop.scale import audit, bars, table_of
from experiments.benchmarks.outer_loop.scale_job import NAME, fill
from tests.bo_shaping.bare_study import write_record


@pytest.fixture
def driven(tmp_path, monkeypatch):
    """The folder of a study of three trials."""
    monkeypatch.setenv("BO_SHAPING_STUDIES", str(tmp_path))
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "log.jsonl"))
    config = {
        "name": NAME,
        "inner_loop": "experiments.benchmarks.outer_loop.fast_loop:run_trial",
        "objective": {"max_kl": None},
        "executor": "inline",
    }
    Study.launch(StudyConfig.model_validate(config)).run(3)
    return tmp_path


def test_the_audit_finds_nothing_in_a_whole_study(driven):
    assert audit(driven) == {"n_trained": 3, "n_records": 3, "n_same_in_ax": 3}


def test_the_audit_finds_a_lost_number_and_a_training_too_many(driven):
    log = Path(os.environ[LOG_VARIABLE])
    log.write_text(log.read_text() + log.read_text().splitlines()[0] + "\n")
    folder = Study.load(NAME).folder
    write_record(folder, folder.records()[1].model_copy(update={"mean": 77.0}))
    assert audit(driven) == {"n_trained": 4, "n_records": 3, "n_same_in_ax": 2}


def leg(trial_cpu_seconds, rss):
    return {
        "n_trials": len(trial_cpu_seconds),
        "cpu_seconds": sum(trial_cpu_seconds),
        "proposing_cpu_seconds": sum(trial_cpu_seconds) / 2,
        "snapshot_cpu_seconds": sum(trial_cpu_seconds) / 8,
        "trial_cpu_seconds": trial_cpu_seconds,
        "wall_seconds": 2 * sum(trial_cpu_seconds),
        "rss_mb": rss,
    }


def test_overhead_is_over_all_legs_with_waiting_and_every_lost_trial_counts():
    result = {
        "legs": [leg([0.4, 0.6], 500.0), leg([0.6, 0.8, 1.6], 520.0)],
        "resume": [{"resume_seconds": seconds, "resume_cpu_seconds": 1.0} for seconds in (2.0, 7.0, 3.0)],
        "n_trials_at_resume": 100,
        "n_trained": 501,
        "n_records": 500,
        "n_same_in_ax": 499,
        # Of two trials that are waited for at once, each has half of the second.
        "waiting": {"parallel": 2, "cpu_seconds_per_second": 0.01},
    }
    mean, median, worst, memory, lost, twice, resume = bars(result)
    assert mean.value == pytest.approx((0.8 + 0.3) / 60)
    assert median.value == pytest.approx((0.6 + 0.3) / 60)
    assert worst.value == pytest.approx((1.6 + 0.3) / 60)
    assert memory.value == pytest.approx(1.04)
    assert (lost.value, twice.value, resume.value) == (1, 1, 3.0)
    assert [bar.passed for bar in bars(result)] == [True, True, False, True, False, False, True]
    assert "0.80" in table_of(result)


def test_trials_that_are_filled_in_are_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("BO_SHAPING_STUDIES", str(tmp_path))
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "log.jsonl"))
    fill(5, 2)
    assert audit(tmp_path) == {"n_trained": 5, "n_records": 5, "n_same_in_ax": 5}
