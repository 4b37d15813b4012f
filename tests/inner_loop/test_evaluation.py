import numpy as np
import pytest

from inner_loop.evaluation import distinct_bigrams, evaluate
from inner_loop.spec import EvaluationConfig


def evaluate_tiny(task, policy=None, seed=0):
    return evaluate(
        policy or task.policy,
        task.reference,
        task.tokenizer,
        task.reward_model,
        task.evaluation_prompts,
        EvaluationConfig(n_prompts=4, seed=seed),
        step=3,
        response_tokens=8,
        temperature=1.0,
    )


def test_mean_and_error_are_those_of_the_scores(tiny_task):
    evaluation = evaluate_tiny(tiny_task)
    assert evaluation.point.mean == pytest.approx(np.mean(evaluation.scores))
    assert evaluation.point.sem == pytest.approx(np.std(evaluation.scores, ddof=1) / 2)
    assert evaluation.point.step == 3


def test_the_reference_is_at_no_distance_from_itself(tiny_task):
    point = evaluate_tiny(tiny_task).point
    assert point.kl == pytest.approx(0.0, abs=1e-5)
    assert point.kl_k3 == pytest.approx(0.0, abs=1e-5)
    # An untrained policy is nearly uniform over its vocabulary.
    assert point.entropy == pytest.approx(np.log(len(tiny_task.tokenizer)), abs=0.1)


def test_a_changed_policy_is_at_a_distance(tiny_task):
    tiny_task.policy.lm_head.weight.data[9] += 1.0
    point = evaluate_tiny(tiny_task).point
    assert point.kl_k3 > 1e-4


def test_sampling_noise_depends_on_the_seed_alone(tiny_task):
    first, second, other = (evaluate_tiny(tiny_task, seed=seed) for seed in (0, 0, 1))
    assert first.scores == second.scores
    assert first.rollouts[0].responses == second.rollouts[0].responses
    assert first.rollouts[0].responses != other.rollouts[0].responses


def test_distinct_bigrams_by_hand():
    assert distinct_bigrams(["a b a b", ""]) == pytest.approx(2 / 3)
    assert distinct_bigrams([""]) == 1.0
