"""Methods that were tried later, put beside those of a stored comparison."""

import json
from pathlib import Path
from typing import Any

from bo_shaping.comparison.stored import read_comparison

SAME = ("n_seeds", "n_trials", "n_steps", "max_kl", "config")
"""What two comparisons must have in common, so that their trainings can be compared seed by seed."""


class AddedError(ValueError):
    """What was tried later cannot stand beside what is stored."""


def with_more(stored: dict[str, Any], more: dict[str, Any], where: Path) -> dict[str, Any]:
    """The stored comparison with the methods of another one; everything is derived again from all trainings.

    Args:
        stored: What came out before.
        more: What came out now, with its `environment` and `remark`.
        where: A file that may be written, from which the whole is read again.

    Raises:
        AddedError: If a method is there already, or the two were not run alike.
    """
    differs = [name for name in SAME if stored[name] != more[name]]
    if differs:
        raise AddedError(f"The two comparisons differ in {', '.join(differs)}: run all methods again, without --add.")
    known, new = ([row["method"] for row in data["rows"]] for data in (stored, more))
    if twice := sorted({*known} & {*new}):
        raise AddedError(f"{', '.join(twice)} stands in the comparison already.")
    later = {"methods": new, "environment": more["environment"], "remark": more["remark"]}
    whole = stored | {
        "rows": stored["rows"] + more["rows"],
        "trainings": stored["trainings"] + more["trainings"],
        "added": [*stored.get("added", []), later],
    }
    where.write_text(json.dumps(whole), encoding="utf-8")
    return whole | read_comparison(where).comparison.to_json()
