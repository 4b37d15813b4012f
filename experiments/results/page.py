"""The page of one comparison, from its stored trainings."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bo_shaping.comparison.methods import LEARNED, UNTUNED
from bo_shaping.comparison.statistics import ALSO_MEASURED, Interval, Training, mean, paired_difference, ratio_of_means
from bo_shaping.comparison.stored import read_comparison
from bo_shaping.comparison.summary import Comparison, Row, largest_kl
from experiments.docs.markdown import table
from experiments.results.tasks import ResultTask

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
    parts = [
        f"# {task.title}",
        _setup(task, comparison, data),
        f"![Reward by step]({task.pictures['steps'].name})",
        f"![Reward by KL]({task.pictures['kl'].name})",
        "## Each at its best",
        _at_their_best(comparison),
        f"## Beside {comparison.baseline}",
        _beside(comparison),
        "## Judged by others",
        _judged_by_others(comparison),
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


def _at_their_best(comparison: Comparison) -> str:
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
            row.method,
            ", ".join(f"{name} {value:.3g}" for name, value in row.parameters.items()),
            short(row.held),
            short(row.final),
            f"{row.kl:.1f}",
            "1" if row.method == comparison.baseline else short(row.steps),
            f"{short(row.at_kl)} at {row.equal_kl:.2g}",
            f"{row.seconds:.0f}",
        ]
        for row in comparison.rows
    ]
    learned = [row for row in comparison.rows if row.method == LEARNED]
    mixture = ", ".join(f"{value:.2f} {name}" for row in learned for name, value in row.weights.items())
    words = (
        f"Steps are those to the final reward of {comparison.baseline}, {comparison.goal:.2f}, in units of its own. "
        "Seconds are of the training, explaining the reward model included."
    )
    return f"{table(heads, rows)}\n\n{words}" + (f" Learned: {mixture}." if mixture else "")


def _beside(comparison: Comparison) -> str:
    heads = ["method", "held reward", "at equal KL", "at equal seconds", "P(better)", "got there"]
    rows = [
        [
            row.method,
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


def _judged_by_others(comparison: Comparison) -> str:
    names = [*(name for name in comparison.rows[0].also if name not in ALSO_MEASURED), *ALSO_MEASURED]
    heads = ["method", *names]

    def cell(row: Row, name: str) -> str:
        also = row.also[name]
        less = f"; {short(also.at_kl_difference, signed=True)}" if also.at_kl_difference else ""
        return f"{also.at_kl.value:.3g}{less}"

    rows = [[row.method, *(cell(row, name) for name in names)] for row in comparison.rows]
    return (
        f"{table(heads, rows)}\n\nThe mean at equal KL, then the difference to {comparison.baseline} at that KL. "
        "If a judge that nobody trained on agrees, the reward is not only what its model overrates."
    )


def _mixture(comparison: Comparison, trainings: Mapping[str, Sequence[Training]]) -> str:
    tuned = [row for row in comparison.rows if row.method != LEARNED and not row.method.endswith(UNTUNED)]
    best = max(tuned, key=lambda row: row.held.value).method
    fixed = next((row.method for row in comparison.rows if row.method.endswith(UNTUNED)), None)
    if LEARNED not in trainings:
        return "No mixture was among the methods."
    lines = [
        _against(comparison, trainings, LEARNED, other, which)
        for other, which in ((best, "the best single component"), (fixed, "a fixed setting, the papers'"))
        if other is not None
    ]
    return "\n".join(f"- {line}" for line in lines)


def _against(
    comparison: Comparison, trainings: Mapping[str, Sequence[Training]], ours: str, theirs: str, which: str
) -> str:
    """One setting beside another, in held reward and at equal KL, and what these seeds could have told."""
    pairs = list(zip(trainings[ours], trainings[theirs], strict=True))

    def differences(of: Callable[[Training], float]) -> np.ndarray:
        return np.array([of(one) - of(other) for one, other in pairs])

    held = differences(lambda training: training.held)
    equal_kl = [min(largest_kl(one), largest_kl(other)) for one, other in pairs]
    at_kl = np.array(
        [one.reward_at_kl(kl) - other.reward_at_kl(kl) for (one, other), kl in zip(pairs, equal_kl, strict=True)]
    )
    goal = float(np.mean([training.final for training in trainings[theirs]]))
    steps = ratio_of_means(
        *(np.array([one.steps_to(goal)[0] for one in trainings[method]]) for method in (ours, theirs))
    )
    return (
        f"{ours} beside {theirs}, {which}: {short(mean(held), signed=True)} of held reward, "
        f"{short(mean(at_kl), signed=True)} at equal KL ({np.mean(equal_kl):.2g} in the mean), {short(steps)} of the "
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
    told = paired_difference(differences, np.zeros(n))
    words = f"A difference of {POWERED * spread / math.sqrt(n):.2f} would be found in four of five such comparisons"
    if told.low <= 0 <= told.high and spread > 0:
        needed = math.ceil((POWERED * spread / told.value) ** 2) if told.value else None
        tie = "A tie, as far as these seeds can tell. "
        return f"{tie}{words}; to find one as small as this would take {needed or 'any number of'} seeds."
    return f"{words}."


def _made_on(data: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    machine = data.get("environment", {})
    where = ", ".join(
        f"{name} {machine[name]}" for name in ("processor", "cpus", "python", "commit") if machine.get(name)
    )
    remark = f"\n\n{data['remark']}" if data.get("remark") else ""
    return f"{versions}.{f' {where}.' if where else ''}{remark}"


def short(interval: Interval | None, *, signed: bool = False) -> str:
    """An estimate with its interval."""
    if interval is None or math.isnan(interval.value):
        return "-"
    sign = "+" if signed else ""
    value = f"{interval.value:{sign}.2f}"
    return value if math.isnan(interval.low) else f"{value} ({interval.low:{sign}.2f} to {interval.high:{sign}.2f})"
