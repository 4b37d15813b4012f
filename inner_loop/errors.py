"""Errors of the inner loop. Each message says what was wrong, where, and what to do."""


class InnerLoopError(Exception):
    """Base of every error that `inner_loop` raises on purpose."""


class TaskError(InnerLoopError, ValueError):
    """A task that cannot be set up: a missing model folder, unusable prompts, an unknown reward model."""


class EntryPointError(InnerLoopError, ImportError):
    """A `module:function` that cannot be imported or is no function."""


class RewardModelError(InnerLoopError, ValueError):
    """A reward model that returned the wrong number of scores, or a score that is not a finite number."""


class UnreachableRewardModelError(RewardModelError):
    """A reward function that could not be called for longer than anybody waits; another time it may."""


class AttributionError(InnerLoopError, ValueError):
    """A response or game that cannot be explained as asked: an impossible budget, method, grouping or masking."""


class MixingWeightsError(InnerLoopError, ValueError):
    """Mixing weights that are not a point of the simplex, or that name an unknown credit component."""


class ConservationError(InnerLoopError, ArithmeticError):
    """Token rewards that do not sum to the sequence reward they redistribute."""


class DivergedError(InnerLoopError, ArithmeticError):
    """A training that left the region in which its numbers mean anything (NaN, or a runaway KL)."""
