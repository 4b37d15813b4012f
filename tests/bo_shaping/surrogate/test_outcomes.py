import pytest

from bo_shaping.errors import TrialResultError
from bo_shaping.surrogate.outcomes import curve_data, outcome_data, seed_values
from inner_loop.spec import CurvePoint, StepStats, TrialProgress, TrialSpec
from tests.bo_shaping import closed_form


def point(step, mean, kl=1.0, length=20.0):
    return CurvePoint(step=step, mean=mean, sem=0.1, kl=kl, kl_k3=kl, entropy=1.5, length=length, distinct_2=0.9)


def result(mean, curve, seed=0):
    spec = TrialSpec(weights={"shap": 1.0}, seed=seed)
    return closed_form.result_of(spec, mean).model_copy(update={"curve": curve, "kl": curve[-1].kl})


STEP = StepStats(**dict.fromkeys(StepStats.model_fields, 0.0) | {"n_evaluations": 1, "optimizer_steps": 1})

RISING = [point(0, 0.0), point(5, 1.0, kl=2.0), point(10, 1.0, kl=3.0, length=12.0)]


def test_the_final_reward_and_kl_have_no_standard_error_with_one_seed(make_config):
    assert outcome_data(make_config(), [result(1.0, RISING)]) == {"reward": 1.0, "kl": 3.0}


def test_the_area_under_the_curve_can_be_the_reward(make_config):
    config = make_config(objective={"measure": "auc"})
    # 0 to 1 over half of the steps, then 1: 0.5 * 0.5 + 0.5 * 1.
    assert outcome_data(config, [result(1.0, RISING)])["reward"] == pytest.approx(0.75)


def test_the_reward_that_is_held_within_the_budget_can_be_the_reward(make_config):
    config = make_config(objective={"measure": "held", "max_kl": 1.5}, ppo={"steps": 10})
    # The KL passes 1.5 at step 2.5, with a reward of 0.5.
    assert outcome_data(config, [result(1.0, RISING)])["reward"] == pytest.approx((0.25 * 2.5 + 0.5 * 7.5) / 10)
    stopped = result(0.9, [RISING[0], point(4, 0.8, kl=1.8)])
    passed = 4 * 0.5 / 0.8
    expected = (passed * 0.8 * passed / 4 / 2 + (10 - passed) * 0.8 * passed / 4) / 10
    assert outcome_data(config, [stopped])["reward"] == pytest.approx(expected)
    with pytest.raises(TrialResultError, match=r"begins at step 5.*which objective\.measure: held needs"):
        outcome_data(config, [result(1.0, RISING[1:])])


def test_a_running_curve_is_worth_what_it_has_held_so_far(make_config):
    config = make_config(objective={"measure": "held", "max_kl": 1.5}, ppo={"steps": 10})
    curve = curve_data(config, [TrialProgress(step=p.step, n_steps=10, point=p) for p in RISING])
    assert [step for step, _ in curve] == [0, 5, 10]
    assert [outcome["reward"] for _, outcome in curve] == pytest.approx([0.0, 0.375, 0.4375])


def test_constrained_measures_are_those_of_the_last_point(make_config):
    config = make_config(objective={"constraints": ["length >= 0.9 * baseline", "entropy >= 1", "length <= 40"]})
    outcome = outcome_data(config, [result(1.0, RISING)])
    assert outcome == {"reward": 1.0, "kl": 3.0, "length": 12.0, "entropy": 1.5}


def test_what_a_training_cost_can_be_limited_and_is_known_at_its_end(make_config):
    steps = [STEP.model_copy(update={"n_evaluations": n}) for n in (100, 140)]
    done = result(1.0, RISING).model_copy(update={"steps": steps, "seconds": {"sample": 2.0, "update": 3.0}})
    config = make_config(objective={"constraints": ["n_evaluations <= 200", "seconds <= 2 * baseline"]})
    assert outcome_data(config, [done]) == {"reward": 1.0, "kl": 3.0, "n_evaluations": 240.0, "seconds": 5.0}
    curve = curve_data(config, [TrialProgress(step=0, n_steps=10, point=RISING[0])])
    assert set(curve[0][1]) == {"reward", "kl"}


def test_a_measure_that_is_missing_fails_the_trial(make_config):
    config = make_config(objective={"constraints": ["distinct_1 >= 0.2"]})
    with pytest.raises(TrialResultError, match="no usable distinct_1"):
        outcome_data(config, [result(1.0, RISING)])
    assert "distinct_1" not in curve_data(config, [TrialProgress(step=0, n_steps=10, point=RISING[0])])[0][1]


@pytest.mark.parametrize(
    ("objective", "what"),
    [
        ({"measure": "auc"}, "auc"),
        ({"measure": "held"}, "held"),
        ({"constraints": ["length >= 0.9 * baseline"]}, "length"),
    ],
)
def test_a_result_without_a_curve_fails_the_trial_only_where_the_curve_counts(make_config, objective, what):
    bare = result(1.0, RISING).model_copy(update={"curve": []})
    with pytest.raises(TrialResultError, match=f"no learning curve, from which the study takes {what}"):
        seed_values(make_config(objective=objective), [bare])
    assert seed_values(make_config(), [bare]) == {"reward": [1.0], "kl": [3.0]}


def test_an_outcome_whose_square_is_not_finite_fails_the_trial(make_config):
    with pytest.raises(TrialResultError, match="no usable reward"):
        seed_values(make_config(), [result(-1e200, RISING)])


def test_replicates_have_a_mean_and_a_standard_error_over_seeds(make_config):
    config = make_config(noise={"replicates": 3})
    results = [result(mean, [point(10, mean, kl=mean)], seed) for seed, mean in enumerate((1.0, 2.0, 6.0))]
    # Deviations -2, -1, 3: variance 14 / 2 = 7, over three seeds.
    assert outcome_data(config, results)["reward"] == pytest.approx((3.0, (7 / 3) ** 0.5))
    assert seed_values(config, results) == {"reward": [1.0, 2.0, 6.0], "kl": [1.0, 2.0, 6.0]}


@pytest.mark.parametrize(("measure", "rewards"), [("final", [0.0, 1.0, 1.0]), ("auc", [0.0, 0.5, 0.75])])
def test_a_curve_is_what_trainings_that_end_there_would_have_given(make_config, measure, rewards):
    config = make_config(objective={"measure": measure})
    events = [TrialProgress(step=0, n_steps=10)]
    events += [TrialProgress(step=p.step, n_steps=10, point=p) for p in RISING]
    curve = curve_data(config, events)
    assert [step for step, _ in curve] == [0, 5, 10]
    assert [outcome["reward"] for _, outcome in curve] == pytest.approx(rewards)
    assert [outcome["kl"] for _, outcome in curve] == [1.0, 2.0, 3.0]


def test_replicates_have_the_mean_curve_of_those_that_came_so_far(make_config):
    config = make_config(objective={"measure": "auc"}, noise={"replicates": 2})
    points = [point(0, 0.0), point(10, 2.0, kl=4.0), point(0, 1.0)]
    curve = curve_data(config, [TrialProgress(step=p.step, n_steps=10, point=p) for p in points])
    # Heights 0.5 at step 0, from both, and 2 at step 10, from the first.
    assert curve == [(0, {"reward": 0.5, "kl": 1.0}), (10, {"reward": 1.25, "kl": 4.0})]
