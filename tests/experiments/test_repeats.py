import pytest

from experiments.quickstart.repeats import difference, on_heldout, steps_at_no_more_kl, table
from inner_loop.spec import CurvePoint, TrialResult, TrialSpec


def point(step, kl):
    return CurvePoint(step=step, mean=0.0, sem=0.0, kl=kl, kl_k3=0.0, entropy=1.0, length=1.0, distinct_2=1.0)


def test_the_difference_by_hand():
    # Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3).
    paired = difference([2.0, 3.0, 4.0], [1.0, 1.0, 1.0])
    assert paired["mean"] == 2.0
    assert paired["high"] - 2.0 == pytest.approx(1.96 / 3**0.5, rel=1e-4)
    assert 2.0 - paired["low"] == pytest.approx(1.96 / 3**0.5, rel=1e-4)


@pytest.mark.parametrize(("max_kl", "steps"), [(10.0, 6), (2.5, 4), (1.0, 2), (-1.0, 0)])
def test_the_last_policy_that_is_no_further_away(max_kl, steps):
    # The KL of a training need not grow at every point.
    curve = [point(0, 0.0), point(2, 0.9), point(4, 2.0), point(6, 3.0)]
    result = TrialResult(
        mean=0, sem=0, kl=3, curve=curve, scores=[], steps=[], samples=[], seconds={}, peak_memory_mb=1, seed=0
    )
    assert steps_at_no_more_kl(result, max_kl) == steps


def test_the_judge_differs_from_the_study_in_the_prompts_alone():
    spec = TrialSpec(weights={"sparse": 1.0})
    judged = on_heldout(spec, steps=4)
    assert judged.evaluation.split == "heldout"
    assert judged.ppo == spec.ppo.model_copy(update={"steps": 4})
    assert judged.model_copy(update={"evaluation": spec.evaluation, "ppo": spec.ppo}) == spec


def test_the_table_counts_what_is_ahead():
    def row(low, mean):
        policy = {"mean": 0.5, "kl": 2.0, "steps": 20}
        return {
            "seed": 1,
            "weights": {"shap": 0.5, "leave_one_out": 0.25, "sparse": 0.25},
            "parameters": {"gae_lambda": 0.8},
            "prob_better_than_sparse": 0.9,
            "sparse_parameters": {"gae_lambda": 0.95, "learning_rate": 4e-4},
            "sparse": policy,
            "recommended": policy,
            "recommended_at_no_more_kl": policy,
            "difference_at_no_more_kl": {"mean": mean, "low": low, "high": 1.0},
            "study_seconds": 300.0,
        }

    text = table([row(0.1, 0.3), row(-0.1, 0.2), row(-0.9, -0.5)])
    assert "Ahead of sparse at no more KL in 2 of 3, in 1 with an interval above zero." in text
    assert text.count("\n| 1 |") == 3
