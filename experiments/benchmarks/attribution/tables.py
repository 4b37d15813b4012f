"""Exact tables: the score of every coalition of every snippet, computed once and kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from experiments.benchmarks.attribution.exact import all_coalitions
from experiments.benchmarks.attribution.reward_models import REWARD_MODELS
from experiments.benchmarks.attribution.snippets import Snippet
from experiments.embedded.splits import Corpus
from inner_loop.attribution.masking import Masking
from inner_loop.attribution.table import evaluate_coalitions
from inner_loop.models.reward_models import RewardModel
from inner_loop.models.transformers_reward_model import TransformersRewardModel

MASKINGS: tuple[Masking, ...] = ("remove", "mask")


@dataclass(frozen=True)
class ExactTable:
    """All there is to know about one snippet under one reward model and one masking."""

    model: str
    masking: str
    snippet: Snippet
    values: np.ndarray
    """`2^n` scores in fp32; entry c is of the coalition of the binary digits of c, lowest first."""

    @property
    def n_units(self) -> int:
        """Words of the response."""
        return len(self.snippet.units)


def exact_tables(corpus: Corpus, snippets: list[Snippet], cache: Path) -> list[ExactTable]:
    """The tables of all reward models, maskings and snippets; what is not in `cache` takes minutes."""
    tables = []
    for explained in REWARD_MODELS:
        model = explained.load(corpus, cache)
        weights = fingerprint(model)
        for masking in MASKINGS:
            for snippet in snippets:
                key = hashlib.sha256("\0".join([weights, masking, snippet.prompt, snippet.response]).encode())
                path = cache / f"{key.hexdigest()[:32]}.npy"
                if not path.exists():
                    save_whole(path, score_all(model, snippet, masking))
                    print(f"  scored {explained.name}, {masking}: {snippet.response}", flush=True)
                tables.append(ExactTable(explained.name, masking, snippet, np.load(path)))
    return tables


def score_all(model: RewardModel, snippet: Snippet, masking: Masking) -> np.ndarray:
    """`2^n` scores by the library's own evaluation of coalitions, in fp32."""
    coalitions = all_coalitions(len(snippet.units))
    # The library wants the empty and the full coalition first; in a table the full one is last.
    order = np.r_[0, len(coalitions) - 1, 1 : len(coalitions) - 1]
    [scored] = evaluate_coalitions(
        model,
        [snippet.prompt],
        [snippet.response],
        [snippet.units],
        [coalitions[order]],
        masking=masking,
        dtype="float32",
    )
    values = np.empty(len(coalitions))
    values[order] = scored.values
    return values


def fingerprint(model: TransformersRewardModel) -> str:
    """Equal for equal weights: tables of another model, or of another training of it, are not taken for its own."""
    digest = hashlib.sha256()
    for name, tensor in model.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_whole(path: Path, values: np.ndarray) -> None:
    """Write an array so that a run that is killed leaves no half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".part").open("wb") as file:
        np.save(file, values)
    path.with_suffix(".part").replace(path)
