import re

from bo_shaping.text.escaping import escape
from bo_shaping.views.report import Landmarks, trial_table_html
from tests.bo_shaping.views.report.made_up import EVIL, make_trials, stop_early

THREE = ("shap", "lime", "sparse")
CHOSEN = Landmarks(chosen=1, why="best trial so far", corners={})


def cells(html):
    """Text of every cell, row by row."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html.partition("<tbody>")[2])
    return [[re.sub("<[^>]+>", " ", cell).split() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]


def test_a_row_holds_the_numbers_of_its_trial():
    second = cells(trial_table_html(make_trials(THREE, 3, 0), CHOSEN))[1]
    assert second == [
        ["1"], [], ["0.00"], ["1.00"], ["0.00"], ["0.9"], ["1.000", "±", "0.100"], ["2.00"], ["60"],
        ["7"], ["design"], ["completed", "best", "trial", "so", "far"],
    ]  # fmt: skip


def test_a_failed_trial_shows_its_escaped_reason_and_no_number():
    html = trial_table_html(make_trials(THREE, 1, 1), CHOSEN)
    assert f"diverged: {escape(EVIL)}" in html
    assert cells(html)[1][6:8] == [["–"], ["–"]]


def test_a_trial_that_was_stopped_or_started_again_says_so():
    trials = stop_early(make_trials(THREE, 3, 0), 1, step=5)
    trials.loc[2, "attempt"] = 2
    trials["earlier"] = [(), (), (f"it died {EVIL}",)]
    html = trial_table_html(trials, CHOSEN)
    assert f"stopped at step 5<br><small>below the others {escape(EVIL)}" in html
    assert f"completed, attempt 2<br><small>attempt 1 ended: it died {escape(EVIL)}" in html


def test_trials_over_the_kl_budget_say_so():
    # KL 0, 2 and 4.
    kl_cells = [row[7] for row in cells(trial_table_html(make_trials(THREE, 3, 0), CHOSEN, kl_budget=2.0))]
    assert kl_cells == [["0.00"], ["2.00"], ["4.00", "over", "the", "budget", "of", "2"]]


def test_the_chosen_trial_is_highlighted():
    rows = re.findall(r'<tr class="(\w*)">', trial_table_html(make_trials(THREE, 3, 0), CHOSEN))
    assert rows == ["", "chosen", ""]


def test_a_highlighted_trial_that_is_over_the_budget_says_so():
    trials = make_trials(THREE, 3, 0)
    last = Landmarks(chosen=2, why="nearest to the recommended weights", corners={})
    words = "nearest to the recommended weights; its own KL is over the budget"
    assert words in trial_table_html(trials, last, kl_budget=2.0)
    assert "over the budget" not in trial_table_html(trials, last, kl_budget=4.0)


def test_a_training_that_stopped_at_the_budget_is_said_to_have_ended_there():
    last = Landmarks(chosen=2, why="nearest to the recommended weights", corners={})
    html = trial_table_html(make_trials(THREE, 3, 0), last, kl_budget=2.0, kl_held=True)
    assert cells(html)[2][7] == ["4.00", "ended", "at", "the", "budget", "of", "2"]
    assert "over the budget" not in html


def test_bars_are_clamped_shares():
    trials = make_trials(THREE, 1, 0)
    trials["w_shap"] = [7.0]
    assert re.findall(r"width:([\d.]+)%", trial_table_html(trials, CHOSEN).partition("<tbody>")[2]) == [
        "100.0",
        "0.0",
        "0.0",
    ]


def test_a_study_without_trials_has_no_table():
    assert "<table>" not in trial_table_html(make_trials(THREE, 0, 0), CHOSEN)
