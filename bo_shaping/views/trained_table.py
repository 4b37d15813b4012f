"""Trainings with fresh seeds, in a table and a sentence per setting."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bo_shaping.comparison.fresh_trainings import Trained
from bo_shaping.comparison.statistics import Interval, mean, paired_difference
from bo_shaping.text.hidden_characters import visible_text


def trained_json(trained: Sequence[Trained]) -> list[dict[str, Any]]:
    """The trainings as plain data."""
    return [
        {
            "setting": one.setting.name,
            "weights": one.setting.weights,
            "parameters": one.setting.parameters,
            "seed": one.result.seed,
            "mean": one.result.mean,
            "sem": one.result.sem,
            "kl": one.result.kl,
            "start": one.result.curve[0].mean,
            "stopped": one.result.stopped,
            "folder": str(one.folder.path),
        }
        for one in trained
    ]


def print_trained(console: Console, trained: Sequence[Trained], *, keeps_policy: bool) -> None:
    """A line per training, and what they say together."""
    table = Table(box=None, pad_edge=False)
    for name in ("setting", "seed", "reward", "from", "KL", "steps"):
        table.add_column(name, justify="left" if name == "setting" else "right")
    for one in trained:
        start, end = one.result.curve[0], one.result.curve[-1]
        cells = (str(one.result.seed), f"{end.mean:.3f}", f"{start.mean:.3f}", f"{end.kl:.2f}", str(end.step))
        table.add_row(one.setting.name, *cells)
    console.print(table)
    for line in sentences(trained):
        console.print(Text(line), soft_wrap=True)
    if keeps_policy:
        for one in trained:
            console.print(Text(visible_text(f"policy: {one.folder.policy}")), soft_wrap=True)


def sentences(trained: Sequence[Trained]) -> list[str]:
    """What the trainings say, setting by setting, and of the first beside the second."""
    groups = [(name, [one.result.mean for one in own]) for name, own in groupby(trained, lambda t: t.setting.name)]
    lines = [f"{name}: reward {in_words(mean(np.array(rewards)))} over {_seeds(rewards)}." for name, rewards in groups]
    if len(groups) == 2:
        (ours, our_rewards), (theirs, their_rewards) = groups
        difference = paired_difference(np.array(our_rewards), np.array(their_rewards))
        lines.append(
            f"{ours} beside {theirs}, seed by seed: {in_words(difference, signed=True)}.{_verdict(difference)}"
        )
    return lines


def in_words(interval: Interval, *, signed: bool = False) -> str:
    """An estimate with its interval; without one where there is one seed only."""
    sign = "+" if signed else ""
    value = f"{interval.value:{sign}.3f}"
    return value if np.isnan(interval.low) else f"{value} ({interval.low:{sign}.3f} to {interval.high:{sign}.3f})"


def _verdict(difference: Interval) -> str:
    if np.isnan(difference.low):
        return " One seed cannot tell them apart; train more with --seeds."
    if difference.low <= 0 <= difference.high:
        return " These seeds cannot tell them apart."
    return ""


def _seeds(rewards: Sequence[float]) -> str:
    return "one seed" if len(rewards) == 1 else f"{len(rewards)} seeds"
