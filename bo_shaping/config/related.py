"""Trials of other tasks that a study learns from: what `launch --from` keeps of a study whose trainings differ."""

from typing import Annotated

from pydantic import Field, FiniteFloat

from inner_loop.io.schema import StrictModel

MIN_TRIALS = 3
"""Trials of another task from which something can be learned."""


class RelatedTrial(StrictModel):
    """One training of another task, as a point of this study's search space."""

    weights: dict[str, FiniteFloat]
    """Mixing weights by component."""
    parameters: dict[str, FiniteFloat | str] = Field(default={})
    """Training parameters that this study searches."""
    outcomes: dict[str, FiniteFloat]
    """Mean over its seeds by metric: `reward`, `kl`, and what else was measured."""
    seeds: tuple[int, ...] = (0,)


class RelatedTask(StrictModel):
    """Another task whose surface may be like that of this study; how far it is, the trials of this study say."""

    source: str
    """Where its trials come from."""
    differs: tuple[str, ...]
    """What is not the same there, one sentence part each."""
    trials: Annotated[tuple[RelatedTrial, ...], Field(min_length=MIN_TRIALS)]
