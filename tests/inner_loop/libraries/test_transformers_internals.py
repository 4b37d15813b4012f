"""These fail first when transformers changes what it never promised."""

from transformers import AutoModelForSequenceClassification

from inner_loop.libraries.transformers_internals import attention_implementation
from inner_loop.models.model_source import model_source


def test_the_attention_that_was_set_can_be_read():
    model = AutoModelForSequenceClassification.from_pretrained(model_source("embedded", "reward_model"))
    for name in ("eager", "sdpa"):
        model.set_attn_implementation(name)
        assert attention_implementation(model) == name
