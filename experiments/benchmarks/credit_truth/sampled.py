"""Responses of the embedded policy with the scores and the credit of continuations from each of their prefixes.

T tokens, M scored and K explained continuations from each prefix. The m-th continuations of one response's prefixes are
drawn with the same numbers, token place by token place: each is a fair draw, and differences of values vary less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.benchmarks.credit_truth.continuations import Continuations, continue_responses
from inner_loop.components import COMPONENTS, TokenFacts
from inner_loop.models.reward_models import score_responses
from inner_loop.models.task import Task
from inner_loop.ppo.rollout import Rollout, decode_responses, sample_rollout
from inner_loop.shaping import ShapedResponse, ShapingFunction
from inner_loop.spec import AttributionConfig

NEED_MODELS = ("implicit", "token_model")
"""Components that ask a model of their own, which the embedded task does not have."""
WITHOUT_UNITS = ("entropy", "uniform", "sparse")
"""Components that read no units."""
EXPLAINED = tuple(name for name in COMPONENTS if name not in (*NEED_MODELS, *WITHOUT_UNITS))
UNITS = {
    "tokens": AttributionConfig(units="tokens", budget=80),
    "8 spans": AttributionConfig(units="spans", max_units=8, budget=80),
}
"""What is explained: 80 evaluations, since solo, leave-one-out and prefix together take three for each of 23 tokens."""
ROWS = 768
"""Continuations that are sampled at once."""

Key = tuple[str, str]
"""Component and units; no units where it reads none."""


def keys() -> list[Key]:
    """Every component that the embedded task supports, at both units where units matter."""
    return [(name, units) for units in UNITS for name in EXPLAINED] + [(name, "") for name in WITHOUT_UNITS]


@dataclass(frozen=True)
class Sample:
    """One response of T tokens, at most L."""

    response: str
    scores: np.ndarray
    """`(T + 1) x M` scores of continuations after the first 0..T tokens; in the last row the response's own."""
    credit: dict[Key, np.ndarray]
    """`(T + 1) x K x L` credit of explained continuations, zero after their ends; in the last row the response's own.
    """
    base_value: float
    """What the reward model says of the prompt alone; part of the last token's credit in explanations and `sparse`."""
    unit_tokens: dict[str, list[int]]
    """By units, the tokens that complete one."""

    @property
    def n_tokens(self) -> int:
        """T."""
        return len(self.scores) - 1

    def own(self, key: Key) -> np.ndarray:
        """`T` credit of the response itself."""
        credit: np.ndarray = self.credit[key][-1, 0, : self.n_tokens]
        return credit

    def earned(self, key: Key) -> np.ndarray:
        """`T` credit of the response without the base value, which no token earned."""
        credit = self.own(key).copy()
        if key[0] == "sparse" or (key[1] and key[0] != "attention"):
            credit[-1] -= self.base_value
        return credit


def sample_responses(
    task: Task, model: Any, *, response_tokens: int, n_scored: int, n_explained: int, seed: int
) -> list[Sample]:
    """One response to each evaluation prompt of the task, with everything that is sampled around it.

    Args:
        task: Prompts, tokenizer and reward model.
        model: The policy to sample from, which may have been trained further than the task's.
        response_tokens: L.
        n_scored: M.
        n_explained: K, the first of the scored ones.
        seed: Of all that is drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    prompts = task.evaluation_prompts
    rollout = sample_rollout(
        model, task.tokenizer, prompts, max_new_tokens=response_tokens, temperature=1.0, generator=generator
    )
    lengths = rollout.batch.response_mask.sum(dim=1).tolist()
    uniforms = torch.rand(len(prompts), n_scored, response_tokens, generator=generator)
    scores = [np.empty((length + 1, n_scored)) for length in lengths]
    found, places = list[_Whole](), list[tuple[int, int, int]]()
    for n_known in range(max(lengths)):
        for rows in _chunks([i for i, length in enumerate(lengths) if length > n_known], max(ROWS // n_scored, 1)):
            continued = continue_responses(
                model,
                task.tokenizer,
                [prompts[i] for i in rows],
                [rollout.batch.response_ids[i, :n_known].tolist() for i in rows],
                uniforms[rows, :, n_known:],
            )
            texts = continued.texts(task.tokenizer)
            values = score_responses(task.reward_model, [prompt.text for prompt in continued.prompts], texts)
            for i, row in zip(rows, np.reshape(values, (-1, n_scored)), strict=True):
                scores[i][n_known] = row
            explained = [r * n_scored + k for r in range(len(rows)) for k in range(n_explained)]
            found += _wholes(task, continued, explained, rollout.entropy[rows, :n_known], n_scored)
            places += [(i, n_known, k) for i in rows for k in range(n_explained)]
    owns = _own_wholes(rollout)
    shaped = _shaped(task, [*owns, *found])
    samples = []
    for i, length in enumerate(lengths):
        scores[i][length] = shaped["tokens"][i].score
        credit = {key: np.zeros((length + 1, n_explained, response_tokens)) for key in keys()}
        for key, table in credit.items():
            table[length, :, :length] = _credit_of(shaped, i, key)
        samples.append(
            Sample(
                rollout.responses[i],
                scores[i],
                credit,
                shaped["tokens"][i].base_value or 0.0,
                {units: items[i].unit_tokens for units, items in shaped.items()},
            )
        )
    for j, (i, n_known, k) in enumerate(places, start=len(owns)):
        for key, table in samples[i].credit.items():
            values_ = _credit_of(shaped, j, key)
            table[n_known, k, : len(values_)] = values_
    return samples


@dataclass(frozen=True)
class _Whole:
    """A response to be explained."""

    prompt: str
    text: str
    token_ends: list[int]
    entropy: np.ndarray


def _own_wholes(rollout: Rollout) -> list[_Whole]:
    lengths = rollout.batch.response_mask.sum(dim=1).tolist()
    rows = zip(rollout.prompts, rollout.responses, rollout.token_ends, rollout.entropy, lengths, strict=True)
    return [_Whole(p, text, ends, entropy[:n].double().numpy()) for p, text, ends, entropy, n in rows]


def _wholes(
    task: Task, continued: Continuations, chosen: list[int], known_entropy: Tensor, n_copies: int
) -> Iterator[_Whole]:
    """The chosen continuations, with the entropy that their beginnings were sampled at."""
    prompts = [continued.prompts[j] for j in chosen]
    batch = continued.batch.rows(torch.tensor(chosen))
    texts, token_ends = decode_responses(task.tokenizer, prompts, batch)
    for j, prompt, text, ends in zip(chosen, prompts, texts, token_ends, strict=True):
        entropy = continued.entropy[j, : len(ends)].clone()
        entropy[: known_entropy.shape[1]] = known_entropy[j // n_copies]
        yield _Whole(prompt.text, text, ends, entropy.double().numpy())


def _shaped(task: Task, wholes: Sequence[_Whole]) -> dict[str, list[ShapedResponse]]:
    """By units, every response with the credit of every component."""
    facts = [TokenFacts(*[np.zeros(len(whole.entropy))] * 2, whole.entropy) for whole in wholes]
    shaped = {}
    for units, config in UNITS.items():
        shaping = ShapingFunction({"sparse": 1.0}, config, reward_model=task.reward_model)
        shaped[units] = [
            item
            for part in _chunks(range(len(wholes)), 64)
            for item in shaping(
                [wholes[j].prompt for j in part],
                [wholes[j].text for j in part],
                token_ends=[wholes[j].token_ends for j in part],
                components=[name for name, kind in keys() if kind in (units, "")],
                token_facts=[facts[j] for j in part],
            )
        ]
    return shaped


def _credit_of(shaped: dict[str, list[ShapedResponse]], index: int, key: Key) -> np.ndarray:
    return shaped[key[1] or "tokens"][index].components[key[0]]


def _chunks(items: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
