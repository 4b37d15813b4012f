"""Distillation at toy size: scores come out on the scale of the targets, and no held-out sentence goes in."""

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from experiments.embedded.classifier import log_odds
from experiments.embedded.reward_model import Distillation, distil, distillation_texts, new_reward_model
from experiments.embedded.reward_model import take_over_embeddings as take_over
from experiments.embedded.splits import Corpus, Example
from experiments.embedded.tokenizers import train_reward_tokenizer

PRAISE = [f"a good film number {i}" for i in range(60)]
SCORN = [f"a bad film number {i}" for i in range(60)]


@pytest.fixture(scope="module")
def tokenizer():
    numbers = [f"{i} {i}" for i in range(100, 400)]  # more tokens than the 128 dimensions of the reward model
    return train_reward_tokenizer(PRAISE + SCORN + numbers, vocab_size=300)


@pytest.fixture(scope="module")
def teacher(tokenizer):
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=192,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertForSequenceClassification(config).eval()


@pytest.mark.parametrize("target_scale", [0.5, 2.0])
def test_scores_are_on_the_scale_of_the_targets(tokenizer, teacher, target_scale):
    targets = torch.tensor([3.0] * len(PRAISE) + [-3.0] * len(SCORN))
    settings = Distillation(epochs=6, tokens_per_batch=128, target_scale=target_scale)
    model, _ = distil(tokenizer, teacher, tokenizer, PRAISE + SCORN, targets, settings)
    praise, scorn = log_odds(model, tokenizer, ["a good film", "a bad film"]).tolist()
    # Learned to half the distance or better; a forgotten division would give 1.5 or 6.
    assert praise == pytest.approx(3, abs=1)
    assert scorn == pytest.approx(-3, abs=1)


def test_similar_words_of_the_teacher_start_similar(tokenizer, teacher):
    embeddings = teacher.get_input_embeddings().weight.data
    good, bad, film = tokenizer.convert_tokens_to_ids(["good", "bad", "film"])
    embeddings[good] = embeddings[bad]
    model = new_reward_model(tokenizer, seed=0)
    take_over(model, tokenizer, teacher, tokenizer)
    table = model.get_input_embeddings().weight
    torch.testing.assert_close(table[good], table[bad])
    assert not torch.allclose(table[good], table[film], atol=1e-3)


def test_only_training_sentences_are_distilled():
    pools = {name: (Example(name, 1),) for name in Corpus.__dataclass_fields__}
    texts = distillation_texts(Corpus(**pools), Distillation(imdb_sentences=10, rt_versions=2))
    assert set(texts) == {"rt_train", "imdb_train"}
    assert len(texts) == 4  # one of IMDB, one of Rotten Tomatoes with two corrupted versions
