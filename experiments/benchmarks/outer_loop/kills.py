"""Kill the driver at every named point, several times each, and count what is lost.

    python -m experiments.benchmarks.outer_loop.kills [--repeats 5]

Prints a table and writes experiments/benchmarks/results/outer_loop_kills.json. Exits with 1 if anything was lost, run
twice or left behind, or if the next candidate differs from that of the study that nobody killed.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Before torch is loaded, and before forks.
os.environ.setdefault("OMP_NUM_THREADS", "1")

RESULTS = Path(__file__).parents[1] / "results" / "outer_loop_kills.json"


def main() -> None:
    """Run all points, print the table, write the results."""
    from experiments.benchmarks.outer_loop.kill_points import MODEL, POINTS, killed, make_base, uninterrupted

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        base = folder / "base"
        make_base(base, MODEL)
        expected = {
            scenario: uninterrupted(base, folder / f"expected-{scenario}", scenario)
            for scenario in dict.fromkeys(point.scenario for point in POINTS)
        }
        print(f"{'point':<44} {'kills':>5} {'lost':>5} {'twice':>5} {'orphans':>7} {'other next':>10} {'seconds':>8}")
        for number, point in enumerate(POINTS):
            want, row = expected[point.scenario], {"point": point.name, "scenario": point.scenario, "kills": repeats}
            counts = dict.fromkeys(("lost", "twice", "orphans", "other_next"), 0)
            began = time.monotonic()
            for repeat in range(repeats):
                root = folder / f"{number}-{repeat}"
                got = killed(base, root, point)
                counts["lost"] += sum(trial not in got.trials for trial in want.trials)
                counts["lost"] += sum(trial not in got.stored for trial in want.stored)
                counts["twice"] += (got.starts - want.starts).total() + len(got.trials) - len(want.trials)
                counts["orphans"] += got.orphans
                counts["other_next"] += got.next_arm != want.next_arm
                shutil.rmtree(root)
            row |= counts | {"seconds": round((time.monotonic() - began) / repeats, 2)}
            rows.append(row)
            print(
                f"{row['point']:<44} {repeats:>5} {row['lost']:>5} {row['twice']:>5} {row['orphans']:>7} "
                f"{row['other_next']:>10} {row['seconds']:>8}",
                flush=True,
            )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"repeats": repeats, "points": rows}, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(row[name] for row in rows for name in ("lost", "twice", "orphans", "other_next")))


if __name__ == "__main__":
    main()
