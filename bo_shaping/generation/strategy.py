"""From finished trials to the next arm: a Gaussian process and log noisy expected improvement, inside Ax.

The strategy is a function of the configuration and the trials alone, so nothing of it is stored: a resumed study
proposes what the uninterrupted one would have.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from ax.adapter.registry import Generators
from ax.adapter.transforms.choice_encode import OrderedChoiceToIntegerRange
from ax.adapter.transforms.derelativize import Derelativize
from ax.adapter.transforms.int_to_float import IntToFloat
from ax.adapter.transforms.log import Log
from ax.adapter.transforms.remove_fixed import RemoveFixed
from ax.adapter.transforms.standardize_y import StandardizeY
from ax.api.client import Client
from ax.core.arm import Arm
from ax.core.data import Data
from ax.core.experiment import Experiment
from ax.core.trial_status import TrialStatus
from ax.generation_strategy.generation_strategy import GenerationNode, GenerationStrategy
from ax.generation_strategy.generator_spec import GeneratorSpec
from ax.generators.torch.botorch_modular.multi_acquisition import MultiAcquisition
from ax.generators.torch.botorch_modular.surrogate import SurrogateSpec
from ax.generators.torch.botorch_modular.utils import ModelConfig
from ax.utils.common.random import with_rng_seed
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement

from bo_shaping.config import RelatedTask, StudyConfig
from bo_shaping.generation.acquisition import SimplexAcquisition, SimplexFrontier
from bo_shaping.generation.candidate_process import CandidateProcess
from bo_shaping.generation.design import initial_design, random_arm
from bo_shaping.generation.knowledge_gradient import LatticeKnowledgeGradient
from bo_shaping.generation.noisy_improvement import NoisyImprovement
from bo_shaping.generation.older_kernel import surrogate_spec
from bo_shaping.generation.replicates import Proposal, next_replicate, usual_seeds
from bo_shaping.libraries.ax_internals import (
    current_node,
    experiment_of,
    fit,
    forget_how_it_was_made,
    generate_with,
    strategy_of,
)
from bo_shaping.space.arms import ax_search_space
from bo_shaping.surrogate.joint_posterior import MIN_FINISHED
from bo_shaping.surrogate.observations import finished
from bo_shaping.surrogate.outcomes import KL, REWARD
from bo_shaping.surrogate.seed_effects import ComparableOutcomes

BASELINE = "baseline"
"""Name of the first arm, pure sparse: Ax's status quo."""

# Held weights are no inputs, and counts are modelled as if they were continuous. Values in an order become their places
# after that, so that they stay whole: `SimplexAcquisition` tries each of them. Beyond that, outcomes are only made
# comparable and scaled: winsorising or log-compressing them would leave the posterior in units that nobody can read.
_TRANSFORMS = [
    Derelativize,
    ComparableOutcomes,
    RemoveFixed,
    IntToFloat,
    Log,
    OrderedChoiceToIntegerRange,
    StandardizeY,
]


def new_experiment(config: StudyConfig) -> Experiment:
    """An empty Ax experiment for the study: search space, objective and constraints."""
    client = Client()
    client.set_experiment(
        Experiment(
            name=config.name,
            search_space=ax_search_space(config.search_space),
            status_quo=Arm(name=BASELINE, parameters=dict(initial_design(config)[0])),
        )
    )
    limits = config.objective.limits
    if config.objective.pareto:
        # KL is an objective then: Ax takes its budget for the end of the front, and knows no least KL of one.
        limits = [limit for limit in limits if (limit.metric, limit.sign) != (KL, ">=")]
    constraints = [str(limit) for limit in limits]
    if config.objective.pareto:
        client.configure_optimization(f"{REWARD}, -{KL}", outcome_constraints=constraints or None)
    else:
        client.configure_optimization(REWARD, outcome_constraints=constraints or None)
    experiment = experiment_of(client)
    if KL not in experiment.metrics:
        client.configure_tracking_metrics([KL])
    return experiment


def new_client(experiment: Experiment, related: tuple[RelatedTask, ...] = ()) -> Client:
    """An Ax client around an experiment, with our strategy. It has no database: `bo_shaping.storage.database` saves.

    Args:
        experiment: The study's.
        related: Older tasks whose surfaces its Gaussian process learns from.
    """
    quiet_ax()
    client = Client()
    surrogates = (
        surrogate_spec(experiment.search_space, related)
        if related
        else SurrogateSpec(model_configs=[ModelConfig(botorch_model_class=CandidateProcess)])
    )
    client.set_experiment(experiment)
    node = GenerationNode(
        name="simplex-gp",
        generator_specs=[
            _SimplexSpec(
                generator_enum=Generators.BOTORCH_MODULAR,
                generator_kwargs={
                    "transforms": _TRANSFORMS,
                    "acquisition_class": SimplexAcquisition,
                    "botorch_acqf_class": _acquisition_function(experiment, "lognei"),
                    "surrogate_spec": surrogates,
                },
            )
        ],
        # `SimplexAcquisition` keeps its distance from arms that were run, which is stricter.
        should_deduplicate=False,
    )
    client.set_generation_strategy(GenerationStrategy(name="design+simplex-gp", nodes=[node]))
    return client


class _SimplexSpec(GeneratorSpec):
    """Ax's generator, whose analyses choose on the simplex, too, whoever has it fitted and however often."""

    def fit(self, experiment: Experiment, data: Data | None = None, **generator_kwargs: Any) -> None:
        """As that of Ax."""
        super().fit(experiment, data, **generator_kwargs)
        generate_with(self.fitted_adapter, SimplexFrontier, in_place_of=MultiAcquisition)


def propose(client: Client, config: StudyConfig) -> int:
    """Add the next trial to the client's experiment, as running, and return its index.

    Its `run_metadata` say which seeds it runs (`seeds`) and who chose the arm (`origin`). Everything depends on the
    configuration and on trials only; ask `must_wait` first whether to wait for trials that are running.
    """
    experiment = experiment_of(client)
    index = len(experiment.trials)
    proposal = _proposal(experiment, config)
    if proposal is None:
        options = current_node(strategy_of(client)).generator_specs[0].generator_kwargs
        options["botorch_acqf_class"] = _acquisition_function(experiment, config.design.acquisition)
        # The seed of each proposal comes from the study's seed and the number of trials so far.
        with one_thread(seed=config.seed * 1_000_003 + index):
            client.get_next_trials(max_trials=1)
        # How it was made names our classes, with which plain Ax could not load the experiment.
        forget_how_it_was_made(experiment.trials[index].generator_run)
        proposal = Proposal({}, usual_seeds(config, index), "model")
    else:
        client.attach_trial(proposal.arm)
    experiment.trials[index].update_run_metadata({"seeds": proposal.seeds, "origin": proposal.origin})
    return index


def _proposal(experiment: Experiment, config: StudyConfig) -> Proposal | None:
    """The next trial if it does not take an acquisition function to choose it."""
    index = len(experiment.trials)
    design = initial_design(config)
    if index < len(design):
        return Proposal(dict(design[index]), usual_seeds(config, index), "design")
    if len(finished(experiment)) < MIN_FINISHED:
        return Proposal(dict(random_arm(config, index)), usual_seeds(config, index), "random")
    return next_replicate(experiment, config) or _without_baseline(experiment, config)


def _without_baseline(experiment: Experiment, config: StudyConfig) -> Proposal | None:
    """What to run while limits are relative to a baseline that has no result: no acquisition function can be asked.

    A baseline that failed is tried once more. Whoever waits for it, or cannot have it, gets random arms.
    """
    if not any(limit.relative for limit in config.objective.limits):
        return None
    index, baseline = len(experiment.trials), experiment.status_quo
    tried = {i: trial for i, trial in experiment.trials.items() if trial.arm.signature == baseline.signature}
    if tried.keys() & finished(experiment).keys():
        return None
    if len(tried) == 1 and all(trial.status == TrialStatus.FAILED for trial in tried.values()):
        return Proposal(dict(baseline.parameters), usual_seeds(config, index), "design")
    return Proposal(dict(random_arm(config, index)), usual_seeds(config, index), "random")


def fit_strategy(client: Client, seed: int) -> None:
    """Fit the client's strategy if it can be and is not, so that Ax's own predictions and analyses work at once."""
    strategy, experiment = strategy_of(client), experiment_of(client)
    if strategy.adapter is None and len(finished(experiment)) >= MIN_FINISHED:
        with one_thread(seed):
            fit(current_node(strategy), experiment)


def _acquisition_function(experiment: Experiment, name: str) -> type[AcquisitionFunction]:
    if experiment.optimization_config.is_moo_problem:
        return qLogNoisyExpectedHypervolumeImprovement
    return LatticeKnowledgeGradient if name == "kg" else NoisyImprovement


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
