import copy

import pytest
import torch

from inner_loop.evaluation import evaluate
from inner_loop.integrations.policy_and_reference import PolicyAndReference
from inner_loop.ppo.actor_critic import ActorCritic
from inner_loop.spec import EvaluationConfig, PPOConfig


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.7, "top_k": 20}])
def test_a_policy_is_judged_as_ours_is(tiny_task, sampling):
    sampling = PPOConfig(**sampling)
    theirs = PolicyAndReference(copy.deepcopy(tiny_task.policy))
    ours = ActorCritic(tiny_task.policy, critic="none")
    with torch.no_grad():
        for policy in (theirs.sampler, ours.policy):
            for weight in policy.parameters():
                weight += 0.02 * torch.linspace(-1, 1, weight.numel()).reshape(weight.shape)
    judged = [
        evaluate(
            policy,
            tiny_task.tokenizer,
            tiny_task.reward_model,
            tiny_task.evaluation_prompts,
            EvaluationConfig(n_prompts=4),
            step=1,
            response_tokens=6,
            sampling=sampling,
        )
        for policy in (theirs, ours)
    ]
    assert judged[0].responses == judged[1].responses
    assert judged[0].point.kl == pytest.approx(judged[1].point.kl, abs=1e-4)
    assert judged[0].point.kl > 0.01


def test_at_the_start_policy_and_reference_are_one(tiny_task):
    judged = evaluate(
        PolicyAndReference(tiny_task.policy),
        tiny_task.tokenizer,
        tiny_task.reward_model,
        tiny_task.evaluation_prompts,
        EvaluationConfig(n_prompts=4),
        step=0,
        response_tokens=6,
        sampling=PPOConfig(),
    )
    assert judged.point.kl == 0
