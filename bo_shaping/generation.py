"""From finished trials to the next arm: a Gaussian process and log noisy expected improvement, inside Ax.

The strategy is a function of the configuration and the trials alone, so nothing of it is stored: a resumed study
proposes what the uninterrupted one would have.
"""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from ax.adapter.base import Adapter
from ax.adapter.registry import Generators
from ax.adapter.transforms.log import Log
from ax.adapter.transforms.standardize_y import StandardizeY
from ax.api.client import Client
from ax.core.arm import Arm
from ax.core.experiment import Experiment
from ax.core.trial_status import TrialStatus
from ax.generation_strategy.generation_strategy import GenerationNode, GenerationStrategy
from ax.generation_strategy.generator_spec import GeneratorSpec
from ax.utils.common.random import with_rng_seed
from botorch.acquisition.logei import qLogNoisyExpectedImprovement

from bo_shaping.acquisition import MIN_DISTANCE, SimplexAcquisition
from bo_shaping.config import SearchSpaceConfig, StudyConfig
from bo_shaping.design import initial_design, random_arm
from bo_shaping.posterior import recommend
from bo_shaping.search_space import ax_search_space, to_arm

REWARD, KL = "reward", "kl"
"""Names of the two metrics in Ax."""

BASELINE = "baseline"
"""Name of the first arm, pure sparse: Ax's status quo."""

MIN_COMPLETED = 3
"""Completed trials needed before a Gaussian process is fitted."""

# Only scaling: winsorising or log-compressing outcomes would leave the posterior in units that nobody can read.
_TRANSFORMS = [Log, StandardizeY]


def new_experiment(config: StudyConfig) -> Experiment:
    """An empty Ax experiment for the study: search space, objective and KL budget."""
    client = Client()
    client.set_experiment(
        Experiment(
            name=config.name,
            search_space=ax_search_space(config.search_space),
            status_quo=Arm(name=BASELINE, parameters=dict(initial_design(config)[0])),
        )
    )
    max_kl = config.objective.max_kl
    client.configure_optimization(REWARD, outcome_constraints=None if max_kl is None else [f"{KL} <= {max_kl}"])
    if max_kl is None:
        client.configure_tracking_metrics([KL])
    return client._experiment


def new_client(experiment: Experiment) -> Client:
    """An Ax client around an experiment, with our strategy. It has no database: `bo_shaping.database` saves."""
    quiet_ax()
    client = Client()
    client.set_experiment(experiment)
    node = GenerationNode(
        name="simplex-gp",
        generator_specs=[
            GeneratorSpec(
                generator_enum=Generators.BOTORCH_MODULAR,
                generator_kwargs={
                    "transforms": _TRANSFORMS,
                    "acquisition_class": SimplexAcquisition,
                    "botorch_acqf_class": qLogNoisyExpectedImprovement,
                },
            )
        ],
        # `SimplexAcquisition` keeps its distance from arms that were run, which is stricter.
        should_deduplicate=False,
    )
    client.set_generation_strategy(GenerationStrategy(name="design+simplex-gp", nodes=[node]))
    return client


def propose(client: Client, config: StudyConfig) -> int:
    """As `_propose`, with the seeds and the origin of the trial in its run metadata."""
    index = _propose(client, config)
    seeds = [config.seed + replicate for replicate in range(config.noise.replicates)]
    origin = "design" if index < len(initial_design(config)) else "model"
    client._experiment.trials[index].update_run_metadata({"seeds": seeds, "origin": origin})
    return index


def _propose(client: Client, config: StudyConfig) -> int:
    """Add the next trial to the client's experiment, as running, and return its index.

    The seed of each proposal comes from the study's seed and the number of trials so far.
    """
    trials = client._experiment.trials
    index = len(trials)
    design = initial_design(config)
    if index < len(design):
        return int(client.attach_trial(design[index]))
    if sum(trial.status == TrialStatus.COMPLETED for trial in trials.values()) < MIN_COMPLETED:
        return int(client.attach_trial(random_arm(config, index)))
    if config.budget.trials - config.budget.confirm <= index < config.budget.trials:
        best = recommend(client._experiment, config)[0]
        arm = to_arm(best.weights, best.parameters)
        if all(_differ(arm, trial.arm.parameters, config.search_space) for trial in trials.values()):
            return int(client.attach_trial(arm))
    with one_thread(seed=config.seed * 1_000_003 + index):
        (proposed,) = client.get_next_trials(max_trials=1)
    return int(proposed)


def _differ(arm: Mapping[str, float], other: Mapping[str, float], space: SearchSpaceConfig) -> bool:
    """Whether two arms are further apart than `MIN_DISTANCE` in some coordinate, in units of the box."""
    distances = [abs(arm[name] - other[name]) for name in arm if name not in space.parameters]
    for name, parameter in space.parameters.items():
        scale = math.log if parameter.log else float
        lower, upper, here, there = (scale(value) for value in (*parameter.bounds, arm[name], other[name]))
        distances.append(abs(here - there) / (upper - lower))
    return max(distances) > MIN_DISTANCE


def fit_strategy(client: Client, seed: int) -> None:
    """Fit the client's strategy if it can be and is not, so that Ax's own predictions and analyses work at once."""
    trials, strategy = client._experiment.trials.values(), client._generation_strategy
    if strategy.adapter is None and sum(t.status == TrialStatus.COMPLETED for t in trials) >= MIN_COMPLETED:
        with one_thread(seed):
            strategy._curr._fit(experiment=client._experiment)


def fit(experiment: Experiment) -> Adapter:
    """The Gaussian process of all completed trials, behind an Ax adapter."""
    quiet_ax()
    return Generators.BOTORCH_MODULAR(experiment=experiment, data=experiment.lookup_data(), transforms=_TRANSFORMS)


@contextmanager
def one_thread(seed: int) -> Iterator[None]:
    """Seeded, single-threaded torch; both are put back afterwards.

    These matrices are small, and threads that spin beside busy trials made a fit twenty times slower.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with with_rng_seed(seed % 2**32):
            yield
    finally:
        torch.set_num_threads(n_threads)


def quiet_ax() -> None:
    """Ax reports every step at INFO; the driver has its own display."""
    logging.getLogger("ax").setLevel(logging.ERROR)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("ax."):
            logging.getLogger(name).setLevel(logging.ERROR)
