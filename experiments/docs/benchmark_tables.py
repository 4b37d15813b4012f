"""The tables of the benchmarks, by the code that prints them, from the results that are stored."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tabulate import tabulate

from experiments.benchmarks import trl_dense_credit
from experiments.benchmarks.attribution import memory, ppo_share
from experiments.benchmarks.attribution import speed as attribution_speed
from experiments.benchmarks.attribution.accuracy import ALL
from experiments.benchmarks.credit_truth import tables as credit_truth
from experiments.benchmarks.outer_loop import (
    candidates,
    description,
    efficiency,
    fresh_seeds,
    real_studies,
    scale,
    transfer,
    transfer_models,
    wide_search,
    wide_surface,
)
from experiments.benchmarks.ppo import checkpoints, learning, parallel, setup, shaping
from experiments.benchmarks.ppo import speed as ppo_speed
from experiments.docs.markdown import table

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"

HEAD = """# Benchmark tables

Every table here is made by the code that the benchmark prints it with, from the results that it has stored. The machine
and the versions are those of the measurement. What the numbers mean, and what they do not, is told in
[How good is it?](../evidence.md).
"""


def accuracy_table(summaries: list[dict[str, Any]]) -> str:
    """Median relative L2 error by method and budget, over all models."""
    pieces = []
    for masking, target in dict.fromkeys((row["masking"], row["target"]) for row in summaries):
        rows = [
            row for row in summaries if (row["masking"], row["target"]) == (masking, target) and row["model"] == ALL
        ]
        budgets = sorted({row["budget"] for row in rows})
        errors = {(row["method"], row["budget"]): f"{row['error']:.3f}" for row in rows}
        lines = [
            [method, *(errors.get((method, budget), "") for budget in budgets)]
            for method in dict.fromkeys(row["method"] for row in rows)
        ]
        title = f"{target}, absent units: {masking} (median relative L2 error by evaluations)"
        pieces.append(f"{title}\n{tabulate(lines, headers=['method', *map(str, budgets)], disable_numparse=True)}")
    return "\n\n".join(pieces)


Table = Callable[[Any], str]
PARTS: dict[str, dict[str, tuple[str, Table]]] = {
    "attribution": {
        "accuracy": ("Error of the credit against exact tables", accuracy_table),
        "speed": ("Speed of the credit", attribution_speed.table_of),
        "memory": ("Memory of the credit", memory.table_of),
        "ppo-share": ("Share of a PPO step that credit takes", ppo_share.table_of),
    },
    "ppo": {
        "speed embedded": ("Speed of PPO, embedded policy", ppo_speed.table_of),
        "speed SmolLM2-135M": ("Speed of PPO, SmolLM2-135M", ppo_speed.table_of),
        "memory SmolLM2-135M": ("Memory of PPO, SmolLM2-135M", ppo_speed.table_of),
        "learning": ("Learning of PPO, sparse reward", learning.table_of),
        "setup": ("Time before the first step", setup.table_of),
        "shaping": ("Cost of mixing", shaping.table_of),
        "checkpoints": ("Cost of checkpoints", checkpoints.table_of),
        "parallel": ("Trials side by side", parallel.table_of),
    },
    "outer_loop": {
        "surface": ("The tabulated surface", description.table_of),
        "candidates": ("One candidate", candidates.table_of),
        "efficiency": ("Regret after so many trials, and coverage", efficiency.table_of),
        "scale": ("A study of 500 trials", scale.table_of),
    },
}

WIDE: dict[str, tuple[str, str, Table]] = {
    "wide surface": ("What matters: trainings over a wide space", wide_surface.__name__, wide_surface.table_of),
    "search": ("A search of the wide space", wide_search.__name__, wide_search.table_of),
    "studies": ("Whole studies, judged with fresh seeds", real_studies.__name__, real_studies.table_of),
    "transfer": ("What older trials of other tasks save", transfer.__name__, transfer.table_of),
    "transfer models": (
        "Which model learns most from older trials",
        transfer_models.__name__,
        transfer_models.table_of,
    ),
    "fresh seeds": ("The best settings on fresh seeds", fresh_seeds.__name__, fresh_seeds.table_of),
}
"""Parts of `wide_surface.json`, each with a command of its own."""

CREDIT_TRUTH: dict[str, tuple[str, Table]] = {
    "start": ("Credit against Monte-Carlo advantages, start policy", credit_truth.embedded_table),
    "trained": ("Credit against Monte-Carlo advantages, trained policy", credit_truth.embedded_table),
    "forks": ("Credit where one word decides", lambda result: credit_truth.fork_table(result["rows"])),
    "learning": ("Learning where one word decides", credit_truth.learning_table),
    "prediction": (
        "Does nearness to the truth predict learning?",
        lambda result: credit_truth.embedded_prediction_table(result["rows"]),
    ),
}
"""Parts of `credit_truth.json`."""


def benchmark_tables(results: Path = RESULTS) -> str:
    """The page."""
    pieces = [HEAD]
    for name, parts in PARTS.items():
        stored = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
        for part, (title, table_of) in parts.items():
            if part not in stored:
                continue
            record = stored[part]
            only = part.split()[0]
            pieces += [
                f"\n## {title}\n",
                f"`python -m experiments.benchmarks.{name} --only {only}`, measured on: "
                f"{record['environment']['processor']}.\n",
                f"```text\n{_trimmed(table_of(record['result']))}\n```\n",
                *_bars(record["bars"]),
            ]
    wide = json.loads((results / "wide_surface.json").read_text(encoding="utf-8"))
    for part, (title, module, table_of) in WIDE.items():
        if part not in wide:
            continue
        command = f"`python -m {module}`, on: {wide[part]['environment']['processor']}.\n"
        pieces += [f"\n## {title}\n", command, f"```text\n{_trimmed(table_of(wide[part]['result']))}\n```\n"]
    truth = json.loads((results / "credit_truth.json").read_text(encoding="utf-8"))
    for part, (title, table_of) in CREDIT_TRUTH.items():
        if part in truth:
            command = f"`python -m experiments.benchmarks.credit_truth --only {part}`"
            measured = f"{command}, measured on: {truth[part]['environment']['processor']}.\n"
            text = f"```text\n{_trimmed(table_of(truth[part]['result']))}\n```\n"
            pieces += [f"\n## {title}\n", measured, text]
    pieces += [
        "\n## TRL's GRPO with credit per token\n",
        "`python -m experiments.benchmarks.trl_dense_credit`: means over seeds with 95 % intervals, and the difference "
        "to TRL's own, by seed.\n",
        _trl(results),
    ]
    pieces += ["\n## Kills\n", "`python -m experiments.benchmarks.outer_loop.kills`\n", _kills(results)]
    pieces += [
        "\n## Launches in a row\n",
        "`python -m experiments.benchmarks.outer_loop.launches`\n",
        _launches(results),
        "\n## Schedules of processes\n",
        "`python -m tests.simulator --schedules 100000 --processes 2` (what was found is mended; the later row "
        "is of the code as it is now)\n",
        _schedules(results),
    ]
    return "\n".join(pieces).rstrip() + "\n"


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def _bars(bars: list[dict[str, Any]]) -> list[str]:
    """How many of the benchmark's own bars were reached, and which were not."""
    missed = [bar for bar in bars if not bar["passed"]]
    if not bars:
        return []
    lines = [f"{len(bars) - len(missed)} of {len(bars)} bars reached{'.' if not missed else '; missed:'}\n"]
    return lines + [f"- {bar['name']}: {bar['value']:.3g}" for bar in missed]


def _trl(results: Path) -> str:
    stored = json.loads((results / "trl_dense_credit.json").read_text(encoding="utf-8"))["trl_dense_credit"]
    text = _trimmed(trl_dense_credit.table_of(stored["summary"]))
    return f"Measured on: {stored['environment']['processor']}.\n\n```text\n{text}\n```\n"


def _launches(results: Path) -> str:
    stored = json.loads((results / "outer_loop_launches.json").read_text(encoding="utf-8"))
    return table(list(stored), [[str(value) for value in stored.values()]])


def _schedules(results: Path) -> str:
    stored = json.loads((results / "interleavings.json").read_text(encoding="utf-8"))
    rows = [[str(run[key]) for key in ("what", "found", "seconds")] for run in stored]
    return table(["what was played", "with something broken", "seconds"], rows)


def _kills(results: Path) -> str:
    stored = json.loads((results / "outer_loop_kills.json").read_text(encoding="utf-8"))
    rows = [
        [point["point"], *(str(point[key]) for key in ("kills", "lost", "twice", "orphans", "other_next"))]
        for point in stored["points"]
    ]
    heads = ["killed", "times", "trials lost", "run twice", "orphans", "another next arm"]
    return table(heads, rows)
