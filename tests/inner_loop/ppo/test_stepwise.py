import pytest
import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    RecurrentGemmaConfig,
    RecurrentGemmaForCausalLM,
)

from inner_loop.errors import TaskError
from inner_loop.ppo.actor_critic import ActorCritic
from inner_loop.ppo.stepwise import check_stepwise
from tests.inner_loop.tiny_models import TINY

ATTENTIVE = {
    "sliding windows": lambda: Gemma2ForCausalLM(
        Gemma2Config(vocab_size=64, num_key_value_heads=1, head_dim=8, sliding_window=2, **TINY)
    ),
    "grouped heads": lambda: Qwen2ForCausalLM(Qwen2Config(vocab_size=64, num_key_value_heads=1, **TINY)),
    "no positions": lambda: BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=16, n_layer=2, n_head=2)),
}
RECURRENT = {
    "no cache of keys and values": lambda: MambaForCausalLM(
        MambaConfig(vocab_size=64, hidden_size=16, num_hidden_layers=2, state_size=4)
    ),
    "a state beside attention": lambda: RecurrentGemmaForCausalLM(
        RecurrentGemmaConfig(vocab_size=64, lru_width=16, **TINY | {"num_hidden_layers": 3})
    ),
}


def made(model):
    torch.manual_seed(0)
    return model().eval()


@pytest.mark.parametrize("name", ATTENTIVE)
def test_models_with_attention_in_every_layer_pass_and_draw_no_random_numbers(name):
    model = made(ATTENTIVE[name])
    before = torch.get_rng_state()
    check_stepwise(model)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_models_are_refused_in_one_sentence(name):
    model = made(RECURRENT[name])
    with pytest.raises(TaskError, match=f"^task.policy: {type(model).__name__} cannot be decoded token by token") as no:
        ActorCritic(model)
    assert no.value.args[0].count(". ") == 0


def test_a_model_that_attends_to_padding_is_refused():
    model = made(ATTENTIVE["grouped heads"])
    forward = model.base_model.forward
    model.base_model.forward = lambda *, attention_mask, **inputs: forward(
        attention_mask=torch.ones_like(attention_mask), **inputs
    )
    with pytest.raises(TaskError, match="left-padded prompts"):
        check_stepwise(model)
