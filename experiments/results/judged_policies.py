"""Win rates of the policies of one study over those of another, seed by seed: a part of the page of the papers' claims.

    bo-shaping train TASK-learned --seeds 5 && bo-shaping train TASK-sparse --seeds 5
    python -m experiments.results.judged_policies TASK TASK-learned TASK-sparse --judge MODEL

The studies are those that `python -m experiments.results TASK` leaves. MODEL reads pairs, in both orders
(`win_rates`). The gold reward models of the task, on which nobody trains, are asked too: each prefers what it scores
higher. `win_rates.json` beside this file keeps what came out.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bo_shaping.comparison.statistics import mean
from bo_shaping.config import StudyConfig
from bo_shaping.storage.study_folder import find_study
from experiments.benchmarks.results_file import environment
from experiments.results.tasks import HERE, TASKS, task_named
from experiments.results.win_rates import answers, judge_pairs, load_judge_of_pairs
from inner_loop.models.gold import gold_scores, load_gold
from inner_loop.models.reward_models import RewardModel

STORED = HERE / "win_rates.json"
RECOMMENDED = re.compile(r"recommended-[0-9a-f]+-seed-(\d+)")
"""Folders of `bo-shaping train`."""


class Pair(NamedTuple):
    """What two policies that were trained under one seed answer."""

    seed: int
    prompts: list[str]
    ours: list[str]
    theirs: list[str]


def policies(study: str) -> dict[int, Path]:
    """Folders of a study's trained policies, by seed.

    Raises:
        FileNotFoundError: If there are none.
    """
    folders = sorted((find_study(study).path / "trained").glob("*/policy"))
    found = {int(match[1]): folder for folder in folders if (match := RECOMMENDED.fullmatch(folder.parent.name))}
    if not found:
        raise FileNotFoundError(f"{study} has no trained policies; train some: bo-shaping train {study} --seeds 5")
    return found


def pairs_of(config: StudyConfig, ours: str, theirs: str, n_prompts: int) -> Iterator[Pair]:
    """Answers of the policies of two studies to the same prompts, for each seed that both have."""
    left, right = policies(ours), policies(theirs)
    for seed in sorted(left.keys() & right.keys()):
        prompts, our_answers = answers(config, str(left[seed]), n_prompts)
        _, their_answers = answers(config, str(right[seed]), n_prompts)
        yield Pair(seed, prompts, our_answers, their_answers)


def win_rates_of(pairs: Sequence[Pair], judge: RewardModel, gold: Mapping[str, RewardModel]) -> dict[str, Any]:
    """Share of prompts on which ours is preferred, per judge and seed; `pairs` is what the judge of pairs is called."""
    read = [judge_pairs(judge, pair.prompts, pair.ours, pair.theirs) for pair in pairs]
    by_pairs = {
        "rates": [found.rate.value for found in read],
        "agrees": float(np.mean([found.agrees for found in read])),
        "first": float(np.mean([found.first for found in read])),
    }
    by_gold: dict[str, list[float]] = {name: [] for name in gold}
    for pair in pairs:
        ours, theirs = (gold_scores(gold, pair.prompts, which) for which in (pair.ours, pair.theirs))
        for name, rates in by_gold.items():
            difference = np.array(ours[name]) - np.array(theirs[name])
            rates.append(float(np.mean((1 + np.sign(difference)) / 2)))
    return {"pairs": by_pairs, "gold": {name: {"rates": rates} for name, rates in by_gold.items()}}


def rows_of(stored: Mapping[str, Any]) -> list[list[str]]:
    """Task, who is compared, judge, win rate with its interval over seeds, and what is known of the judge."""
    rows = []
    for name, found in stored.items():
        who = f"{found['ours']} over {found['theirs']}, {len(found['seeds'])} seeds"
        judges = {found["judge"]: found["pairs"], **found["gold"]}
        for judge, what in judges.items():
            rate = mean(np.array(what["rates"]))
            remark = "scores each alone"
            if "agrees" in what:
                remark = f"agrees with itself on {what['agrees']:.0%}; prefers what comes first in {what['first']:.0%}"
            shown = f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"
            rows.append([task_named(name).title, who, judge, shown, remark])
    return rows


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=[task.name for task in TASKS])
    parser.add_argument("ours", help="a study with trained policies")
    parser.add_argument("theirs", help="another one")
    parser.add_argument("--judge", required=True, help="causal language model that reads pairs: hub name or folder")
    parser.add_argument("--prompts", type=int, default=128, help="held-out prompts (128)")
    options = parser.parse_args(arguments)
    config = StudyConfig.from_yaml(task_named(options.task).config)
    pairs = list(pairs_of(config, options.ours, options.theirs, options.prompts))
    found = win_rates_of(pairs, load_judge_of_pairs(options.judge), load_gold(config.evaluation.gold))
    stored = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    stored[options.task] = {
        "ours": options.ours.removeprefix(f"{options.task}-"),
        "theirs": options.theirs.removeprefix(f"{options.task}-"),
        "judge": Path(options.judge).name,
        "prompts": options.prompts,
        "seeds": [pair.seed for pair in pairs],
        **found,
        "environment": environment({}),
    }
    STORED.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    for row in rows_of(stored):
        print(": ".join(row))


if __name__ == "__main__":
    main()
