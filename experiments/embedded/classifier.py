"""Fine-tuning a sentence encoder to tell positive from negative sentences, and scoring with the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from experiments.embedded.batches import in_chunks, length_bucketed, pad
from experiments.embedded.splits import Corpus, Example
from experiments.embedded.training import train

MAX_TOKENS = 64


class EncoderNotFoundError(RuntimeError):
    """There is no pretrained encoder where one was expected."""


@dataclass(frozen=True)
class FineTuning:
    """How a pretrained encoder becomes a classifier."""

    epochs: int = 2
    """Over the Rotten Tomatoes sentences."""
    imdb_sentences: int = 15_000
    """IMDB sentences, with the labels of their reviews, that are seen once before."""
    tokens_per_batch: int = 1024
    learning_rate: float = 1e-4
    seed: int = 0


def load_encoder(folder: Path, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A pretrained encoder with a new two-label head, its weights drawn with `seed`.

    Raises:
        EncoderNotFoundError: If the folder holds no transformers model.
    """
    if not (folder / "config.json").is_file():
        raise EncoderNotFoundError(
            f"There is no encoder in {folder}; get one with: python -m experiments.fetch_models --only all-MiniLM-L6-v2"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=2,
            id2label={0: "negative", 1: "positive"},
            label2id={"negative": 0, "positive": 1},
            dtype=torch.float32,
            local_files_only=True,
            attn_implementation="eager",  # faster than SDPA in bfloat16 on short sequences
        )
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[np.ndarray]:
    """Token ids with special tokens, at most `MAX_TOKENS` of them."""
    return in_chunks(lambda chunk: tokenizer(chunk, truncation=True, max_length=MAX_TOKENS)["input_ids"], texts)


def training_examples(
    corpus: Corpus, settings: FineTuning, max_examples: int | None = None
) -> tuple[list[Example], list[Example]]:
    """`(imdb, rotten_tomatoes)` examples in random order; `max_examples` caps each of the two."""
    rng = np.random.default_rng(settings.seed)
    count = min(settings.imdb_sentences, len(corpus.imdb_train))
    imdb = [corpus.imdb_train[i] for i in rng.choice(len(corpus.imdb_train), count, replace=False)]
    rotten_tomatoes = [corpus.rt_train[i] for i in rng.permutation(len(corpus.rt_train))]
    return imdb[:max_examples], rotten_tomatoes[:max_examples]


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    imdb: Sequence[Example],
    rotten_tomatoes: Sequence[Example],
    settings: FineTuning,
) -> float:
    """Trains a two-label classifier in place, on IMDB once and then on Rotten Tomatoes, and returns the minutes."""
    rng = np.random.default_rng(settings.seed)
    epochs = [
        (encode(tokenizer, [e.text for e in examples]), np.array([e.label for e in examples]))
        for examples in [imdb, *[rotten_tomatoes] * settings.epochs]
        if examples
    ]
    total = sum(len(sequences) for sequences, _ in epochs)

    def batches() -> Iterator[tuple[float, tuple[list[np.ndarray], Tensor]]]:
        done = 0
        for sequences, labels in epochs:
            for batch in length_bucketed([len(s) for s in sequences], settings.tokens_per_batch, rng):
                yield done / total, ([sequences[i] for i in batch], torch.from_numpy(labels[batch]))
                done += len(batch)

    def loss_of(batch: tuple[list[np.ndarray], Tensor]) -> Tensor:
        sequences, labels = batch
        input_ids, attention_mask = pad(sequences, tokenizer.pad_token_id)
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits
        return cross_entropy(logits.float(), labels)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # dropout
        return train(model, batches(), loss_of, learning_rate=settings.learning_rate)


@torch.inference_mode()
def log_odds(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    bfloat16: bool = False,
    tokens_per_batch: int = 4096,
) -> Tensor:
    """Log-odds of "positive", one per text: the single logit, or logit 1 minus logit 0."""
    sequences = encode(tokenizer, texts)
    scores = torch.empty(len(sequences))
    rng = np.random.default_rng(0)  # order only
    for batch in length_bucketed([len(s) for s in sequences], tokens_per_batch, rng):
        input_ids, attention_mask = pad([sequences[i] for i in batch], tokenizer.pad_token_id)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(input_ids=input_ids, attention_mask=attention_mask).logits.float()
        scores[batch] = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
    return scores


def accuracy(scores: Tensor, examples: Sequence[Example]) -> float:
    """Share of examples whose label the sign of the score gives."""
    labels = torch.tensor([example.label for example in examples])
    return ((scores > 0) == (labels == 1)).float().mean().item()
