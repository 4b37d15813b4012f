"""Did a change of the code change a study? Digests of journals without their times and process numbers.

Equal code, configuration, seed and machine give equal digests where one trial runs at a time. So run the same study
with the code before and after, and compare:

    bo-shaping launch experiments/quickstart.yaml --name fixed --set budget.parallel=1 --set ppo.steps=3
    python -m experiments.benchmarks.outer_loop.journal_digest studies/fixed/journal.jsonl OTHER/fixed/journal.jsonl

Exits with 1 if the journals differ, and says in which line first.
"""

import argparse
import hashlib
import json
from itertools import zip_longest
from pathlib import Path


def timeless_lines(journal: Path) -> list[str]:
    """The lines of a journal without what differs between two runs of the same code."""
    lines = []
    for text in journal.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        del line["crc"]
        if line["kind"] == "opened":
            line["content"] = {}  # which process
        line["content"].get("record", {}).pop("seconds", None)
        lines.append(json.dumps(line, sort_keys=True))
    return lines


def digest(journal: Path) -> str:
    """Equal for journals that say the same."""
    return hashlib.sha256("\n".join(timeless_lines(journal)).encode()).hexdigest()[:16]


def main(arguments: list[str] | None = None) -> int:
    """Print a digest per journal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("journals", nargs="+", type=Path)
    first, *others = parser.parse_args(arguments).journals
    for journal in (first, *others):
        print(digest(journal), journal)
    for journal in others:
        pairs = zip_longest(timeless_lines(first), timeless_lines(journal))
        differing = next((number for number, (ours, theirs) in enumerate(pairs, start=1) if ours != theirs), None)
        if differing is not None:
            print(f"{journal} differs from line {differing} on")
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
