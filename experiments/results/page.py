"""The page of one comparison, from its stored trainings."""

import json
import math
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from bo_shaping.comparison.methods import LEARNED, UNTUNED
from bo_shaping.comparison.statistics import (
    ALSO_MEASURED,
    Training,
    equal_kls,
    mean,
    paired_difference,
    ratio_of_means,
    rewards_at,
)
from bo_shaping.comparison.stored import read_comparison
from bo_shaping.comparison.summary import Comparison, Row
from bo_shaping.text.wording import describe_value
from bo_shaping.views.comparison_table import at_equal_kl, short
from experiments.docs.markdown import table
from experiments.results.tasks import ResultTask

LATER = "†"
"""Stands at a method that was trained later than the others."""

POWERED = 1.959964 + 0.841621
"""Standard errors of a difference that an interval of 95 % misses in one of five comparisons."""


def page_of(task: ResultTask, file: Path) -> str:
    """The page.

    Args:
        task: What was compared.
        file: What its comparison wrote down.
    """
    stored = read_comparison(file)
    comparison, trainings = stored.comparison, stored.trainings
    data = json.loads(file.read_text(encoding="utf-8"))
    later = {method for each in data.get("added", []) for method in each["methods"]}
    parts = [
        f"# {task.title}",
        _setup(task, comparison, data),
        f"![Reward by step]({task.pictures['steps'].name})",
        f"![Reward by KL]({task.pictures['kl'].name})",
        "## Each at its best",
        _at_their_best(comparison, later),
        f"## Beside {comparison.baseline}",
        _beside(comparison, later),
        "## Judged by others",
        _judged_by_others(comparison, later),
        "## Does the mixture pay?",
        _mixture(comparison, trainings),
        "## Made on",
        _made_on(data),
    ]
    return "\n\n".join(parts) + "\n"


def _setup(task: ResultTask, comparison: Comparison, data: Mapping[str, Any]) -> str:
    ppo, judged = data["config"]["ppo"], data["config"]["evaluation"]["n_prompts"]
    searched = ", ".join(f"`{name}`" for name in data["config"]["search_space"]["parameters"])
    budget = f"; it ends at a KL of {comparison.max_kl:g} nats per response" if comparison.max_kl else ""
    return (
        f"{task.setup}\n\nEvery method was tuned with {comparison.n_trials} trials over {searched}, as a study of its "
        f"own, and then trained with the same {comparison.n_seeds} fresh seeds: {ppo['steps']} steps of "
        f"{ppo['rollout_size']} responses{budget}. {judged} held-out prompts judge. Intervals are 95 % bootstrap "
        "intervals over seeds, and differences are paired by seed. [Judging what was learned](../../docs/judging.md) "
        "defines the columns.\n\n"
        f"    python -m experiments.results {task.name}"
    )


def _at_their_best(comparison: Comparison, later: Set[str]) -> str:
    heads = [
        "method",
        "parameters",
        "held reward",
        "final",
        "KL",
        "steps",
        "at equal KL",
        "seconds",
    ]
    rows = [
        [
            _named(row, later),
            ", ".join(f"{name} {describe_value(value)}" for name, value in row.parameters.items()),
            short(row.held),
            short(row.final),
            f"{row.kl:.1f}",
            "1" if row.method == comparison.baseline else short(row.steps),
            at_equal_kl(row),
            f"{row.seconds:.0f}",
        ]
        for row in comparison.rows
    ]
    learned = [row for row in comparison.rows if row.method == LEARNED]
    mixture = ", ".join(f"{value:.2f} {name}" for row in learned for name, value in row.weights.items())
    steps = (
        f"Steps are those to the final reward of {comparison.baseline}, {comparison.goal:.2f}, in units of its own. "
    )
    if not rose(comparison):
        steps = f"{comparison.baseline} ended no higher than the policy began, so there are no steps to compare. "
    words = f"{steps}Seconds are of the training, explaining the reward model included."
    return f"{table(heads, rows)}\n\n{words}" + (f" Learned: {mixture}." if mixture else "")


def _named(row: Row, later: Set[str]) -> str:
    return f"{row.method}{LATER}" if row.method in later else row.method


def rose(comparison: Comparison) -> bool:
    """Whether the baseline ended higher than the policy began: otherwise everybody is at its final reward at once."""
    return not any(math.isnan(row.steps.value) for row in comparison.rows)


def _beside(comparison: Comparison, later: Set[str]) -> str:
    heads = ["method", "held reward", "at equal KL", "at equal seconds", "P(better)", "got there"]
    rows = [
        [
            _named(row, later),
            *(short(each, signed=True) for each in (row.difference, row.at_kl_difference, row.at_seconds_difference)),
            f"{row.improves:.2f}",
            f"{row.n_there} of {comparison.n_seeds}",
        ]
        for row in comparison.rows
        if row.difference is not None
    ]
    return (
        f"{table(heads, rows)}\n\nP(better): probability that a training of it holds more reward than one of "
        f"{comparison.baseline}. Got there: trainings that reached the final reward of {comparison.baseline}. Equal "
        f"seconds: {comparison.equal_seconds:.0f}."
    )


def _judged_by_others(comparison: Comparison, later: Set[str]) -> str:
    names = [*(name for name in comparison.rows[0].also if name not in ALSO_MEASURED), *ALSO_MEASURED]
    heads = ["method", *names]

    def cell(row: Row, name: str) -> str:
        also = row.also[name]
        less = f"; {short(also.at_kl_difference, signed=True)}" if also.at_kl_difference else ""
        return f"{also.at_kl.value:.3g}{less}"

    rows = [[_named(row, later), *(cell(row, name) for name in names)] for row in comparison.rows]
    return (
        f"{table(heads, rows)}\n\nThe mean at equal KL, then the difference to {comparison.baseline} at that KL. "
        "If a judge that nobody trained on agrees, the reward is not only what its model overrates."
    )


def _mixture(comparison: Comparison, trainings: Mapping[str, Sequence[Training]]) -> str:
    best = best_single(comparison)
    fixed = next((row.method for row in comparison.rows if row.method.endswith(UNTUNED)), None)
    if LEARNED not in trainings:
        return "No mixture was among the methods."
    lines = [
        _against(comparison, trainings, LEARNED, other, which)
        for other, which in ((best, "the best single component"), (fixed, "a fixed setting, the papers'"))
        if other is not None
    ]
    return "\n".join(f"- {line}" for line in lines)


def best_single(comparison: Comparison) -> str:
    """The component that holds the most reward of those that were tuned."""
    tuned = [row for row in comparison.rows if row.method != LEARNED and not row.method.endswith(UNTUNED)]
    return max(tuned, key=lambda row: row.held.value).method


def held_differences(ours: Sequence[Training], theirs: Sequence[Training]) -> np.ndarray:
    """Held reward of ours less that of theirs, seed by seed."""
    return np.array([one.held - other.held for one, other in zip(ours, theirs, strict=True)])


def _against(
    comparison: Comparison, trainings: Mapping[str, Sequence[Training]], ours: str, theirs: str, which: str
) -> str:
    """One setting beside another, in held reward and at equal KL, and what these seeds could have told."""
    own, others = trainings[ours], trainings[theirs]
    held = held_differences(own, others)
    equal_kl = equal_kls(own, others)
    at_kl = paired_difference(rewards_at(own, equal_kl), rewards_at(others, equal_kl))
    goal = float(np.mean([training.final for training in others]))
    steps = ratio_of_means(*(np.array([one.steps_to(goal)[0] for one in each]) for each in (own, others)))
    return (
        f"{ours} beside {theirs}, {which}: {short(mean(held), signed=True)} of held reward, "
        f"{short(at_kl, signed=True)} at equal KL ({np.mean(equal_kl):.2g} in the mean), {short(steps)} of the "
        f"steps to its final reward. {power(held)}"
    )


def power(differences: np.ndarray) -> str:
    """What so many seeds can tell, and how many would be needed.

    Args:
        differences: Of held reward, by seed.
    """
    n, spread = len(differences), float(np.std(differences, ddof=1)) if len(differences) > 1 else math.nan
    if math.isnan(spread):
        return "One seed tells nothing."
    told = mean(differences)
    words = f"A difference of {POWERED * spread / math.sqrt(n):.2f} would be found in four of five such comparisons"
    if told.low <= 0 <= told.high and spread > 0:
        needed = math.ceil((POWERED * spread / told.value) ** 2) if told.value else None
        tie = "A tie, as far as these seeds can tell. "
        return f"{tie}{words}; to find one as small as this would take {needed or 'any number of'} seeds."
    return f"{words}."


def _made_on(data: Mapping[str, Any]) -> str:
    parts = [_machine(data, data["versions"]), data.get("remark")]
    for later in data.get("added", []):
        newer = {name: number for name, number in later["versions"].items() if data["versions"].get(name) != number}
        told = [f"{LATER} Trained later: {', '.join(later['methods'])}.", _machine(later, newer), later["remark"]]
        parts.append(" ".join(part for part in told if part))
    return "\n\n".join(part for part in parts if part)


def _machine(data: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    machine = data.get("environment", {})
    told = [f"{name} {machine[name]}" for name in ("processor", "cpus", "python", "commit") if machine.get(name)]
    numbers = [f"{name} {version}" for name, version in versions.items()]
    return " ".join(f"{', '.join(part)}." for part in (numbers, told) if part)
