"""Samples in one file per policy, so that a run that was stopped goes on, and what is made of them can be made anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.credit_truth.sampled import Sample, keys


def write_samples(file: Path, samples: Sequence[Sample], made_with: dict[str, Any]) -> None:
    """Write samples and what they were made with."""
    arrays: dict[str, np.ndarray] = {}
    for i, sample in enumerate(samples):
        arrays[f"{i}.scores"] = sample.scores
        arrays[f"{i}.credit"] = np.stack([sample.credit[key] for key in keys()])
    rest = [{"response": s.response, "base_value": s.base_value, "unit_tokens": s.unit_tokens} for s in samples]
    head = json.dumps({"made_with": made_with, "keys": keys(), "samples": rest})
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npz")
    np.savez_compressed(partial, head=np.array(head), **arrays)  # type: ignore[arg-type]
    partial.replace(file)


def read_samples(file: Path, made_with: dict[str, Any]) -> tuple[list[Sample], dict[str, Any]] | None:
    """The samples and all that they were made with; None without a file, or if it was made with anything else.

    Args:
        file: Where `write_samples` wrote.
        made_with: Settings that must be those in the file, which may know more.
    """
    if not file.exists():
        return None
    with np.load(file) as stored:
        head = json.loads(str(stored["head"]))
        named = [tuple(key) for key in head["keys"]]
        wanted = json.loads(json.dumps(made_with))
        if named != keys() or any(head["made_with"].get(name) != value for name, value in wanted.items()):
            return None
        samples = [
            Sample(
                scores=stored[f"{i}.scores"],
                credit=dict(zip(keys(), stored[f"{i}.credit"], strict=True)),
                **rest,
            )
            for i, rest in enumerate(head["samples"])
        ]
    return samples, head["made_with"]
