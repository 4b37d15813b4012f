import copy

import numpy as np
import pytest

from inner_loop.errors import DivergedError
from inner_loop.evaluation import distinct_ngrams, evaluate, paired_difference
from inner_loop.models.callable_reward_model import CallableRewardModel
from inner_loop.ppo.actor_critic import ActorCritic
from inner_loop.spec import EvaluationConfig, PPOConfig


def evaluate_tiny(task, seed=0, changed=0.0, modes=None, gold=None, **sampling):
    """The metrics at the start, or with one row of the output embedding `changed`."""
    actor_critic = ActorCritic(copy.deepcopy(task.policy), **(modes or {}))
    actor_critic.sampler.lm_head.weight.data[9] += changed
    return evaluate(
        actor_critic,
        task.tokenizer,
        task.reward_model,
        task.evaluation_prompts,
        EvaluationConfig(n_prompts=4, seed=seed),
        step=3,
        response_tokens=8,
        sampling=PPOConfig(**sampling),
        gold=gold,
    )


def test_mean_and_error_are_those_of_the_scores(tiny_task):
    evaluation = evaluate_tiny(tiny_task)
    assert evaluation.point.mean == pytest.approx(np.mean(evaluation.scores))
    assert evaluation.point.sem == pytest.approx(np.std(evaluation.scores, ddof=1) / 2)
    assert evaluation.point.step == 3


def test_gold_reward_models_judge_the_same_responses(tiny_task):
    lengths = CallableRewardModel(lambda texts: [float(len(text)) for text in texts])
    evaluation = evaluate_tiny(tiny_task, gold={"length": lengths, "again": tiny_task.reward_model})
    texts = [prompt + response for prompt, response in zip(evaluation.prompts, evaluation.responses, strict=True)]
    assert evaluation.point.gold["length"] == pytest.approx(np.mean([len(text) for text in texts]))
    assert evaluation.point.gold["again"] == pytest.approx(evaluation.point.mean)
    assert evaluate_tiny(tiny_task).point == evaluation.point.model_copy(update={"gold": {}})


def test_the_reference_is_at_no_distance_from_itself(tiny_task):
    point = evaluate_tiny(tiny_task).point
    assert (point.kl, point.kl_k3) == (0.0, 0.0)
    # An untrained policy is nearly uniform over its vocabulary.
    assert point.entropy == pytest.approx(np.log(len(tiny_task.tokenizer)), abs=0.1)


def test_a_changed_policy_is_at_a_distance(tiny_task):
    point = evaluate_tiny(tiny_task, changed=1.0).point
    assert point.kl_k3 > 1e-4


def test_sampling_noise_depends_on_the_seed_alone(tiny_task):
    first, second, other = (evaluate_tiny(tiny_task, seed=seed) for seed in (0, 0, 1))
    assert first.scores == second.scores
    assert first.responses == second.responses
    assert first.responses != other.responses


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.2}, {"top_k": 5}, {"top_p": 0.2}], ids=str)
@pytest.mark.parametrize(
    "modes", [{}, {"precision": "bfloat16"}, {"lora_rank": 2}, {"trainable_layers": 1}, {"critic": "separate"}], ids=str
)
def test_an_untrained_policy_is_at_no_distance_from_itself_however_it_is_sampled(tiny_task, sampling, modes):
    point = evaluate_tiny(tiny_task, modes=modes, **sampling).point
    assert (point.kl, point.kl_k3) == (0.0, 0.0)


@pytest.mark.parametrize("sampling", [{"temperature": 0.2}, {"top_k": 5}, {"top_p": 0.2}])
def test_a_policy_is_judged_as_it_is_sampled(tiny_task, sampling):
    assert evaluate_tiny(tiny_task, **sampling).point.entropy < evaluate_tiny(tiny_task).point.entropy - 0.01


def test_a_policy_far_away_is_a_divergence(tiny_task):
    with pytest.raises(DivergedError, match=r"over ppo\.max_kl = 0\.0001"):
        evaluate_tiny(tiny_task, changed=5.0, max_kl=1e-4)


def test_a_policy_of_nans_is_a_divergence(tiny_task):
    with pytest.raises(DivergedError, match="reached nan nats"):
        evaluate_tiny(tiny_task, changed=float("nan"))


def test_distinct_ngrams_by_hand():
    assert distinct_ngrams(["a b a b", ""], 1) == 0.5
    assert distinct_ngrams(["a b a b", ""], 2) == pytest.approx(2 / 3)
    assert distinct_ngrams(["a", "b"], 2) == 1.0
    assert distinct_ngrams([""], 1) == 1.0


def test_a_paired_difference_by_hand():
    # Differences 1, 2, 3: mean 2, sample deviation 1, error 1 / sqrt(3).
    difference = paired_difference([1.0, 2.0, 6.0], [0.0, 0.0, 3.0])
    assert (difference.mean, difference.sem) == (2.0, pytest.approx(3**-0.5))
    assert difference.interval == pytest.approx((2 - 1.96 * 3**-0.5, 2 + 1.96 * 3**-0.5), abs=1e-4)


def test_pairing_removes_what_prompts_have_in_common():
    prompts = 10.0 * np.arange(50)
    noise = np.random.default_rng(0).normal(size=50)
    difference = paired_difference(list(prompts + 0.5), list(prompts + 0.1 * noise))
    assert difference.interval[0] > 0.4 > 0
    assert difference.sem < 0.02


def test_only_equally_many_scores_can_be_paired():
    with pytest.raises(ValueError, match="got 2 and 1 scores"):
        paired_difference([1.0, 2.0], [1.0])
