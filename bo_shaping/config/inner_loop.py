"""Which inner loop a study runs: a function named in its configuration, found before the first trial."""

from collections.abc import Callable, Generator

from bo_shaping.errors import ConfigError
from inner_loop.errors import EntryPointError
from inner_loop.io.entry_points import import_function
from inner_loop.spec import EvaluationConfig, TaskConfig, TrialProgress, TrialResult

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


def check_inner_loop(entry_point: str, task: TaskConfig, evaluation: EvaluationConfig) -> list[str]:
    """Find out before the first trial what would make every trial fail.

    Returns:
        What is no mistake but worth knowing, in sentences.

    Raises:
        ConfigError: If there is no such inner loop.
        TaskError: If our own has no use for the task: a model or the prompts are missing or unusable.
    """
    if entry_point == DEFAULT_INNER_LOOP:
        from inner_loop.models.task_check import check_task

        return check_task(task, evaluation)
    import_inner_loop(entry_point)
    return []
