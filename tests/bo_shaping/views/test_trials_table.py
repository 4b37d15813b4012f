import io

import pytest
from rich.console import Console

from bo_shaping.storage.records import TrialRecord
from bo_shaping.views.status import TrialStatus
from bo_shaping.views.trials_table import print_trials
from inner_loop.spec import TrialProgress
from tests.bo_shaping.bare_study import ARM, EVIL, EVIL_SHOWN


def trial(status, progress=None, done=0.25, index=0, **fields):
    stored = "running" if status == "interrupted" else status
    return TrialStatus(TrialRecord(index=index, status=stored, **ARM, **fields), status, progress, done)


def shown(trials, width, *, terminal=True, details=False):
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=terminal,
        color_system=None,
        highlight=False,
        legacy_windows=False,
    )
    print_trials(console, trials, details=details)
    return console.file.getvalue().splitlines()


RUNNING = trial("running", TrialProgress(step=5, n_steps=20, score=-0.123), attempt=2, earlier=("it \x1b[31mhung",))


def test_weights_have_columns_where_they_fit_and_share_one_where_they_do_not():
    completed = trial("completed", mean=1.0, sem=0.1, kl=2.0)
    wide, narrow = shown([completed], 80), shown([completed], 60)
    assert wide[0].split() == ["trial", "status", "shap", "lime", "sparse", "gae_lambda", "reward", "KL"]
    assert wide[1].split() == ["0", "completed", "0.25", "0.00", "0.75", "0.9", "1.000", "±", "0.100", "2.0"]
    assert narrow[0].split() == ["trial", "status", "arm", "reward", "KL"]
    assert "shap 0.25 sparse 0.75, gae_lambda 0.9" in " ".join(
        " ".join(narrow).replace("1.000 ± 0.100  2.0", "").split()
    )


@pytest.mark.parametrize("width", [55, 60, 80, 120])
@pytest.mark.parametrize("details", [False, True])
def test_nothing_is_wider_than_the_terminal_and_nothing_is_cut(width, details):
    lines = shown([trial("completed", mean=-1.0, sem=0.1, kl=2.0, seconds=75), RUNNING], width, details=details)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "…" not in text
    for part in ("completed", "-1.000 ± 0.100", "2.0", "0.25", "0.75", "0.9", "step 5/20", "score -0.12"):
        assert part in text


def test_a_running_trial_has_a_bar_as_long_as_what_is_done():
    *_, line = shown([RUNNING], 160)
    assert line.startswith("trial 0 running: ━━━━  ")
    assert line.rstrip().endswith("attempt 2, step 5/20, score -0.12; attempt 1 ended: it \\u001b[31mhung")


def test_in_a_pipe_a_line_is_a_line_however_long():
    failed = trial("failed", reason="why" * 100)
    lines = shown([failed, trial("stopped", index=1, step=10, reason="behind")], 80, terminal=False, details=True)
    assert lines[0].split()[:4] == ["trial", "status", "origin", "seeds"]
    assert [line for line in lines if "failed:" in line] == ["trial 0 failed: " + "why" * 100]
    assert lines[-1] == "trial 1 stopped: at step 10: behind"


def test_details_say_who_chose_the_arm_with_which_seeds_and_how_long_it_took():
    header, row = shown(
        [trial("completed", origin="recommended", seeds=(7, 8), seconds=75.2, mean=1.0)], 200, details=True
    )
    assert header.split()[2:4] == ["origin", "seeds"]
    assert row.split()[:5] == ["0", "completed", "recommended", "7", "8"]
    assert (header.split()[-1], row.split()[-1]) == ("seconds", "75")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_reason_can_only_be_read(terminal):
    text = "\n".join(shown([trial("failed", reason=EVIL)], 200, terminal=terminal))
    assert EVIL_SHOWN in text
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
