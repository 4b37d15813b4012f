"""What is said of text that a reward model had no room for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from inner_loop.spec import TrialResult

if TYPE_CHECKING:
    from inner_loop.attribution.credit import Credit


def unread_note(credit: "Credit") -> str:
    """What the reward model had no room for, in a sentence; empty if it read everything."""
    if not credit.unread:
        return ""
    parts = " and ".join(f"{start} to {end}" for start, end in credit.unread)
    return (
        f"The reward model had no room for characters {parts} of {len(credit.response)}, which have no credit; "
        "long_responses can be tail, head or windows."
    )


def unread_of_study(results: Mapping[int, Sequence[TrialResult]], long_responses: str) -> str:
    """The same of the trainings of a study; empty if everything was read.

    Args:
        results: One list per trial, over its seeds.
        long_responses: As `task.long_responses`.
    """
    trainings = [result for each in results.values() for result in each]
    found = [result.unread for result in trainings if result.unread is not None]
    if not found:
        return ""
    share = sum(unread.responses for unread in found) / len(trainings)
    tokens = sum(unread.tokens for unread in found) / len(trainings)
    return (
        f"The reward model had no room for all of {share:.0%} of the validation responses ({tokens:.0f} of its tokens "
        f"per training). What it did not read has no credit. task.long_responses is {long_responses}; windows reads "
        "everything."
    )
