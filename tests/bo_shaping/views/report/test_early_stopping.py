import pytest

from bo_shaping.config.sections import EarlyStoppingConfig
from bo_shaping.views.report.early_stopping import replay, replay_sentences
from inner_loop.spec import CurvePoint

STEPS = (0, 2, 4, 6, 8)


def _curve(*means):
    return [
        CurvePoint(step=step, mean=mean, sem=0.1, kl=1, kl_k3=1, entropy=1, length=9, distinct_2=1)
        for step, mean in zip(STEPS, means, strict=True)
    ]


GOOD = _curve(0, 1, 2, 3, 4)
BAD = _curve(0, 0, 0, 0, 0)
LATE = _curve(0, 0, 0, 9, 9)
CURVES = {0: GOOD, 1: GOOD, 2: GOOD, 3: BAD, 4: GOOD, 5: LATE}
ENDS = {i: curve[-1].mean for i, curve in CURVES.items()}


def _rule(**changes):
    return EarlyStoppingConfig(**{"percentile": 50, "min_step": 3, "min_curves": 3, "keep_top": 1, **changes})


def test_what_lags_ends_at_the_first_step_that_may():
    found = replay(CURVES, ENDS, {3}, _rule())
    assert found.stopped == {3: 4}
    assert (found.steps_saved, found.steps, found.n_trials) == (4, 48, 6)
    assert found.share == pytest.approx(4 / 48)
    assert not found.lost_best


def test_a_late_bloomer_that_was_the_best_is_lost_and_that_is_said():
    found = replay(CURVES, ENDS, {3, 5}, _rule())
    assert found.stopped == {3: 4, 5: 4}
    assert found.lost_best
    text = replay_sentences(found, _rule(), is_on=True)[0]
    assert "2 of 6 trials" in text
    assert "8 of 48 PPO steps (17 %)" in text
    assert "ended the best trial" in text


@pytest.mark.parametrize(
    ("changes", "stopped"),
    [
        ({"min_curves": 4}, {5: 4} | {}),
        ({"min_step": 5}, {3: 6}),
        ({"keep_top": 6}, {}),
        ({"patience": 2}, {3: 4, 5: 4}),
        ({"patience": 4, "min_step": 4}, {3: 6}),
    ],
)
def test_each_setting_changes_who_ends_and_when(changes, stopped):
    assert replay(CURVES, ENDS, {3, 5}, _rule(**changes)).stopped == stopped


def test_only_trials_that_may_be_stopped_are():
    assert replay(CURVES, ENDS, set(), _rule()).stopped == {}
    assert "saved nothing" in replay_sentences(replay(CURVES, ENDS, set(), _rule()), _rule(), is_on=False)[0]


def test_a_stopped_curve_is_compared_with_no_more():
    # Had trial 3 been kept, trial 4 would have had a worse one beside it.
    curves = {0: GOOD, 1: GOOD, 2: GOOD, 3: BAD, 4: _curve(0, 0.5, 1, 1, 1)}
    assert replay(curves, {}, {3, 4}, _rule(percentile=10)).stopped == {3: 4, 4: 4}
    assert replay(curves, {}, {4}, _rule(percentile=10)).stopped == {}
