import numpy as np
import pytest
import torch
from torch import nn

from inner_loop.attribution import explain, gradient
from inner_loop.attribution.gradient import gradient_values
from inner_loop.errors import AttributionError
from inner_loop.models.callable_reward_model import CallableRewardModel
from tests.inner_loop.tiny_classifiers import REWARD_MODELS, bert_reward_model

PROMPTS = ["the film", "a", "the quiet film of two friends"]
RESPONSES = [" is good", " very good story . it never ends", "."]


def with_embedding(reward_model, ids, position, embedding):
    """The score of one sequence, alone, whose token at a position has another embedding."""

    def put(_module, _inputs, embeddings):
        changed = embeddings.clone()
        changed[0, position] = embedding
        return changed

    handle = reward_model.model.get_input_embeddings().register_forward_hook(put)
    score = reward_model.score_sequences([ids])[0]
    handle.remove()
    return float(score)


@pytest.mark.parametrize("make", REWARD_MODELS)
def test_a_value_is_the_slope_towards_the_mask_token(make):
    reward_model = make()
    encoded = reward_model.encode(PROMPTS, RESPONSES)
    weight = reward_model.model.get_input_embeddings().weight.detach()
    mask = weight[reward_model.mask_id]
    for response, values in zip(encoded, gradient_values(reward_model, encoded), strict=True):
        assert (values[~response.is_response] == 0).all()
        for position in np.flatnonzero(response.is_response):
            own, step = weight[response.ids[position]], 3e-3
            ends = [own + sign * step * (own - mask) for sign in (1, -1)]
            up, down = (with_embedding(reward_model, response.ids, position, end) for end in ends)
            assert values[position] == pytest.approx((up - down) / (2 * step), rel=0.02, abs=3e-3)


class LinearInEmbeddings(nn.Module):
    """A head on the sum of the embeddings: its first-order terms are whole."""

    def __init__(self, model):
        super().__init__()
        self.embeddings, self.config = model.get_input_embeddings(), model.config
        self.worths = torch.linspace(-1, 1, model.config.hidden_size)

    @property
    def device(self):
        return self.worths.device

    def get_input_embeddings(self):
        return self.embeddings

    def forward(self, input_ids, attention_mask):
        scores = (self.embeddings(input_ids) * attention_mask[..., None]).sum(dim=1) @ self.worths
        return type("Output", (), {"logits": scores[:, None]})


def test_of_a_linear_model_it_is_what_masking_the_token_takes():
    reward_model = bert_reward_model()
    reward_model.model, reward_model.reads_first_position = LinearInEmbeddings(reward_model.model), False
    options = {"methods": ("gradient", "leave_one_out"), "units": "tokens", "masking": "mask", "dtype": "float32"}
    for credit in explain(reward_model, PROMPTS[:2], RESPONSES[:2], **options):
        assert np.abs(credit.values["gradient"]).max() > 0.1
        np.testing.assert_allclose(credit.values["gradient"], credit.values["leave_one_out"], atol=1e-5)


def test_a_unit_has_the_terms_of_its_tokens():
    reward_model = bert_reward_model()
    fine = explain(reward_model, PROMPTS, RESPONSES, methods=("gradient",), units="tokens")
    coarse = explain(reward_model, PROMPTS, RESPONSES, methods=("gradient",), units="spans", max_units=2)
    for tokens, spans in zip(fine, coarse, strict=True):
        sums = [
            tokens.values["gradient"][(tokens.ends > start) & (tokens.ends <= end)].sum()
            for start, end in spans.offsets
        ]
        np.testing.assert_allclose(spans.values["gradient"], sums, atol=1e-9)
    assert len(coarse[1].offsets) == 2


def test_it_takes_no_coalitions_and_leaves_no_gradients_behind():
    reward_model = bert_reward_model()
    before = reward_model.score(["the film is good"])
    [credit] = explain(reward_model, ["the film"], [" is very good"], methods=("gradient",))
    assert credit.n_evaluations == 2
    assert all(parameter.grad is None for parameter in reward_model.model.parameters())
    assert reward_model.score(["the film is good"]) == before


def test_small_batches_give_the_same_values(monkeypatch):
    reward_model = bert_reward_model()
    encoded = reward_model.encode(PROMPTS, RESPONSES)
    together = gradient_values(reward_model, encoded)
    monkeypatch.setattr(gradient, "TOKENS_PER_BATCH", {"cpu": 1, "cuda": 1})
    for one, other in zip(together, gradient_values(reward_model, encoded), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_under_inference_mode_it_still_has_a_gradient():
    reward_model = bert_reward_model()
    encoded = reward_model.encode(PROMPTS, RESPONSES)
    with torch.no_grad():
        assert np.abs(gradient_values(reward_model, encoded)[0]).max() > 0


def test_what_has_no_embeddings_is_refused():
    with pytest.raises(AttributionError, match=r"needs a transformers reward model.*CallableRewardModel"):
        explain(CallableRewardModel(lambda texts: [0.0] * len(texts)), ["a"], [" b c"], methods=("gradient",))
    reward_model = bert_reward_model()
    reward_model.model.get_input_embeddings = lambda: None
    with pytest.raises(AttributionError, match="shows no token embeddings"):
        explain(reward_model, ["the film"], [" is good"], methods=("gradient",))
