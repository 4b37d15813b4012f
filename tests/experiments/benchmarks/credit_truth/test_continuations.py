import pytest
import torch

from experiments.benchmarks.credit_truth.continuations import continue_responses
from inner_loop.models.task import load_task
from inner_loop.ppo.rollout import sample_rollout
from inner_loop.spec import EvaluationConfig, TaskConfig

N_TOKENS, COPIES = 8, 3


@pytest.fixture(scope="module")
def task():
    return load_task(TaskConfig(), EvaluationConfig(n_prompts=6))


def rollout(task):
    """Responses as PPO samples them, and the numbers that they were drawn by."""
    options = {"max_new_tokens": N_TOKENS, "temperature": 1.0}
    sampled = sample_rollout(
        task.policy, task.tokenizer, task.evaluation_prompts, generator=torch.Generator().manual_seed(3), **options
    )
    return sampled, torch.rand(len(task.evaluation_prompts), N_TOKENS, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("length", [1, 4])
def test_a_beginning_goes_on_as_the_rollout_went_on_under_the_same_numbers(task, length):
    sampled, uniforms = rollout(task)
    long_enough = [index for index, n in enumerate(sampled.batch.response_mask.sum(dim=1).tolist()) if n > length]
    assert len(long_enough) > 2
    prompts = [task.evaluation_prompts[index] for index in long_enough]
    beginnings = [sampled.batch.response_ids[index, :length].tolist() for index in long_enough]
    same = uniforms[long_enough, length:].unsqueeze(1)
    other = torch.rand(len(prompts), COPIES - 1, N_TOKENS - length, generator=torch.Generator().manual_seed(4))
    found = continue_responses(task.policy, task.tokenizer, prompts, beginnings, torch.cat([same, other], dim=1))
    texts = found.texts(task.tokenizer)
    assert len(texts) == len(prompts) * COPIES
    assert texts[::COPIES] == [sampled.responses[index] for index in long_enough]
    assert texts[1::COPIES] != texts[::COPIES]
    for row, beginning in enumerate(beginnings):
        for copy in range(COPIES):
            assert found.batch.response_ids[row * COPIES + copy, :length].tolist() == beginning


def test_beginnings_of_several_lengths_are_refused(task):
    with pytest.raises(ValueError, match=r"one length, got \[1, 2\]"):
        continue_responses(task.policy, task.tokenizer, task.evaluation_prompts[:2], [[5], [5, 6]], torch.rand(2, 1, 4))
