"""Explain scores: one set of reward-model evaluations for a batch of responses, read out by every method asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from inner_loop.attribution.coalitions import coalition_design
from inner_loop.attribution.lime import lime_functional
from inner_loop.attribution.shapley import shapley_functional
from inner_loop.attribution.surrogate import posterior_weights
from inner_loop.reward_models import RewardModel
from inner_loop.spec import AttributionConfig
from inner_loop.units import split_units

METHODS: dict[str, Callable[[int], np.ndarray]] = {"shap": shapley_functional, "lime": lime_functional}
"""Methods that are linear in the coalition values: number of units -> functional, `n x 2^n`."""


@dataclass(frozen=True)
class Credit:
    """Credit of one response's units, as the methods give it (not yet corrected to conserve the score)."""

    units: list[tuple[int, int]]
    """Character ranges of the units in the response; they partition it."""
    base_value: float
    """Score with every unit absent: of the prompt alone, or of the response all masked."""
    full_value: float
    """Score of the whole response."""
    values: dict[str, np.ndarray]
    """Per method, one value per unit, in score units. Shapley values sum to `full_value - base_value`."""
    n_evaluations: int
    """Distinct texts scored for this response, the full and the empty one included."""


def explain(
    reward_model: RewardModel,
    prompts: Sequence[str],
    responses: Sequence[str],
    *,
    methods: Sequence[str] = ("shap",),
    config: AttributionConfig | None = None,
) -> list[Credit]:
    """Credit the units of each response for its score; the prompt is never masked.

    All coalitions of all responses are scored in one call, each distinct text once.

    Args:
        reward_model: Scores texts.
        prompts: `b` prompts.
        responses: `b` responses; the text scored is prompt + response.
        methods: Names in `METHODS`; they share the evaluations.
        config: Budget, units and masking.

    Returns:
        One `Credit` per response. A response of no units has no values and the same base and full value.
    """
    config = config or AttributionConfig()
    units = [split_units(response, config.max_units) for response in responses]
    texts = [
        masked_texts(
            prompt, response, spans, _design(len(spans), config.budget), config.masking, reward_model.mask_text
        )
        for prompt, response, spans in zip(prompts, responses, units, strict=True)
    ]
    scores = _score_distinct(reward_model, texts)
    return [
        Credit(
            units=spans,
            base_value=float(values[0]),
            full_value=float(values[-1 if len(values) == 1 else 1]),
            values={method: _readout(method, len(spans), config.budget) @ values for method in methods},
            n_evaluations=len(set(row)),
        )
        for spans, row, values in zip(units, texts, scores, strict=True)
    ]


def masked_texts(
    prompt: str, response: str, units: list[tuple[int, int]], coalitions: np.ndarray, masking: str, mask_text: str
) -> list[str]:
    """The text of each coalition: the prompt, then the units that are present and what stands for the absent ones.

    Args:
        prompt: Kept whole in every text.
        response: The text that `units` partition.
        units: `n` character ranges.
        coalitions: `m x n` booleans.
        masking: `remove` drops absent units; `mask` puts `mask_text` in place of each, keeping its leading white space.
        mask_text: The reward model's mask.
    """
    present = [response[start:end] for start, end in units]
    absent = [""] * len(units)
    if masking == "mask":
        absent = [unit[: len(unit) - len(unit.lstrip())] + mask_text for unit in present]
    choices = np.array([absent, present], dtype=object)
    if not units:
        return [prompt]
    rows = np.where(coalitions, choices[1], choices[0])
    return [prompt + "".join(row) for row in rows]


def _design(n_units: int, budget: int) -> np.ndarray:
    return coalition_design(n_units, budget) if n_units else np.zeros((1, 0), dtype=bool)


@lru_cache(maxsize=256)
def _readout(method: str, n_units: int, budget: int) -> np.ndarray:
    """`n x m` matrix from coalition scores to credit; cached, since it depends on nothing else."""
    if n_units == 0:
        return np.zeros((0, 1))
    return posterior_weights(METHODS[method](n_units), coalition_design(n_units, budget))


def _score_distinct(reward_model: RewardModel, texts: list[list[str]]) -> list[np.ndarray]:
    """Scores of a ragged list of texts, as float64 arrays of the same shape; every distinct text is scored once."""
    places = {text: place for place, text in enumerate(dict.fromkeys(text for row in texts for text in row))}
    scores = np.array(reward_model.score(list(places)), dtype=np.float64)
    return [scores[[places[text] for text in row]] for row in texts]
