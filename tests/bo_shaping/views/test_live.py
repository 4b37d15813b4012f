import io
import json

import pytest
from rich.console import Console

from bo_shaping.errors import StorageError
from bo_shaping.storage.trial_folder import Event, Job, Worker
from bo_shaping.views import live
from bo_shaping.views.live import live_view, watch
from bo_shaping.views.status import study_status
from inner_loop.spec import TrialProgress, TrialSpec
from tests.bo_shaping.bare_study import EVIL, EVIL_SHOWN, add_trial, bare_study

ARM = "shap 0.25 lime 0.00 sparse 0.75, gae_lambda 0.9"


@pytest.fixture
def folder(studies):
    return bare_study(studies / "live")


def console_of(*, terminal=False, height=50):
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, height=height, highlight=False)


def lines_of(console):
    return console.file.getvalue().splitlines()


def test_a_running_trial_shows_its_share_over_replicates_and_whether_anybody_works_on_it(folder):
    add_trial(folder, 0, "running")
    trial = folder.trial(0)
    trial.prepare(Job.of("a:b", [TrialSpec(weights={"sparse": 1.0})] * 2))
    with trial.locked(Worker(pid=1, started=0.0)):
        assert study_status(folder).trials[0].status == "running"
        trial.append_event(Event(replicate=1, n_replicates=2, progress=TrialProgress(step=5, n_steps=20, score=1.234)))
        assert study_status(folder).trials[0].done == 0.5 + 0.5 * 5 / 20
    assert study_status(folder).trials[0].status == "interrupted"
    with folder.driver_lock():
        assert study_status(folder).trials[0].status == "running"


def test_away_from_a_terminal_every_change_is_one_plain_line(folder):
    console = console_of()
    add_trial(folder, 0, "completed")
    with live_view(folder, 3, console) as on_change:
        add_trial(folder, 1, "failed", reason=EVIL)
        on_change()
        on_change()
        add_trial(folder, 2, "completed", mean=1.5, sem=0.25, kl=4, seconds=60)
        on_change()
    assert lines_of(console) == [
        f"trial 1 failed: {ARM}; {EVIL_SHOWN}",
        f"trial 2 completed: {ARM}; reward 1.500 ± 0.250, KL 4.00, 60 s",
    ]


def test_what_happened_before_an_interrupt_is_still_said(folder):
    console = console_of()

    def drive():
        with live_view(folder, 1, console):
            add_trial(folder, 0, "completed")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive()
    assert lines_of(console)[0].startswith("trial 0 completed")


def test_on_a_terminal_the_table_stays_when_the_run_ends(folder):
    console = console_of(terminal=True)
    with live_view(folder, 2, console) as on_change:
        add_trial(folder, 0, "completed")
        on_change()
    assert "1.000 ± 0.100" in lines_of(console)[-1]


def test_a_low_terminal_shows_the_newest_trials_and_what_is_running(folder):
    for index in range(30):
        add_trial(folder, index, "completed" if index < 29 else "running")
    console = console_of(terminal=True, height=16)
    with folder.driver_lock(), live_view(folder, 40, console) as on_change:
        on_change()
    live_part = console.file.getvalue().partition("40")[0]
    assert "trial 29 running" in live_part.replace("\x1b[36m", "").replace("\x1b[0m", "")
    assert "(and 19 earlier trials)" in live_part


def test_the_view_takes_a_small_share_of_the_time(monkeypatch):
    clock, looks = [100.0], []
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])

    def look():
        looks.append(clock[0])
        clock[0] += 0.5

    show = live._sparing(look)
    while clock[0] < 200:
        show()
        clock[0] += 0.2
    assert len(looks) * 0.5 <= 0.06 * 100
    assert looks[0] == 100.0


def test_a_damaged_record_does_not_end_a_study_that_is_only_looked_at(folder):
    with live_view(folder, 1, console_of()) as on_change:
        add_trial(folder, 0, "completed")
        folder.journal.path.write_text("{}\n")
        with pytest.raises(StorageError):
            folder.records()
        on_change()


class Ending:
    """Lets a watched study go on for as many looks as there are steps, then nobody drives it."""

    def __init__(self, folder, monkeypatch, *steps):
        self.steps = list(steps)
        monkeypatch.setattr(type(folder), "driver", lambda _: "process 7 on host" if self.steps else None)
        monkeypatch.setattr(live.time, "sleep", self.step)

    def step(self, seconds):
        self.steps.pop(0)()


def test_watch_prints_what_is_there_then_every_change_and_ends_with_the_study(folder, monkeypatch):
    add_trial(folder, 0, "completed")
    add_trial(folder, 1, "running")
    Ending(folder, monkeypatch, lambda: None, lambda: add_trial(folder, 1, "failed", reason=EVIL))
    console = console_of()
    watch(folder, console)
    assert lines_of(console) == [
        f"trial 0 completed: {ARM}; reward 1.000 ± 0.100, KL 2.00, 3 s",
        f"trial 1 running: {ARM}",
        f"trial 1 failed: {ARM}; {EVIL_SHOWN}",
        "live: 1 completed, 1 failed, budget 14; nobody is driving it",
    ]


def test_watch_as_json_is_one_object_per_change(folder, monkeypatch):
    add_trial(folder, 0, "running")
    Ending(folder, monkeypatch, lambda: add_trial(folder, 0, "completed"))
    console = console_of(terminal=True)
    watch(folder, console, as_json=True)
    changes = [json.loads(line) for line in lines_of(console)]
    assert [(change["index"], change["status"], change["mean"]) for change in changes] == [
        (0, "running", None),
        (0, "completed", 1.0),
    ]


def test_watch_on_a_terminal_ends_with_the_table(folder, monkeypatch):
    Ending(folder, monkeypatch, lambda: add_trial(folder, 0, "completed"))
    console = console_of(terminal=True)
    watch(folder, console)
    assert any("1.000 ± 0.100" in line for line in lines_of(console))
    assert lines_of(console)[-1] == "live: 1 completed, budget 14; nobody is driving it"


def test_a_study_that_nobody_drives_is_watched_only_for_an_instant(folder):
    console = console_of()
    watch(folder, console)
    assert lines_of(console) == ["live: no trials yet, budget 14; nobody is driving it"]
