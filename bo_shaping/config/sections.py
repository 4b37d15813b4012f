"""The sections of a study's configuration that are about the outer loop: design, objective, budget, noise, workers."""

from typing import Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from bo_shaping.config.limits import Constraint, parse_constraint
from inner_loop.io.schema import StrictModel

FINAL_REWARD = "validation reward"
"""What a study that goes by the final reward maximises, in words."""


class DesignConfig(StrictModel):
    """Which arms are tried, and how the Gaussian process is asked for the next one."""

    interior: NonNegativeInt | None = None
    """Space-filling arms from the interior of the simplex after corners, centre and the looks at the parameters; null
    for as many as the search space has dimensions beyond three (with three parameters or more: beyond the arms before
    them), if half of the budget has room for them."""
    acquisition: Literal["lognei", "kg"] = "lognei"
    """Log noisy expected improvement, or knowledge gradient."""


class ObjectiveConfig(StrictModel):
    """What counts as better: more validation reward, within a KL budget."""

    measure: Literal["final", "auc", "held"] = "held"
    """The validation reward at the end of a training; the area under its learning curve; or the area under the reward
    that is held within the KL budget: the training stops there, and what it had reached stands for its other steps.
    Left out, it is `held`, but `final` where there is no budget, the whole front is looked for, or `inner_loop` is your
    own. `objective: auc` is short for this."""
    max_kl: PositiveFloat | None = 8.0
    """Largest KL to the reference policy, in nats per response; null for none. Of `held` it is where trainings stop, so
    that every arm keeps it; else it limits the final KL, and `kl <= 4` among the constraints is the same."""
    constraints: tuple[str, ...] = ()
    """Further limits on final metrics, such as `length >= 0.9 * baseline`, `kl <= 2 * baseline` (in place of `max_kl`)
    or `entropy >= 1.5`, and on what a training costs: `n_evaluations <= 20000` (responses that the reward model
    scores), `seconds <= 600`. The baseline is the first arm of the study, pure sparse."""
    pareto: bool = False
    """Trade reward against KL: the study looks for the whole front, as far as `max_kl`, instead of the best reward
    within it."""

    @model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"measure": data}
        if not isinstance(data, dict):
            return data
        data = cls._read_kl_limit(data)
        is_held = data.get("max_kl", 0.0) is not None and not data.get("pareto")
        return data if is_held else {"measure": "final", **data}

    @staticmethod
    def _read_kl_limit(data: dict[str, Any]) -> dict[str, Any]:
        """A limit on KL among the constraints is the budget, or stands in its place."""
        texts = data.get("constraints")
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            return data
        limits = [parse_constraint(text) for text in texts]
        on_kl = [i for i, limit in enumerate(limits) if (limit.metric, limit.sign) == ("kl", "<=")]
        if len(on_kl) != 1 or data.get("max_kl") is not None:
            return data  # nothing about KL, or one limit too many, which is refused below
        if limits[on_kl[0]].relative:
            return {**data, "max_kl": None}
        others = [text for i, text in enumerate(texts) if i not in on_kl]
        return {**data, "max_kl": limits[on_kl[0]].bound, "constraints": others}

    @model_validator(mode="after")
    def _limits_agree(self) -> Self:
        seen: dict[tuple[str, str], Constraint] = {}
        for limit in self.limits:
            if (other := seen.setdefault((limit.metric, limit.sign), limit)) is not limit:
                raise ValueError(f"{limit.metric} has two limits of one kind, keep one of them: {other} and {limit}")
        return self

    @property
    def limits(self) -> list[Constraint]:
        """All limits on outcomes, the KL budget first; one that is held limits nothing, since every arm keeps it."""
        budget = [Constraint("kl", "<=", self.max_kl, relative=False)] if self.max_kl and not self.held_kl else []
        return budget + [parse_constraint(text) for text in self.constraints]

    @property
    def held_kl(self) -> float | None:
        """The KL at which trainings stop and from which on their reward is held; None if they do not."""
        return self.max_kl if self.measure == "held" else None

    @property
    def reward_in_words(self) -> str:
        """What the number is that the study maximises, in the words of a sentence."""
        if self.measure == "final":
            return FINAL_REWARD
        if self.measure == "auc" or self.max_kl is None:
            return "mean reward along the training"
        return f"mean reward along the training, held from KL {self.max_kl:g} on"

    @property
    def measures(self) -> list[str]:
        """The metrics that are limited, each once."""
        return list(dict.fromkeys(limit.metric for limit in self.limits))


class BudgetConfig(StrictModel):
    """How much is spent."""

    trials: PositiveInt = 14
    """Inner trainings in all, the initial design and failed ones included."""
    replicate_last: float = Field(default=0.15, ge=0)
    """How many of them, at the end, measure again what matters, with seeds of their own: the recommended arm (first
    with the usual seed, if it was never run), then sparse at its best, then the runners-up. Below 1: a share of the
    trials."""
    parallel: PositiveInt = 2
    """Trials that run side by side."""
    stop_when_regret_below: PositiveFloat | None = None
    """The study ends early once the expected regret of the recommendation is below this, in score units."""
    max_failures: float = Field(default=0.5, gt=0.0, le=1.0)
    """The study stops when more than this share of at least five trials has failed."""
    trial_seconds: PositiveFloat | None = None
    """Longest a trial may take; it then counts as hung."""

    @model_validator(mode="after")
    def _replicates_fit(self) -> Self:
        share = self.replicate_last
        if share >= 1 and not share.is_integer():
            raise ValueError(f"replicate_last must be a whole number of trials, or a share below 1, got {share}")
        if share > self.trials:
            raise ValueError(f"replicate_last must not be above trials, got {share:g} and {self.trials}")
        return self

    @property
    def n_replicate_last(self) -> int:
        """`replicate_last` as a number of trials."""
        share = self.replicate_last
        return round(share * self.trials) if share < 1 else int(share)


class NoiseConfig(StrictModel):
    """How the noise between trainings is treated."""

    replicates: PositiveInt = 1
    """Seeds per arm. With one, the Gaussian process infers the noise; with more, it gets their standard error."""
    seeds: PositiveInt = 1
    """Size of the fixed set of seeds that the arms share in rotation. With one, all arms share it (common random
    numbers); with more, the Gaussian process estimates what each seed adds."""


class EarlyStoppingConfig(StrictModel):
    """Trials whose learning curve falls behind are ended (Ax's percentile rule)."""

    percentile: float = Field(default=35.0, gt=0.0, lt=100.0)
    """A trial below this percentile of the others at the same step is ended."""
    min_step: NonNegativeInt = 5
    """PPO steps before which nothing is ended."""
    min_curves: PositiveInt = 5
    """Completed curves needed to compare with."""
    patience: NonNegativeInt = 0
    """PPO steps over which a trial must have been behind all the time."""
    keep_top: NonNegativeInt = 3
    """So many of the best trials at the time are never ended."""


class WorkersConfig(StrictModel):
    """Who runs the trials."""

    gpus_per_trial: NonNegativeInt = 0
    """GPUs that a trial gets for itself, and waits for. 0 leaves the choice to PyTorch."""
    stale_after: float = Field(default=20.0, ge=6.0)
    """Seconds without a heartbeat after which a worker counts as hung; at least three heartbeats."""
    retries: NonNegativeInt = 1
    """How often a trial is started again after its worker died or hung."""
    address: str | None = None
    """Address of the Ray cluster; null for one on this machine, which is started if there is none."""
    options: dict[str, str | int] = Field(default={})
    """For Slurm: parameters of submitit's executor, such as `slurm_partition`."""
