"""The reward models under explanation: two fine-tuned classifiers, and a frozen encoder with a linear head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from experiments.benchmarks.attribution.peers import MissingForBenchmarkError
from experiments.embedded.splits import Corpus, Example
from inner_loop.models.reward_models import load_reward_model
from inner_loop.models.transformers_reward_model import TransformersRewardModel

ENCODER = Path("models/all-MiniLM-L6-v2")
FINE_TUNED = Path("models/minilm-sentiment")

_HOW = {
    ENCODER: "python -m experiments.fetch_models --only all-MiniLM-L6-v2",
    FINE_TUNED: "python -m experiments.train_reward_model (after python -m experiments.fetch_models)",
}

HEAD_SENTENCES = 4000
"""Training sentences of the linear head."""


class MeanPooledClassifier(nn.Module):
    """A sentence encoder as it comes, mean-pooled and normalised as it was trained, with a linear head of one score."""

    def __init__(self, encoder: Any, weight: np.ndarray, bias: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config
        self.config.num_labels = 1
        self.head = nn.Linear(len(weight), 1)
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weight))
            self.head.bias.fill_(bias)

    @property
    def base_model(self) -> Any:
        """The encoder, as of any transformers classifier."""
        return self.encoder

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def set_attn_implementation(self, name: str) -> None:
        """As of any transformers model."""
        self.encoder.set_attn_implementation(name)

    def embed(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor) -> Tensor:
        """`b x d` sentence embeddings of unit length."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        return normalize((states * mask).sum(dim=1) / mask.sum(dim=1))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Tensor) -> SimpleNamespace:
        """As a transformers classifier: an object whose `logits` are `b x 1`."""
        return SimpleNamespace(logits=self.head(self.embed(input_ids, attention_mask, **inputs)))


def frozen_encoder(corpus: Corpus, cache: Path, folder: Path = ENCODER) -> TransformersRewardModel:
    """The encoder with a logistic head, trained in half a minute on `HEAD_SENTENCES` training sentences and cached."""
    from sklearn.linear_model import LogisticRegression
    from transformers import AutoModel, AutoTokenizer

    check_folder(folder)
    tokenizer, encoder = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    path = cache / "linear_head.npz"
    if not path.exists():
        blank = MeanPooledClassifier(encoder, np.zeros(encoder.config.hidden_size, dtype=np.float32), 0.0)
        picks = np.random.default_rng(0).permutation(len(corpus.rt_train))[:HEAD_SENTENCES]
        examples = [corpus.rt_train[index] for index in picks]
        labels = [example.label for example in examples]
        head = LogisticRegression(C=10.0, max_iter=1000).fit(_embeddings(blank, tokenizer, examples), labels)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, weight=head.coef_[0].astype(np.float32), bias=head.intercept_[0])
    head_weights = np.load(path)
    model = MeanPooledClassifier(encoder, head_weights["weight"], float(head_weights["bias"]))
    return TransformersRewardModel(model.eval(), tokenizer)


@torch.inference_mode()
def _embeddings(model: MeanPooledClassifier, tokenizer: Any, examples: list[Example]) -> np.ndarray:
    batches = [[example.text for example in examples[start : start + 64]] for start in range(0, len(examples), 64)]
    return np.concatenate(
        [model.embed(**tokenizer(batch, padding=True, truncation=True, return_tensors="pt")) for batch in batches]
    )


def check_folder(folder: Path) -> None:
    """Raise `MissingForBenchmarkError` unless the model folder exists."""
    if not folder.is_dir():
        raise MissingForBenchmarkError(f"The model folder {folder} is not there; make it with: {_HOW[folder]}")


def fine_tuned() -> TransformersRewardModel:
    """MiniLM, all of it fine-tuned on review sentences."""
    check_folder(FINE_TUNED)
    return _transformers(str(FINE_TUNED))


def embedded() -> TransformersRewardModel:
    """The tiny classifier that ships with the package."""
    return _transformers("embedded")


def _transformers(name: str) -> TransformersRewardModel:
    model = load_reward_model(name)
    assert isinstance(model, TransformersRewardModel)  # noqa: S101
    model.model.cpu()  # seconds and memory are those of a CPU, wherever there is more
    return model


@dataclass(frozen=True)
class Explained:
    """A reward model of the benchmark."""

    name: str
    load: Callable[[Corpus, Path], TransformersRewardModel]
    """Takes the corpus and the cache folder."""


REWARD_MODELS = (
    Explained("fine-tuned", lambda corpus, cache: fine_tuned()),
    Explained("frozen encoder", frozen_encoder),
    Explained("embedded", lambda corpus, cache: embedded()),
)
"""Every model that exact tables are made of."""
