"""Write the generated pages of the documentation.

python -m experiments.docs           # after a change of a key, a metric, an import between packages or a result
python -m experiments.docs --check   # exits with 1, naming the pages, if one is not what would be written
"""

import argparse
import sys
from pathlib import Path

from experiments.docs.pages import PAGES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main(arguments: list[str] | None = None, docs: Path = DOCS) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    is_check = parser.parse_args(arguments).check
    stale = []
    for name, make in PAGES.items():
        page, text = docs / name, make()
        if is_check and (not page.exists() or page.read_text(encoding="utf-8") != text):
            stale.append(name)
        elif not is_check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
    if stale:
        print(f"not what the code says: {', '.join(stale)}; write them anew with: python -m experiments.docs")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
