import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel
from trl.trainer.utils import selective_log_softmax

from inner_loop.errors import TaskError
from inner_loop.ppo.actor_critic import ActorCritic, TokenBatch, token_outputs


def batch_of(rows, prompt_width, response_width, pad=7):
    """Prompt and response lists, padded with a token that is also an ordinary one: masks must come from lengths."""
    prompt_ids = [[pad] * (prompt_width - len(p)) + p for p, _ in rows]
    response_ids = [r + [pad] * (response_width - len(r)) for _, r in rows]
    return TokenBatch(
        torch.tensor(prompt_ids),
        torch.tensor([[False] * (prompt_width - len(p)) + [True] * len(p) for p, _ in rows]),
        torch.tensor(response_ids),
        torch.tensor([[True] * len(r) + [False] * (response_width - len(r)) for _, r in rows]),
    )


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_are_those_of_the_models_own_logits(tiny_policy, temperature):
    prompt, response = [5, 6, 7], [8, 9, 7, 10]
    batch = batch_of([(prompt, response)], 3, 4)
    logits = tiny_policy(torch.tensor([prompt + response])).logits[:, 2:-1] / temperature
    expected = selective_log_softmax(logits, torch.tensor([response]))
    torch.testing.assert_close(token_outputs(tiny_policy, batch, temperature).logprobs, expected)


def test_padding_on_either_side_changes_nothing(tiny_policy):
    row = ([5, 6, 7], [8, 9])
    tight = token_outputs(tiny_policy, batch_of([row], 3, 2), 1.0).logprobs
    padded = token_outputs(tiny_policy, batch_of([row, ([4] * 6, [3] * 5)], 6, 5), 1.0).logprobs
    torch.testing.assert_close(padded[:1, :2], tight, atol=1e-5, rtol=0)


def test_values_start_at_zero_and_are_trained_through_the_trunk(tiny_policy):
    actor_critic = ActorCritic(tiny_policy)
    _, values = actor_critic(batch_of([([5, 6], [8, 9])], 2, 2), 1.0)
    assert values.abs().max() == 0
    (values - 1.0).square().sum().backward()
    assert actor_critic.value_head.weight.grad.abs().max() > 0


def test_a_gpt2_works_too():
    config = GPT2Config(vocab_size=32, n_embd=16, n_layer=1, n_head=2, n_positions=32)
    model = GPT2LMHeadModel(config).eval()
    batch = batch_of([([5, 6, 7], [8, 9])], 5, 2)
    expected = torch.log_softmax(model(torch.tensor([[5, 6, 7, 8, 9]])).logits, dim=-1)[0, [2, 3], [8, 9]]
    torch.testing.assert_close(ActorCritic(model)(batch, 1.0)[0][0], expected, atol=1e-5, rtol=0)


def test_a_model_that_changes_its_logits_is_refused(tiny_policy):
    class Capped(type(tiny_policy)):
        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            output.logits = 3.0 * output.logits
            return output

    capped = Capped(tiny_policy.config).eval()
    with pytest.raises(TaskError, match="Capped changes its logits"):
        ActorCritic(capped)
