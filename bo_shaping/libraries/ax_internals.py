"""Private names of Ax that a study cannot do without (`ax-platform` 1.3)."""

import copy
from typing import Any

from ax.adapter.base import Adapter, GenResults
from ax.adapter.torch import TorchAdapter
from ax.api.client import Client
from ax.core.base_trial import BaseTrial
from ax.core.data import Data, DataRow
from ax.core.experiment import Experiment
from ax.core.generator_run import GeneratorRun
from ax.generation_strategy.generation_node import GenerationNode
from ax.generation_strategy.generation_strategy import GenerationStrategy
from ax.generators.torch.botorch_modular.acquisition import Acquisition
from ax.generators.torch.utils import _to_equality_constraints as to_equality_constraints

__all__ = [
    "current_node",
    "data_rows",
    "experiment_of",
    "experiment_of_adapter",
    "fit",
    "forget_how_it_was_made",
    "forget_status_quo",
    "forget_status_reason",
    "generate_with",
    "order_trials",
    "set_run_metadata",
    "strategy_of",
    "to_equality_constraints",
    "without_trials",
]


def experiment_of(client: Client) -> Experiment:
    """The client's experiment itself: the public interface hands out copies of single facts only."""
    experiment: Experiment = client._experiment
    return experiment


def strategy_of(client: Client) -> GenerationStrategy:
    """The client's generation strategy: its public form is a choice between named methods."""
    strategy: GenerationStrategy = client._generation_strategy
    return strategy


def current_node(strategy: GenerationStrategy) -> GenerationNode:
    """The node that the strategy asks next; only its name is public."""
    node: GenerationNode = strategy._curr
    return node


def fit(node: GenerationNode, experiment: Experiment) -> None:
    """Fit the node without asking it for a candidate, which is the only public occasion."""
    node._fit(experiment=experiment)


def experiment_of_adapter(adapter: Adapter) -> Experiment:
    """The experiment that an adapter was fitted to: a transform is given the data only."""
    experiment: Experiment = adapter._experiment
    return experiment


def generate_with(adapter: TorchAdapter, ours: type[Acquisition], *, in_place_of: type[Acquisition]) -> None:
    """Let the adapter generate with `ours`, also after an analysis of Ax has put another class into its generator.

    While it generates, it does not look for the best arm so far, so generator runs carry none. Where there are limits,
    Ax draws ten thousand times for every arm to see whether it keeps to them, which takes a third as long as finding
    the candidate. The adapter itself still knows its best arm, and `Client.get_best_parameterization` asks it.
    """
    # Ax reads the signature of `gen`, and not of `_gen`.
    generate = adapter._gen
    if getattr(generate, "__name__", "") == "generate_with_ours":
        return

    def generate_with_ours(*arguments: Any, **options: Any) -> GenResults:
        generator = adapter.generator
        if generator.acquisition_class is in_place_of:
            generator.acquisition_class = ours
        generator.best_point = _no_best_point
        try:
            return generate(*arguments, **options)
        finally:
            del generator.best_point

    adapter._gen = generate_with_ours


def _no_best_point(**_: Any) -> None:
    """None, as from a generator that does not know its best point."""


def forget_how_it_was_made(generator_run: GeneratorRun) -> None:
    """Drop the names of our classes: with them, an Ax without this package cannot load the experiment."""
    generator_run._generator_kwargs = generator_run._adapter_kwargs = None
    if generator_run.gen_metadata is not None:
        generator_run.gen_metadata.pop("models_used", None)


def forget_status_reason(trial: BaseTrial) -> None:
    """Let a trial that has ended begin again, which Ax has no word for."""
    trial._status_reason = trial._time_completed = None


def forget_status_quo(experiment: Experiment) -> None:
    """Compare with no arm: Ax would show every outcome as a percentage of it, and lets nobody change it later."""
    experiment._status_quo = None


def set_run_metadata(trial: BaseTrial, metadata: dict[str, Any]) -> None:
    """Replace the trial's metadata; the public interface can only add to them."""
    trial._run_metadata = metadata


def data_rows(experiment: Experiment) -> list[DataRow]:
    """The experiment's data row by row; `data.df` makes a table of them at every call, which takes far longer."""
    return list(experiment.data._data_rows)


def without_trials(experiment: Experiment) -> Experiment:
    """A shallow copy of the experiment that has neither its trials nor their data."""
    other = copy.copy(experiment)
    other._trials, other.data = {}, Data()
    return other


def order_trials(experiment: Experiment) -> None:
    """Put the trials into the order of their indices, as they were made: PostgreSQL returns rows in any order."""
    experiment._trials = dict(sorted(experiment.trials.items()))
