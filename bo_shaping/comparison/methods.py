"""Ways to pay tokens as search spaces: one component alone, as it is given too, or the mixture that a study learns."""

from collections.abc import Sequence

from bo_shaping.config import SearchSpaceConfig, StudyConfig
from bo_shaping.config.tunable import OF_ATTRIBUTION
from bo_shaping.errors import ConfigError
from inner_loop.io.schema import nearest
from inner_loop.spec import COMPONENTS, SPARSE

LEARNED = "learned"
"""The mixture of all components of the configuration."""

UNTUNED = "-untuned"
"""After the name of a component: at the training parameters of the configuration, which no trial has chosen."""

SPREAD_WITHOUT_UNITS = frozenset({SPARSE, "uniform", "attention", "entropy"})
"""Components that explain no units, so that how fine these are changes nothing."""


def check_methods(methods: Sequence[str]) -> None:
    """Raise `ConfigError` unless each is a component, tuned or not, or `learned`, and stands there once."""
    known = (*COMPONENTS, LEARNED)
    for method in methods:
        if method.removesuffix(UNTUNED) not in known or method == LEARNED + UNTUNED:
            raise ConfigError(
                f"There is no method {method!r}, did you mean {nearest(method, known)!r}? Methods: {', '.join(known)}; "
                f"and components as they are given, such as shap{UNTUNED}."
            )
    if len(set(methods)) < len(methods) or len(methods) < 2:
        raise ConfigError(f"Name at least two different methods to compare, got {', '.join(methods) or 'none'}.")


def config_of(config: StudyConfig, method: str, n_trials: int) -> StudyConfig:
    """The study that finds a method's own best training parameters, over the ranges of the configuration.

    Gold reward models judge what was found, and have no part in finding it.

    Args:
        config: What is compared: its task, its training, its ranges.
        method: A component, tuned or not, or `learned`.
        n_trials: Trials that every method has.

    Raises:
        ConfigError: If nothing is left to search.
    """
    space = config.search_space
    if method != LEARNED:
        space = _alone(space, method.removesuffix(UNTUNED))
    settings = config.model_dump(exclude={"search_space": True, "name": True, "budget": True, "evaluation": {"gold"}})
    budget = config.budget.model_dump() | {"trials": n_trials}
    return StudyConfig.model_validate(
        {**settings, "name": f"{config.name}-{method}", "budget": budget, "search_space": space.model_dump()}
    )


def _alone(space: SearchSpaceConfig, component: str) -> SearchSpaceConfig:
    useless = set[str]()
    if component in SPREAD_WITHOUT_UNITS:
        useless |= set(OF_ATTRIBUTION)
    if component == SPARSE:
        useless |= {"to_sparse"}
    parameters = {name: value for name, value in space.parameters.items() if name not in useless}
    if not parameters:
        raise ConfigError(
            f"search_space.parameters: {', '.join(space.parameters) or 'nothing'} is searched, of which nothing "
            f"matters for {component!r}; search gae_lambda or learning_rate, so that each method is at its best."
        )
    other = SPARSE if component != SPARSE else "uniform"
    return SearchSpaceConfig(components=(component, other), fixed={component: 1.0}, parameters=parameters)
