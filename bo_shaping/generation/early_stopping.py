"""Which running trials are not worth finishing: Ax's percentile rule on their learning curves.

Nothing of it is stored: the rule is a function of the configuration and of the curves in the experiment, so it is in
force after a resume. Only trials that a model or chance proposed are ended. The initial design holds the baselines that
a study is about, and the last part of the budget measures what is recommended.
"""

from ax.api.client import Client
from ax.core.experiment import Experiment
from ax.early_stopping.strategies.percentile import PercentileEarlyStoppingStrategy

from bo_shaping.config import EarlyStoppingConfig, StudyConfig
from bo_shaping.libraries.ax_internals import experiment_of
from bo_shaping.surrogate.outcomes import REWARD

STOPPABLE = ("model", "random")
"""Origins of trials that may be ended."""


def trials_to_stop(client: Client, config: StudyConfig, running: set[int]) -> dict[int, str]:
    """Those of the running trials that should end now, with the reason.

    Their curves are data of the experiment with a `step` (`outcomes.curve_data`), attached as far as they are known.
    """
    settings, experiment = config.early_stopping, experiment_of(client)
    if settings is None:
        return {}
    candidates = {
        index for index in running if experiment.trials[index].run_metadata.get("origin", "model") in STOPPABLE
    }
    rule = _percentile_rule(settings, n_steps=config.ppo.steps)
    if not candidates or not experiment.lookup_data().has_step_column:
        return {}
    behind = rule.should_stop_trials_early(trial_indices=candidates, experiment=experiment)
    return {index: _reason(experiment, settings, index) for index in sorted(behind)}


def _percentile_rule(settings: EarlyStoppingConfig, n_steps: int) -> PercentileEarlyStoppingStrategy:
    """Ax's strategy with a study's settings; a training at its last step is left to end by itself."""
    return PercentileEarlyStoppingStrategy(
        percentile_threshold=settings.percentile,
        min_progression=settings.min_step,
        max_progression=n_steps - 1 if n_steps - 1 > settings.min_step else None,
        min_curves=settings.min_curves,
        patience=settings.patience,
        n_best_trials_to_complete=settings.keep_top,
        normalize_progressions=False,
    )


def _reason(experiment: Experiment, settings: EarlyStoppingConfig, index: int) -> str:
    frame = experiment.lookup_data().full_df
    own = frame[(frame["trial_index"] == index) & (frame["metric_name"] == REWARD)]
    last = own.loc[own["step"].idxmax()]
    return (
        f"at step {last['step']:g} its reward of {last['mean']:.3g} was below the {settings.percentile:g}th percentile "
        "of the other trials"
    )
