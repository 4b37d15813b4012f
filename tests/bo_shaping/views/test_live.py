import io
import json
import math
import re
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from bo_shaping.errors import StorageError
from bo_shaping.storage.trial_folder import Event, Job, Worker
from bo_shaping.views import live
from bo_shaping.views.live import live_view, watch
from bo_shaping.views.notebook_progress import progress_bar
from bo_shaping.views.running import BestSoFar, sparkline
from bo_shaping.views.status import study_status
from inner_loop.spec import CurvePoint, TrialProgress, TrialSpec
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
        f"trial 1 failed: {ARM}; {EVIL_SHOWN}; see more with: bo-shaping logs live 1",
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
    # Two lines fewer than the height has room for: what is best, and how long it still takes.
    assert "(and 21 earlier trials)" in live_part


def test_the_view_takes_a_small_share_of_the_time(monkeypatch):
    clock, looks = [100.0], []
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])

    def look():
        looks.append(clock[0])
        clock[0] += 0.5

    show = live.throttled(look)
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
        # 13 trials of 3 s, two at a time.
        "1 of 14 trials have ended; about 20 s left; best so far: trial 0 (0.75 sparse + 0.25 shap), "
        "reward 1.00 (0.84 to 1.16)",
        f"trial 1 failed: {ARM}; {EVIL_SHOWN}; see more with: bo-shaping logs live 1",
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


def plain(console):
    return re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())


def test_a_running_trial_shows_reward_interval_curve_step_and_time_left(folder):
    add_trial(folder, 0, "running")
    trial = folder.trial(0)
    trial.prepare(Job.of("a:b", [TrialSpec(weights={"sparse": 1.0})]))
    # Half done after a minute.
    with folder.driver_lock(), trial.locked(Worker(pid=1, started=time.time() - 60)):
        for step, mean in ((0, 0.0), (5, 3.0), (10, 1.0)):
            point = CurvePoint(step=step, mean=mean, sem=0.1, kl=2.5, kl_k3=1, entropy=2, length=9, distinct_2=1)
            progress = TrialProgress(step=step, n_steps=20, score=1.0, point=point)
            trial.append_event(Event(replicate=0, n_replicates=1, progress=progress))
        console = console_of(terminal=True)
        with live_view(folder, 2, console) as on_change:
            on_change()
    text = plain(console)
    assert "step 10/20, score 1.00; reward 1.00 (0.84 to 1.16) ▁█▃, KL 2.5; 1.0 min left" in text


def test_the_screen_says_what_is_best_what_failed_and_how_to_see_more(studies):
    folder = bare_study(studies / "live", objective={"measure": "final", "max_kl": 8.0})
    sparse = {"shap": 0.0, "lime": 0.0, "sparse": 1.0}
    add_trial(folder, 0, "completed", weights=sparse, mean=1.0, sem=0.3)
    add_trial(folder, 1, "completed", mean=1.5, sem=0.4)
    add_trial(folder, 2, "completed", mean=9.0, sem=0.1, kl=99.0)
    add_trial(folder, 3, "failed", reason=EVIL)
    console = console_of(terminal=True)
    with folder.driver_lock(), live_view(folder, 14, console) as on_change:
        on_change()
    text = plain(console).replace("\n", " ")
    # One standard error of the difference: 0.5 over the root of 0.09 + 0.16.
    assert "reward 1.50 (0.84 to 2.16), P(better than sparse) 84 % by their standard errors" in text
    assert "1 failed; see more with: bo-shaping logs live 3" in text
    assert EVIL_SHOWN in text
    assert not set("\x07\u202e") & set(console.file.getvalue())


def test_a_trial_beyond_the_budget_is_best_only_where_trainings_stop_there(studies):
    final = bare_study(studies / "final", objective={"measure": "final", "max_kl": 8.0})
    held = bare_study(studies / "held")
    for folder in (final, held):
        add_trial(folder, 0, "completed", mean=1.0, kl=2.0)
        add_trial(folder, 1, "completed", mean=2.0, kl=8.5)
    assert "trial 0" in BestSoFar(final).line(study_status(final))
    assert "trial 1" in BestSoFar(held).line(study_status(held))


@pytest.mark.parametrize(
    ("values", "line"),
    [([], ""), ([1.0], "▁"), ([0.0, 0.0], "▁▁"), ([0.0, 7.0, 3.0], "▁█▄"), ([math.nan], ""), ([0, math.inf, 1], "▁ █")],
)
def test_a_sparkline_goes_from_the_smallest_to_the_largest(values, line):
    assert sparkline(values) == line
    assert len(sparkline(list(range(500)))) == 16


def test_a_bar_counts_trials_that_run_for_the_part_that_is_done(folder, monkeypatch):
    bars = []

    class Bar:
        def __init__(self, **settings):
            self.settings, self.n, self.said = settings, 0, []
            bars.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def set_postfix_str(self, text, refresh):
            self.said.append((self.n, text))

        def refresh(self):
            pass

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    add_trial(folder, 0, "completed")
    add_trial(folder, 1, "running")
    trial = folder.trial(1)
    trial.prepare(Job.of("a:b", [TrialSpec(weights={"sparse": 1.0})]))
    trial.append_event(Event(replicate=0, n_replicates=1, progress=TrialProgress(step=5, n_steps=20)))
    study = SimpleNamespace(folder=folder, config=folder.config(), name=EVIL)
    with folder.driver_lock(), progress_bar(study) as on_change:
        on_change()
    assert bars[0].settings["total"] == 14
    n, text = bars[0].said[0]
    assert n == 1.25
    assert "best so far: trial 0" in text
    assert "trial 1 at 25 %" in text
