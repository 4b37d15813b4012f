"""Methods that were tried later, put beside those of a stored comparison."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bo_shaping.comparison.stored import read_comparison

SAME = ("n_seeds", "n_trials", "n_steps", "max_kl", "config")
"""What two comparisons must have in common, so that their trainings can be compared seed by seed."""


class AddedError(ValueError):
    """What was tried later cannot stand beside what is stored."""


def check_more(stored: dict[str, Any], methods: Sequence[str], **run: Any) -> None:
    """Refuse what cannot be added, as far as it is known: before anything is trained, too.

    Args:
        stored: What came out before.
        methods: What is to be added.
        run: How they are run, by some of the names of `SAME`.

    Raises:
        AddedError: If a method is there already, or is not run as the others were.
    """
    if twice := sorted({row["method"] for row in stored["rows"]} & {*methods}):
        raise AddedError(f"{', '.join(twice)} stands in the comparison already.")
    differs = [name for name, value in run.items() if stored[name] != value]
    if differs:
        raise AddedError(f"The two comparisons differ in {', '.join(differs)}: run all methods again, without --add.")


def with_more(stored: dict[str, Any], more: dict[str, Any], where: Path) -> dict[str, Any]:
    """The stored comparison with the methods of another one; everything is derived again from all trainings.

    Args:
        stored: What came out before.
        more: What came out now, with its `environment` and `remark`; of the stored baseline, if it was trained again,
            nothing is taken.
        where: A file that may be written, from which the whole is read again.

    Raises:
        AddedError: If a method is there already, or the two were not run alike.
    """
    rows, trainings = (
        [each for each in more[name] if each["method"] != stored["baseline"]] for name in ("rows", "trainings")
    )
    methods = [row["method"] for row in rows]
    check_more(stored, methods, **{name: more[name] for name in SAME})
    later = {"methods": methods} | {name: more[name] for name in ("environment", "versions", "remark")}
    whole = stored | {
        "rows": stored["rows"] + rows,
        "trainings": stored["trainings"] + trainings,
        "added": [*stored.get("added", []), later],
    }
    where.write_text(json.dumps(whole), encoding="utf-8")
    return whole | read_comparison(where).comparison.to_json()
