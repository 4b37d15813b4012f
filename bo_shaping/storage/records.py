"""What is known of one trial, as plain data: the same in the journal, in tables, and for the Ax experiment."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from bo_shaping.config.searched_parameter import Value
from bo_shaping.surrogate.outcomes import Observation
from inner_loop.io.schema import StrictModel

Status = Literal["running", "asked", "completed", "failed", "stopped"]
"""`asked`: somebody else evaluates it and will tell. `stopped`: ended early because its learning curve fell behind."""

ENDED: tuple[Literal["completed", "stopped", "failed"], ...] = ("completed", "stopped", "failed")
"""Of trials that go on no more."""

Origin = Literal["design", "random", "model", "recommended", "replicate", "attached"]
"""Who chose the arm."""


class TrialRecord(StrictModel):
    """One trial as a person sees it."""

    index: NonNegativeInt
    """Its number in the study, from 0 on."""
    status: Status
    """`running`, `completed` or `failed`; `asked` where somebody else evaluates it; `stopped` where it ended early
    because its learning curve fell behind."""
    weights: dict[str, float]
    """Mixing weights of the arm."""
    parameters: dict[str, Value]
    """Training parameters of the arm."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of its trainings, one per replicate."""
    origin: Origin = "model"
    """Who chose the arm: the initial `design`, a `random` draw, the `model` by its acquisition function, the last part
    of the budget (`recommended`, `replicate`), or a person (`attached`)."""
    attempt: PositiveInt = 1
    """1, and one more for each time it was started again because its worker had died or hung."""
    earlier: tuple[str, ...] = ()
    """Why each attempt before this one has ended."""
    mean: float | None = None
    """What the study maximises (`objective.measure`), the mean over replicates; as far as it got where the trial was
    stopped."""
    sem: NonNegativeFloat | None = None
    """Its standard error: over seeds when the study has replicates; else that of a final reward is over validation
    prompts (and then it does not contain the variance between seeds), and that of any other measure is not known."""
    final: float | None = None
    """Validation reward at the end of the training, where the study maximises another measure."""
    kl: float | None = None
    """Final KL to the reference, in nats per response, the mean over replicates."""
    measures: dict[str, float] = Field(default_factory=dict)
    """Further measures of the final curve point, means over replicates."""
    step: NonNegativeInt | None = None
    """PPO step at which the trial was stopped."""
    reason: str | None = None
    """Why the trial failed or was stopped."""
    seconds: float | None = None
    """Wall seconds of the inner loop, summed over replicates."""


class Entry(StrictModel):
    """One trial as the journal knows it: enough to build the trial of the Ax experiment again."""

    record: TrialRecord
    arm: dict[str, int | Value]
    """The Ax parameters, to the last digit."""
    data: tuple[Observation, ...] = ()
    """What the surrogate is told."""
    values: dict[str, list[float]] = Field(default_factory=dict)
    """The same by metric with one value per seed, from which the noise between seeds is estimated."""
