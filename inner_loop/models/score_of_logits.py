"""What of a classifier's output is the score: one number, the log-odds of two labels, or a choice among several."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from inner_loop.errors import TaskError
from inner_loop.io.schema import nearest

INDEPENDENT = ("multi_label_classification", "regression")
"""Problem types, as transformers calls them, whose labels do not exclude each other: each number stands for itself."""


def score_of_logits(config: Any, label: str | int | Mapping[str, float] | None) -> Callable[[Tensor], Tensor]:
    """The function from `... x labels` logits to `...` scores.

    One label of several that exclude each other is read as its log-odds against all others, log p - log (1 - p): for
    two labels the usual difference of logits.

    Args:
        config: Of the transformers model.
        label: As `ScoringConfig.label`.

    Raises:
        TaskError: If there is no such label, or several and none was chosen.
    """
    names: dict[int, str] = {int(index): str(name) for index, name in config.id2label.items()}
    if label is None:
        if config.num_labels > 2:
            raise TaskError(
                f"task.reward_model: it has {config.num_labels} labels ({_listed(names)}); say with task.label which "
                "one is the score, or give weights of several."
            )
        return scores_of
    if isinstance(label, Mapping):
        weights = torch.zeros(config.num_labels)
        for name, weight in label.items():
            weights[_index(names, name)] = weight
        return partial(_weighted, weights=weights)
    index = _index(names, label)
    if config.num_labels == 1 or getattr(config, "problem_type", None) in INDEPENDENT:
        return partial(_one, index=index)
    return partial(_log_odds, index=index)


def scores_of(logits: Tensor) -> Tensor:
    """`...` scores of `... x labels` logits: the logit of one label, the log-odds (last minus first) of two."""
    return logits[..., 0] if logits.shape[-1] == 1 else logits[..., 1] - logits[..., 0]


def _weighted(logits: Tensor, weights: Tensor) -> Tensor:
    return logits @ weights.to(logits)


def _one(logits: Tensor, index: int) -> Tensor:
    return logits[..., index]


def _log_odds(logits: Tensor, index: int) -> Tensor:
    others = [other for other in range(logits.shape[-1]) if other != index]
    return logits[..., index] - logits[..., others].logsumexp(dim=-1)


def _index(names: dict[int, str], label: str | int) -> int:
    places = {name.lower(): index for index, name in names.items()}
    place = str(label).lower()
    if place in places:
        return places[place]
    if place.isdecimal() and int(place) in names:
        return int(place)
    likely = nearest(str(label), list(names.values()))
    raise TaskError(
        f"task.label: the reward model has no label {label!r}, did you mean {likely!r}? Its labels: {_listed(names)}."
    )


def _listed(names: dict[int, str]) -> str:
    shown = [f"{index}: {name}" for index, name in list(names.items())[:12]]
    return ", ".join([*shown, *(["..."] if len(names) > len(shown) else [])])
