"""These fail first when transformers changes what it never promised."""

from transformers import AutoModelForSequenceClassification, JambaForCausalLM, LlamaForCausalLM, MambaForCausalLM

from inner_loop.libraries.transformers_internals import attention_implementation, is_recurrent
from inner_loop.models.model_source import model_source


def test_the_attention_that_was_set_can_be_read():
    model = AutoModelForSequenceClassification.from_pretrained(model_source("embedded", "reward_model").weights)
    for name in ("eager", "sdpa"):
        model.set_attn_implementation(name)
        assert attention_implementation(model) == name


def test_recurrent_models_are_told_from_those_with_attention():
    assert is_recurrent(MambaForCausalLM)
    assert is_recurrent(JambaForCausalLM)
    assert not is_recurrent(LlamaForCausalLM)
