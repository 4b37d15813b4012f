"""Search for schedules that break something: `python -m tests.simulator --schedules 100000 --processes 2`.

With `--seed` one schedule is played, cut down to what matters, and told step by step; with `--power` the power is cut
at every step. Exit code 1 if something is found.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.simulator.power import broken
from tests.simulator.search import Search, fast_folder, search


def main() -> int:
    """Do what the arguments say; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--schedules", type=int, default=2000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="their first seed")
    parser.add_argument("--processes", type=int, default=2, help="by how many processes")
    parser.add_argument("--whole", action="store_true", help="with Ax experiment, database and snapshot")
    parser.add_argument("--seed", type=int, help="only this one, cut down and told")
    parser.add_argument("--power", action="store_true", help="cut the power at every step")
    parser.add_argument("--out", type=Path, help="a JSON file to which is added how it went")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return _tell(arguments.seed, arguments.whole)
    began = time.monotonic()
    if arguments.power:
        with tempfile.TemporaryDirectory(prefix="simulator-", dir=fast_folder()) as folder:
            found = list(broken(Path(folder), is_whole=arguments.whole))
        what = "power cuts"
    else:
        seeds = range(arguments.first, arguments.first + arguments.schedules)

        def tell(n_played: int) -> None:
            print(f"\r{n_played} of {len(seeds)} played", end="", file=sys.stderr, flush=True)

        found = search(seeds, arguments.processes, is_whole=arguments.whole, tell=tell)
        what = f"schedules {seeds.start} to {seeds.stop - 1}"
    for number, problem in found:
        print(f"{number}: {problem}")
    seconds = round(time.monotonic() - began)
    print(f"{what}: {len(found)} found in {seconds} s")
    if arguments.out is not None:
        runs = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.exists() else []
        runs.append({"what": what, "whole": arguments.whole, "found": len(found), "seconds": seconds, "which": found})
        arguments.out.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    return int(bool(found))


def _tell(seed: int, is_whole: bool) -> int:
    with tempfile.TemporaryDirectory(prefix="simulator-", dir=fast_folder()) as folder:
        search_one = Search(Path(folder), is_whole=is_whole)
        finding = search_one.play(seed)
        if finding is None:
            print(f"{seed}: all holds")
            return 0
        finding = search_one.cut_down(finding)
    print("\n".join(finding.trace))
    print(f"{seed}: {finding.what}\nout of the ordinary: {finding.script.who} {finding.script.faults}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
