"""What seeds add to outcomes, taken out before Ax's Gaussian process sees them.

Two arms that share a seed (and so prompts, sampling noise and minibatch order) share a part of their luck. With one
seed for all arms that part is a constant and harms no comparison. With several (`noise.seeds`, or the fresh seeds of
the last trials) it would pass for a difference between arms.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ax.adapter.data_utils import ExperimentData
from ax.adapter.transforms.base import Transform
from ax.core.parameter import ChoiceParameter, Parameter, RangeParameter
from ax.core.search_space import SearchSpace
from ax.storage.transform_registry import register_transform

from bo_shaping.config import ParameterRange, ParameterValues
from bo_shaping.config.searched_parameter import SearchedParameter
from bo_shaping.libraries.ax_internals import experiment_of_adapter
from bo_shaping.space.arms import PREFIX
from bo_shaping.space.encoding import WEIGHT, Axes, encode
from bo_shaping.surrogate.gaussian_process import GaussianProcess
from bo_shaping.surrogate.observations import TrialOutcome, finished, pooled_sems, rows

N_HYPER = 8
"""Hyper-parameter draws behind the effects of seeds: their mean needs fewer than an interval does."""


def effects(outcomes: Mapping[int, TrialOutcome], metric: str, axes: Axes) -> dict[int, float]:
    """What each seed adds to a metric, shrunk towards nothing as far as the trials leave it open."""
    seeds = {seed for outcome in outcomes.values() for seed in outcome.seeds}
    if len(seeds) < 2:
        return dict.fromkeys(seeds, 0.0)
    data = rows(outcomes.values(), metric)
    process = GaussianProcess.of(encode(axes, data.arms), data, n_hyper=N_HYPER)
    return dict.fromkeys(seeds, 0.0) | process.seed_effects()


class ComparableOutcomes(Transform):
    """An Ax transform that puts the outcomes of all trials on an equal footing; see `observations`.

    Effects of seeds are taken out, stopped trainings count as what they would have reached, partial curves of running
    trials count for nothing, and all trials have a standard error or none has.
    """

    requires_data_for_initialization = True

    def transform_experiment_data(self, experiment_data: ExperimentData) -> ExperimentData:
        """The data with comparable outcomes, one row per finished trial."""
        experiment = experiment_of_adapter(self.adapter)
        axes, outcomes = axes_of_space(experiment.search_space), finished(experiment)
        frame = experiment_data.observation_data
        if extra_levels := [name for name in frame.index.names if name not in ("trial_index", "arm_name")]:
            frame = frame.droplevel(extra_levels)
        indices = frame.index.get_level_values("trial_index")
        known = indices.isin(list(outcomes))
        frame, indices = frame.loc[known].copy(), indices[known]
        for metric in frame["mean"].columns:
            kept = {index: outcome for index, outcome in outcomes.items() if metric in outcome.means}
            shifts = effects(kept, metric, axes)
            sems = pooled_sems(kept, metric) or {}
            frame["mean", metric] = [_adjusted(kept.get(index), metric, shifts) for index in indices]
            frame["sem", metric] = [sems.get(index, np.nan) for index in indices]
        arm_data = experiment_data.arm_data
        return ExperimentData(arm_data=arm_data.loc[arm_data.index.isin(frame.index)], observation_data=frame)


def axes_of_space(space: SearchSpace) -> dict[str, SearchedParameter]:
    """The coordinates of `encoding.axes_of`, from what Ax knows."""
    axes = {name: _axis(parameter) for name, parameter in space.parameters.items()}
    return {name: axis for name, axis in axes.items() if axis is not None}


def _axis(parameter: Parameter) -> SearchedParameter | None:
    """None where nothing is searched."""
    if isinstance(parameter, ChoiceParameter):
        return ParameterValues(values=tuple(parameter.values))
    if not isinstance(parameter, RangeParameter):
        return None
    if parameter.name.startswith(PREFIX):
        return WEIGHT
    return ParameterRange(bounds=(parameter.lower, parameter.upper), log=parameter.log_scale)


def _adjusted(outcome: TrialOutcome | None, metric: str, shifts: Mapping[int, float]) -> Any:
    if outcome is None:
        return np.nan
    return outcome.means[metric] - float(np.mean([shifts[seed] for seed in outcome.seeds]))


register_transform(ComparableOutcomes)
