"""Which inner loop a study runs: a function named in its configuration, found before the first trial."""

import sys
from collections.abc import Callable, Generator

from bo_shaping.errors import ConfigError
from inner_loop.errors import EntryPointError
from inner_loop.io.entry_points import import_function
from inner_loop.spec import EvaluationConfig, PPOConfig, TaskConfig, TrialProgress, TrialResult

DEFAULT_INNER_LOOP = "inner_loop.trial:run_trial"
"""Our own PPO."""

InnerLoop = Callable[..., Generator[TrialProgress, None, TrialResult]]
"""Called with a `TrialSpec`; with `folder=` too if it has such a parameter: a path of its own, where it may keep what
it needs to continue after it was killed. A trial that is started again is given the same folder. With `save_policy=`
where the policy is to be kept: a folder that a transformers model can be loaded from."""


def import_inner_loop(entry_point: str) -> InnerLoop:
    """The function that `module:function` names.

    Raises:
        ConfigError: If there is no such module or function.
    """
    try:
        return import_function(entry_point)
    except EntryPointError as error:
        raise ConfigError(f"The inner loop {error}.") from None


CHECK = "check_trial"
"""A module of an inner loop that trains the task of the configuration may have a function of this name:
`(task, evaluation, ppo) -> list of remarks`, which raises what would make every trial fail."""


def trains_the_task(entry_point: str) -> bool:
    """Whether the inner loop is known to train the task of the configuration, and not something of its own.

    Raises:
        ConfigError: If there is no such module or function.
    """
    return entry_point == DEFAULT_INNER_LOOP or _check_of(entry_point) is not None


def check_inner_loop(entry_point: str, task: TaskConfig, evaluation: EvaluationConfig, ppo: PPOConfig) -> list[str]:
    """Find out before the first trial what would make every trial fail.

    Returns:
        What is no mistake but worth knowing, in sentences.

    Raises:
        ConfigError: If there is no such inner loop.
        TaskError: If a model or the prompts are missing or unusable, or the inner loop does not do what `ppo` asks.
    """
    if entry_point == DEFAULT_INNER_LOOP:
        from inner_loop.models.task_check import check_task

        return check_task(task, evaluation)
    check = _check_of(entry_point)
    return [] if check is None else check(task, evaluation, ppo)


def _check_of(entry_point: str) -> Callable[[TaskConfig, EvaluationConfig, PPOConfig], list[str]] | None:
    import_inner_loop(entry_point)
    return getattr(sys.modules[entry_point.partition(":")[0]], CHECK, None)
