"""The sparse reward at its best among the trials of a study: what everything else is compared with."""

from collections.abc import Sequence
from statistics import fmean

from bo_shaping.config.searched_parameter import Value
from bo_shaping.storage.records import TrialRecord
from inner_loop.spec import SPARSE

TOLERANCE = 1e-6
"""What a weight may lack to one."""


def best_sparse(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The completed trials of sparse alone at its best parameters: the mean over trials of one arm decides.

    Empty if no trial of sparse alone is completed.
    """
    found: dict[tuple[tuple[str, Value], ...], list[tuple[float, TrialRecord]]] = {}
    for record in records:
        is_sparse = record.weights.get(SPARSE, 0.0) >= 1 - TOLERANCE
        if is_sparse and record.status == "completed" and record.mean is not None:
            found.setdefault(tuple(sorted(record.parameters.items())), []).append((record.mean, record))
    best = max(found.values(), key=lambda trials: fmean(mean for mean, _ in trials), default=[])
    return [record for _, record in best]
