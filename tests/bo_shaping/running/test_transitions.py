"""A trial's record says what the study maximises; the end of the training stands beside it."""

import pytest

from bo_shaping.running.transitions import completed, stopped
from bo_shaping.storage.records import Entry, TrialRecord
from inner_loop.spec import CurvePoint, StepStats, TrialProgress, TrialSpec
from tests.bo_shaping import closed_form

RUNNING = Entry(
    record=TrialRecord(index=0, status="running", weights={"shap": 1.0}, parameters={}), arm={"w_shap": 1.0}
)
HELD = {"objective": {"measure": "held", "max_kl": 2.0}, "ppo": {"steps": 10}}


def point(step, mean, kl):
    return CurvePoint(step=step, mean=mean, sem=0.1, kl=kl, kl_k3=kl, entropy=1.5, length=20.0, distinct_2=0.9)


CURVE = [point(0, 0.0, 0.0), point(5, 1.0, 2.0), point(6, 1.4, 2.4)]


def result(seed=0, shift=0.0):
    final = closed_form.result_of(TrialSpec(weights={"shap": 1.0}, seed=seed), CURVE[-1].mean + shift)
    steps = [StepStats(**dict.fromkeys(StepStats.model_fields, 0.0) | {"n_evaluations": 50, "optimizer_steps": 1})]
    curve = [p.model_copy(update={"mean": p.mean + shift}) for p in CURVE]
    return final.model_copy(update={"curve": curve, "kl": CURVE[-1].kl, "steps": 2 * steps})


def test_by_the_final_reward_the_record_has_it_with_its_error_over_prompts(make_config):
    record = completed(make_config(), RUNNING, [result()]).record
    assert (record.mean, record.sem, record.final, record.kl) == (1.4, 0.1, None, 2.4)
    assert record.measures["n_evaluations"] == 100


def test_by_another_measure_the_record_has_that_and_the_final_reward_beside_it(make_config):
    record = completed(make_config(**HELD), RUNNING, [result()]).record
    # 0 to 1 over five steps, then 1 for the other five.
    assert record.mean == pytest.approx((0.5 * 5 + 1.0 * 5) / 10)
    assert (record.sem, record.final, record.kl) == (None, 1.4, 2.4)


def test_several_seeds_give_it_an_error(make_config):
    record = completed(make_config(**HELD), RUNNING, [result(0), result(1, shift=0.2)]).record
    assert record.mean == pytest.approx(0.75 + 0.1)
    assert record.sem == pytest.approx(0.1)
    assert record.final == pytest.approx(1.5)


def test_a_trial_that_was_stopped_has_it_as_far_as_it_got(make_config):
    events = [TrialProgress(step=p.step, n_steps=10, point=p) for p in CURVE[:2]]
    entry = stopped(make_config(**HELD), RUNNING, events, "behind")
    assert (entry.record.mean, entry.record.sem, entry.record.final, entry.record.step) == (0.5, None, 1.0, 5)
    final = stopped(make_config(), RUNNING, events, "behind").record
    assert (final.mean, final.sem, final.final) == (1.0, 0.1, None)
