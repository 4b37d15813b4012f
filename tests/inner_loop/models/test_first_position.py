import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from inner_loop.models.first_position import first_position_only, reads_first_position
from tests.inner_loop.tiny_classifiers import bert_reward_model, gpt2_reward_model, llama_reward_model
from tests.inner_loop.tiny_models import TINY

KIND = {"vocab_size": 40, "initializer_range": 0.5, "num_labels": 2, "max_position_embeddings": 64}


def bert():
    return bert_reward_model(num_labels=2).model


def made(config, kind):
    def make():
        torch.manual_seed(0)
        return kind(config(**TINY, **KIND)).eval()

    return make


LIKE_BERT = {
    "bert": bert,
    "roberta": made(RobertaConfig, RobertaForSequenceClassification),
    "electra": made(ElectraConfig, ElectraForSequenceClassification),
}
OTHERS = {
    "deberta": made(DebertaV2Config, DebertaV2ForSequenceClassification),
    "distilbert": lambda: DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=40, dim=16, hidden_dim=32, n_layers=2, n_heads=2)
    ).eval(),
    "llama": lambda: llama_reward_model().model,
    "gpt2": lambda: gpt2_reward_model().model,
}


def inputs():
    """Padded on the right, and with a token in the middle that nobody sees."""
    ids = torch.randint(5, 22, (3, 9), generator=torch.Generator().manual_seed(0))
    attended = (torch.arange(9) < torch.tensor([9, 4, 6])[:, None]).long()
    attended[0, 3] = 0
    return {"input_ids": ids, "attention_mask": attended}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", LIKE_BERT)
@torch.inference_mode()
def test_logits_are_those_of_all_positions_and_the_layer_is_itself_again_afterwards(name, attention):
    model = LIKE_BERT[name]()
    model.set_attn_implementation(attention)
    assert reads_first_position(model)
    expected = model(**inputs()).logits
    assert expected.std() > 0.05
    with first_position_only(model):
        torch.testing.assert_close(model(**inputs()).logits, expected, atol=1e-5, rtol=1e-5)
        assert model.base_model(**inputs()).last_hidden_state.shape[1] == 1
    assert model.base_model(**inputs()).last_hidden_state.shape[1] == 9
    torch.testing.assert_close(model(**inputs()).logits, expected, atol=0, rtol=0)


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures_are_left_as_they_are(name):
    assert not reads_first_position(OTHERS[name]())


class LastToken(nn.Module):
    """A head that reads the last position."""

    def __init__(self, own):
        super().__init__()
        self.own = own

    def forward(self, states):
        return self.own(states[:, -1:])


class MeanToken(LastToken):
    def forward(self, states):
        return self.own(states.mean(dim=1, keepdim=True))


@pytest.mark.parametrize("head", [LastToken, MeanToken])
def test_a_head_that_reads_other_positions_is_found_out(head):
    model = bert()
    model.bert.pooler = head(model.bert.pooler)
    assert not reads_first_position(model)


def test_scores_of_a_reward_model_are_those_of_whole_passes():
    reward_model, plain = bert_reward_model(), bert_reward_model()
    plain.reads_first_position = False
    rng = np.random.default_rng(0)
    sequences = [rng.integers(5, 22, size=length).astype(np.int32) for length in (9, 3, 14, 1)]
    sequences[2][5] = ~sequences[2][5]
    seen = []
    reward_model.model.base_model.encoder.register_forward_hook(
        lambda _module, _inputs, output: seen.append(output.last_hidden_state.shape[1])
    )
    scores = reward_model.score_sequences(sequences)
    np.testing.assert_allclose(scores, plain.score_sequences(sequences), atol=1e-5)
    assert np.ptp(scores) > 0.5
    assert seen[-1] == 1


def test_a_model_of_no_known_structure_is_left_as_it_is():
    assert not reads_first_position(nn.Linear(2, 2))
    config = AutoConfig.for_model("mpnet", vocab_size=40, **TINY)
    assert not reads_first_position(AutoModelForSequenceClassification.from_config(config).eval())
