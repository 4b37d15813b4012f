import io

from rich.console import Console

from bo_shaping.executors.folder import Event, Job, Worker
from bo_shaping.live import live_view, trials_table
from bo_shaping.status import study_status
from bo_shaping.store import StudyFolder, TrialRecord
from inner_loop.spec import TrialProgress, TrialSpec

ARM = {"weights": {"shap": 0.25, "sparse": 0.75}, "parameters": {"gae_lambda": 0.9}}


def study(studies, make_config):
    folder = StudyFolder(studies / "live")
    folder.path.mkdir(parents=True)
    folder.config_file.write_text(make_config(name="live").to_yaml())
    return folder


def printed(renderable):
    console = Console(file=io.StringIO(), width=120)
    console.print(renderable)
    return console.file.getvalue()


def test_a_running_trial_shows_its_step_and_its_share_over_replicates(studies, make_config):
    folder = study(studies, make_config)
    folder.write_record(TrialRecord(index=0, status="running", **ARM))
    trial = folder.trial(0)
    trial.prepare(Job.of("a:b", [TrialSpec(weights={"sparse": 1.0})] * 2, threads=1))
    with trial.locked(Worker(pid=1, started=0.0)):
        assert study_status(folder).trials[0].status == "running"
        assert "starting" in printed(trials_table(study_status(folder)))
        trial.append_event(Event(replicate=1, n_replicates=2, progress=TrialProgress(step=5, n_steps=20, score=1.234)))
        status = study_status(folder)
        assert status.trials[0].done == 0.5 + 0.5 * 5 / 20
        text = printed(trials_table(status))
    assert "step 5/20" in text
    assert "score 1.23" in text
    assert "0.25" in text
    assert study_status(folder).trials[0].status == "interrupted"
    with folder.driver_lock():
        assert study_status(folder).trials[0].status == "running"


def test_away_from_a_terminal_every_change_is_one_plain_line(studies, make_config):
    folder = study(studies, make_config)
    console = Console(file=io.StringIO())
    folder.write_record(TrialRecord(index=0, status="completed", mean=1, sem=0.1, kl=2, seconds=3, **ARM))
    with live_view(folder, 3, console) as on_change:
        folder.write_record(TrialRecord(index=1, status="failed", reason="[b]odd[/b]", **ARM))
        on_change()
        on_change()
        folder.write_record(TrialRecord(index=2, status="completed", mean=1.5, sem=0.25, kl=4, seconds=60, **ARM))
        on_change()
    assert console.file.getvalue().splitlines() == [
        "trial 1 failed: shap 0.25 sparse 0.75, gae_lambda 0.9; [b]odd[/b]",
        "trial 2 completed: shap 0.25 sparse 0.75, gae_lambda 0.9; reward 1.500 ± 0.250, KL 4.00, 60 s",
    ]


def test_on_a_terminal_the_table_stays_when_the_run_ends(studies, make_config):
    folder = study(studies, make_config)
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with live_view(folder, 2, console) as on_change:
        folder.write_record(TrialRecord(index=0, status="completed", mean=1, sem=0.1, kl=2, seconds=3, **ARM))
        on_change()
    assert "1.000 ± 0.100" in console.file.getvalue()
