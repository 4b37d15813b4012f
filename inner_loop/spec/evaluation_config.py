"""How a policy is judged."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

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
    gold: dict[str, str] = Field(default_factory=dict)
    """Reward models that judge too and that nobody trains on, by what you call them: `{minilm: ./models/minilm}`. Their
    mean scores stand in the learning curve: does the reward rise because the responses are better, or because the
    policy has found what its reward model overrates?"""
