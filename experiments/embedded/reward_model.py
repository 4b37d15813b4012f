"""The reward model: a small BERT that learns a fine-tuned encoder's log-odds on whole and incomplete sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from experiments.embedded.batches import length_bucketed, pad
from experiments.embedded.classifier import encode
from experiments.embedded.corruption import corrupt
from experiments.embedded.splits import Corpus
from experiments.embedded.training import train

EMBEDDING_STD = 0.05
"""Scale of the word embeddings taken over from the teacher."""


@dataclass(frozen=True)
class Distillation:
    """What the reward model learns from, and how."""

    imdb_sentences: int = 80_000
    """IMDB sentences drawn; the teacher labels each one whole or corrupted, as `corrupted` says."""
    corrupted: float = 0.5
    """Share of the IMDB sentences that are seen corrupted."""
    rt_versions: int = 3
    """Corrupted versions of every Rotten Tomatoes training sentence, besides the sentence itself."""
    target_scale: float = 0.5
    """The teacher's log-odds are learned multiplied by this, which brings their spread near 1; the linear head is
    divided by it afterwards, so that the scores are log-odds again."""
    epochs: int = 5
    tokens_per_batch: int = 2048
    learning_rate: float = 1.5e-3
    seed: int = 0


def distillation_texts(corpus: Corpus, settings: Distillation) -> list[str]:
    """The texts the teacher labels: no validation or test sentence is among them."""
    rng = np.random.default_rng(settings.seed)
    count = min(settings.imdb_sentences, len(corpus.imdb_train))
    texts = []
    for index in rng.choice(len(corpus.imdb_train), size=count, replace=False):
        text = corpus.imdb_train[index].text
        texts.append(corrupt(text, rng) if rng.random() < settings.corrupted else text)
    for example in corpus.rt_train:
        texts.append(example.text)
        texts.extend(corrupt(example.text, rng) for _ in range(settings.rt_versions))
    return texts


def new_reward_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> BertForSequenceClassification:
    """An untrained reward model with one output, the log-odds of "positive"."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=384,
        max_position_embeddings=128,
        type_vocab_size=2,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        num_labels=1,
        id2label={0: "positive"},
        label2id={"positive": 0},
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForSequenceClassification(config)


@torch.no_grad()
def take_over_embeddings(
    model: BertForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    teacher: PreTrainedModel,
    teacher_tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Starts every word embedding from the teacher's, projected onto their principal components.

    A token that the teacher does not have starts from the mean of the teacher's pieces of it.
    """
    words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    table = teacher.get_input_embeddings().weight
    vocabulary = teacher_tokenizer.get_vocab()
    rows = []
    for word in words:
        pieces = [word] if word in vocabulary else teacher_tokenizer.tokenize(word.removeprefix("##"))
        ids = [vocabulary[piece] for piece in pieces]
        rows.append(table[ids].mean(dim=0) if ids else table.mean(dim=0))
    embeddings = torch.stack(rows)
    embeddings -= embeddings.mean(dim=0)
    _, _, components = torch.linalg.svd(embeddings, full_matrices=False)
    projected = embeddings @ components[: model.config.hidden_size].T
    model.get_input_embeddings().weight.copy_(projected * (EMBEDDING_STD / projected.std()))


def distil(
    tokenizer: PreTrainedTokenizerFast,
    teacher: PreTrainedModel,
    teacher_tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    targets: Tensor,
    settings: Distillation,
) -> tuple[BertForSequenceClassification, float]:
    """A reward model trained by squared error on `targets`, one log-odds per text, and the minutes it took."""
    model = new_reward_model(tokenizer, settings.seed)
    take_over_embeddings(model, tokenizer, teacher, teacher_tokenizer)
    sequences = encode(tokenizer, texts)
    lengths = [len(sequence) for sequence in sequences]
    rng = np.random.default_rng(settings.seed)

    def batches() -> Iterator[tuple[float, np.ndarray]]:
        for epoch in range(settings.epochs):
            done = 0
            for batch in length_bucketed(lengths, settings.tokens_per_batch, rng):
                yield (epoch + done / len(lengths)) / settings.epochs, batch
                done += len(batch)

    def loss_of(batch: np.ndarray) -> Tensor:
        input_ids, attention_mask = pad([sequences[i] for i in batch], tokenizer.pad_token_id)
        scores = model(input_ids=input_ids, attention_mask=attention_mask).logits[:, 0]
        return mse_loss(scores.float(), targets[batch] * settings.target_scale)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # dropout
        minutes = train(model, batches(), loss_of, learning_rate=settings.learning_rate)
    with torch.no_grad():
        model.classifier.weight /= settings.target_scale
        model.classifier.bias /= settings.target_scale
    return model, minutes
