"""The tables, from stored results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

Rows = Sequence[dict[str, Any]]

LEARNED_WITH = ("zero", 0.7)
"""Critic and lambda at which the table of forks is shown."""
SHOWN = (("own", 1.0), ("own", 0.7), ("zero", 1.0), ("zero", 0.95), ("zero", 0.7), ("zero", 0.5))
"""Critics and lambdas of the table of estimates; the other ones are in the JSON."""


def embedded_table(record: dict[str, Any]) -> str:
    """Both tables of one policy of the embedded task."""
    return f"{agreement_table(record)}\n\n{estimate_table(record)}"


def agreement_table(record: dict[str, Any]) -> str:
    """Credit against the sampled advantage."""
    made, n_tokens, trained = record["made_with"], record["tokens"], ""
    if made["steps"]:
        trained = f", {made['steps']} steps (reward {made['reward']:+.2f}, KL {made['kl']:.1f})"
    head = (
        f"{record['responses']} responses of the {made['policy']} policy{trained}, {n_tokens} tokens, "
        f"{record['continuations']} continuations from every prefix (seed {made['seed']});\n"
        f"advantage {record['advantage_rms']:.2f} rms, its standard error {record['standard_error_rms']:.2f}; "
        f"{record['sure_tokens']:.0%} of the tokens surely not zero;\n"
        f"halves of the continuations correlate at {_interval(record['half_correlation'])}: reliability "
        f"{record['reliability']:.2f}; the largest is found by chance {record['chance_to_find_the_largest']:.2f}"
    )
    columns = ("correlation", "corrected", "per_unit_corrected", "sign", "largest")
    rows = [
        [row["component"], row["units"] or "-", *(_interval(row[column]) for column in columns)]
        for row in record["components"]
    ]
    heads = ["component", "units", "correlation", "corrected", "per unit, corrected", "sign right", "largest found"]
    return f"{head}\n" + tabulate(rows, headers=heads, disable_numparse=True)


def estimate_table(record: dict[str, Any]) -> str:
    """What PPO makes of credit: alignment and error beside sparse's, and bias, by critic and lambda."""
    rows = {(r["component"], r["units"], r["critic"], r["lambda"]): r for r in record["estimates"]}
    names = list(dict.fromkeys((r["component"], r["units"]) for r in record["estimates"]))
    pieces = []
    for measure, title in (
        ("alignment", "alignment of the advantage estimate with the truth (1: right up to its length)"),
        ("bias", "bias of the gradient, squared, in units of the squared truth"),
        ("error", "squared error, bias and noise, in units of the squared truth"),
        ("beside_sparse", "squared error over that of sparse at lambda 1 with the same critic"),
    ):
        lines = [
            [name, units or "-", *(_interval(rows[name, units, *at][measure]) for at in SHOWN)] for name, units in names
        ]
        heads = ["component", "units", *(f"{critic}, {value:g}" for critic, value in SHOWN)]
        pieces.append(f"{title}; by critic and lambda\n{tabulate(lines, headers=heads, disable_numparse=True)}")
    return "\n\n".join(pieces)


def fork_table(rows: Rows) -> str:
    """By kind and place: the share on the deciding word, and the estimate made of it."""
    critic, value = LEARNED_WITH
    pieces = []
    for measure, title, at in (
        ("on_the_decisive", "share of the credit on the deciding word", ("own", 1.0)),
        ("bias", "bias of the gradient, squared, own exact critic (any lambda)", ("own", 1.0)),
        ("alignment", "alignment of the advantage, own exact critic, lambda 0.7", ("own", 0.7)),
        ("alignment", f"alignment of the advantage, {critic} critic, lambda {value:g}", LEARNED_WITH),
    ):
        chosen = [row for row in rows if (row["critic"], row["lambda"]) == at]
        places = list(dict.fromkeys(row["place"] for row in chosen))
        kinds = list(dict.fromkeys(row["kind"] for row in chosen))
        found = {(row["component"], row["kind"], row["place"]): row[measure] for row in chosen}
        lines = [
            [name, *(" ".join(_number(found[name, kind, place]) for place in places) for kind in kinds)]
            for name in dict.fromkeys(row["component"] for row in chosen)
        ]
        text = tabulate(lines, headers=["component", *kinds], disable_numparse=True)
        pieces.append(f"{title}; {', '.join(places)} word\n{text}")
    return "\n\n".join(pieces)


def learning_table(record: dict[str, Any]) -> str:
    """How fast forks are learned, and what predicts it."""
    speeds = record["speeds"]
    lambdas = list(dict.fromkeys(row["lambda"] for row in speeds))
    kinds = list(dict.fromkeys(row["kind"] for row in speeds))
    lines = []
    for name in dict.fromkeys(row["component"] for row in speeds):
        cells = []
        for kind in kinds:
            means = [
                [r["speed"] for r in speeds if (r["component"], r["kind"], r["lambda"]) == (name, kind, value)]
                for value in lambdas
            ]
            cells.append(" ".join(f"{sum(values) / len(values):.2f}" for values in means))
        lines.append([name, *cells])
    predicted = [
        [
            row["measure"],
            "all" if row["lambda"] is None else f"{row['lambda']:g}",
            row["forks"],
            _interval(row["rank_correlation"]),
        ]
        for row in record["prediction"]
    ]
    return (
        f"mean expected reward over the steps, mean of the places; lambda {', '.join(f'{v:g}' for v in lambdas)}\n"
        + tabulate(lines, headers=["component", *kinds], disable_numparse=True)
        + "\n\nrank correlation with that speed within a fork, mean over forks\n"
        + tabulate(predicted, headers=["measure (zero critic)", "lambda", "forks", "mean"], disable_numparse=True)
    )


def embedded_prediction_table(rows: Rows) -> str:
    """Rank correlations with the stored learning of single components."""
    lines = [
        [
            row["policy"],
            row["critic"],
            f"{row['lambda']:g}",
            row["measure"],
            row["components"],
            _number(row["rank_correlation"]),
            _number(row["chance"]),
        ]
        for row in rows
    ]
    heads = ["policy", "critic", "lambda", "measure", "components", "rank correlation", "as large by chance"]
    return tabulate(lines, headers=heads, disable_numparse=True)


def _interval(numbers: Sequence[float]) -> str:
    value, low, high = numbers
    return f"{value:.2f} ({low:.2f} to {high:.2f})" if math.isfinite(value) else "-"


def _number(value: float) -> str:
    return f"{value + 0.0:.2f}" if math.isfinite(value) else "-"
