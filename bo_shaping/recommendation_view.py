"""The recommendation in words and numbers on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from bo_shaping.recommendation import Best
from bo_shaping.store import TrialRecord
from bo_shaping.trials_view import arm_text, reward_text
from bo_shaping.wording import describe_probability

_SAME = 1e-6
"""Arms whose numbers differ by less are the same one."""


def print_best(console: Console, best: Best, records: Sequence[TrialRecord]) -> None:
    """Print the recommendation; `records` are those of the study's trials."""
    for title, values in (("weight", best.weights), ("parameter", best.parameters)):
        for name, value in values.items():
            low, high = best.interval[name]
            console.print(f"{title:>9} {name:<12} {value:6.3g}   90 % between {low:.3g} and {high:.3g}")
    low, high = best.mean_interval
    lines = [
        f"expected reward {best.mean:.3f} ({low:.3f} to {high:.3f}), expected KL {best.kl:.1f}",
        f"probability of being better than: {_probabilities(best.prob_better_than)}",
        f"from {best.n_trials} completed trials; {_measured(best, records)}",
        *([f"Note: {best.note}"] if best.note else []),
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _measured(best: Best, records: Sequence[TrialRecord]) -> str:
    """What the trial nearest to the recommendation measured, and whether it is the recommendation itself."""
    trial = next((record for record in records if record.index == best.nearest_trial), None)
    if trial is None:
        return f"the nearest is trial {best.nearest_trial}"
    measured = f"reward {reward_text(trial)}" + ("" if trial.kl is None else f", KL {trial.kl:.2f}")
    if _is_run_of(best, trial):
        return f"trial {trial.index} ran these very weights: {measured}"
    return (
        f"none ran these very weights, the nearest is trial {trial.index}: "
        f"{arm_text(trial.weights, trial.parameters)}; {measured}"
    )


def _is_run_of(best: Best, trial: TrialRecord) -> bool:
    here, there = best.weights | best.parameters, trial.weights | trial.parameters
    return all(abs(here[name] - there[name]) <= _SAME * max(1.0, abs(here[name])) for name in here)


def _probabilities(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {describe_probability(value)}" for name, value in values.items())
