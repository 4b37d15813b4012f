"""Trials that a driver finds in the hands of others, or that end at an awkward moment."""

import subprocess
import sys

import pytest

from bo_shaping import Study
from bo_shaping.executors.inline import InlineExecutor
from bo_shaping.executors.worker import main
from tests.bo_shaping.executors import held
from tests.bo_shaping.executors.conftest import hold, let_go, starts, wait_for


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_worker_that_is_at_the_job_of_an_older_configuration_is_ended_and_its_trial_run_anew(
    make_config, monkeypatch
):
    settings = {"inner_loop": f"{held.MODULE}:run_while_held", "budget": {"trials": 1}}
    study = Study.launch(make_config(**settings))
    with monkeypatch.context() as killed:
        killed.setattr(InlineExecutor, "start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            study.run()
    folder, stop = study.folder.trial(0), InlineExecutor.stop
    hold(folder)

    def stop_and_let_go(self, trial):
        stop(self, trial)
        let_go(trial)

    monkeypatch.setattr(InlineExecutor, "stop", stop_and_let_go)
    program = "import sys; from bo_shaping.executors.worker import main; main(sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", program, str(folder.path)]) as worker:
        wait_for(lambda: starts(folder))
        changed = Study.load("closed", make_config(**settings, ppo={"steps": 3}), allow_change=True)
        # Left alone, the worker would end now.
        changed.run(on_change=lambda: (folder.path / "hold").unlink(missing_ok=True))
        assert worker.wait() != 0
    assert changed.trial(0).status == "completed"
    assert [spec.ppo.steps for spec in folder.job().specs] == [3]
    assert len(starts(folder)) == 2


def test_a_result_that_arrives_while_its_worker_is_stopped_counts(make_config, monkeypatch):
    started = []
    monkeypatch.setattr(InlineExecutor, "start", lambda _, folder: started.append(folder.path))
    monkeypatch.setattr(InlineExecutor, "state", lambda _, folder: "finished" if folder.is_done() else "hung")
    monkeypatch.setattr(InlineExecutor, "stop", lambda _, folder: main(str(folder.path)))
    study = Study.launch(make_config(budget={"trials": 1}))
    study.run()
    assert (study.trial(0).status, study.trial(0).attempt) == ("completed", 1)
    assert len(started) == 1
