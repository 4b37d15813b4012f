"""The repeats of the quickstart, from their stored results."""

import json
from pathlib import Path

from experiments.quickstart.repeats import table

RESULTS = Path(__file__).resolve().parents[1] / "quickstart" / "results.json"

HEAD = """# The quickstart, five times

Five repeats of the whole study with fresh seeds. Each recommendation is trained again with a seed that nobody had used
and judged on 512 held-out prompts, against sparse at its own best λ and at no more KL: the recommended training is
stopped while its KL is still below that of sparse. Rewards are log-odds of "positive"; the untrained policy stands near
-0.5.

`python -m experiments.quickstart.repeats` makes such a table anew, in about 25 minutes.
"""


def quickstart_repeats(results: Path = RESULTS) -> str:
    """The page."""
    return f"{HEAD}\n{table(json.loads(results.read_text(encoding='utf-8'))).rstrip()}\n"
