"""The recommendation in words and numbers on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bo_shaping.config.searched_parameter import is_same
from bo_shaping.storage.records import TrialRecord
from bo_shaping.surrogate.recommendation import Best, Cost, Simplest
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.text.wording import (
    describe_prob_best,
    describe_probability,
    describe_rivals,
    describe_shares,
    describe_value,
)
from bo_shaping.views.trials_table import arm_text, reward_text


def print_best(console: Console, best: Best, records: Sequence[TrialRecord]) -> None:
    """Print the recommendation; `records` are those of the study's trials."""
    names = {**dict.fromkeys(best.weights, "weight"), **dict.fromkeys(best.parameters, "parameter")}
    values = {name: describe_value(value) for name, value in {**best.weights, **best.parameters}.items()}
    width, room = max(12, *map(len, names)), max(6, *map(len, values.values()))
    for name, title in names.items():
        how_sure = _how_sure(best, name)
        console.print(Text(f"{title:>9} {name:<{width}} {values[name]:>{room}}   {how_sure}"), soft_wrap=True)
    low, high = best.mean_interval
    beats = describe_rivals(best.prob_better_than, best.weights)
    divergence = "" if best.kl is None else f", expected KL {best.kl:.1f}"
    _print_lines(
        console,
        f"expected {best.reward} {best.mean:.3f} ({low:.3f} to {high:.3f}){divergence}",
        f"probability of being better than: {_listed(beats)}",
        f"expected regret {best.regret:.3f}: what the best point may give beyond this one, on average",
        f"from {best.n_trials} finished trials; {_measured(best, records)}",
    )
    if best.simplest is not None:
        _print_lines(console, _simpler(best.simplest))
    if best.borrowed is not None:
        _print_lines(console, *map(visible_text, best.borrowed.sentences()))
    if best.front:
        _print_front(console, best)
    if best.note:
        _print_lines(console, f"Note: {best.note}")


def print_posterior(console: Console, best: Best) -> None:
    """Print what else the Gaussian process knows: who may be the best, what matters, what could be left out."""
    groups = [
        f"{' + '.join(group.components)}: together 90 % between {group.total[0]:.2f} and {group.total[1]:.2f}"
        for group in best.joint
    ]
    if best.prob_face is not None:
        _print_lines(
            console,
            "probability that no other component is needed beside those recommended: "
            f"{describe_probability(best.prob_face)}",
        )
    _print_lines(
        console,
        f"probability of being the best, alone: {_listed(describe_prob_best(best.prob_best))}",
        *([f"weights that cannot be told apart: {'; '.join(groups)}"] if groups else []),
        f"leaving a component out costs: {_listed({name: _cost(cost) for name, cost in best.leaving_out.items()})}",
        *([f"what matters over the search space: {_listed(_shares(best))}"] if best.matters else []),
    )


def _how_sure(best: Best, name: str) -> str:
    if name in best.prob_value:
        return f"best with probability: {describe_shares(best.prob_value[name])}"
    low, high = best.interval[name]
    return f"90 % between {low:.3g} and {high:.3g}"


def _simpler(other: Simplest) -> str:
    return (
        f"simpler, and not known to be worse: {arm_text(other.weights, other.parameters)}; it costs "
        f"{_cost(other.cost)}, and such a mixture is the best of all with {describe_probability(other.prob_best)}"
    )


def _cost(cost: Cost) -> str:
    return f"{max(cost.mean, 0.0):.3f} ± {cost.sd:.3f}"


def _shares(best: Best) -> dict[str, str]:
    """What matters, most first."""
    ordered = sorted(best.matters.items(), key=lambda item: -item[1])
    return {name: f"{100 * share:.0f} %" for name, share in ordered}


def _print_front(console: Console, best: Best) -> None:
    """The Pareto front, from least to most KL."""
    names = [*best.weights, *best.parameters]
    table = Table(box=None, header_style="bold", pad_edge=False, title="Pareto front", title_justify="left")
    for name in (*names, "reward", "90 %", "KL", "90 %"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in best.front:
        values = [f"{weight:.2f}" for weight in point.weights.values()]
        values += map(describe_value, point.parameters.values())
        (low, high), (least, most) = point.mean_interval, point.kl_interval
        table.add_row(
            *values, f"{point.mean:.3f}", f"{low:.2f} to {high:.2f}", f"{point.kl:.1f}", f"{least:.1f} to {most:.1f}"
        )
    console.print(table)


def _print_lines(console: Console, *lines: str) -> None:
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
    here, there = {**best.weights, **best.parameters}, {**trial.weights, **trial.parameters}
    return all(is_same(value, there[name]) for name, value in here.items())


def _listed(words: dict[str, str]) -> str:
    return ", ".join(f"{name} {word}" for name, word in words.items())
