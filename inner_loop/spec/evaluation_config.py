"""How a policy is judged."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from inner_loop.io.schema import StrictModel


class EvaluationConfig(StrictModel):
    """How a policy is judged: always by the unshaped score, on fixed prompts with fixed sampling noise."""

    n_prompts: PositiveInt = 256
    """Prompts scored, the first of the split; the same ones for every arm."""
    every: PositiveInt = 5
    """PPO steps between two points of the learning curve; the start and the end are always points."""
    seed: NonNegativeInt = 12345
    """Seed of the sampling noise, the same for every arm (common random numbers)."""
    split: Literal["validation", "heldout"] = "validation"
    """Which prompts. The outer loop must only ever see `validation`."""
