"""Partition trees: which neighbouring units of a text belong together, as binary trees and as a few spans.

A tree over n units is a linkage matrix, `(n-1) x 4`, as SciPy and `shap` write it: row r merges the clusters in columns
0 and 1 (numbers below n are units, n + s is what row s made) into a cluster of as many units as column 3 says. Clusters
are always ranges of neighbours, the left one first.

The merges are those of `shap.maskers.Text`: `shap` 0.51, `shap/maskers/_text.py`, functions `clustering`,
`partition_tree` and `merge_score`. There every step scores all neighbours anew, n^2 scores in all; here a step scores
the two pairs that changed.
"""

import heapq
import itertools
import re
from collections.abc import Sequence

import numpy as np

from inner_loop.errors import AttributionError
from inner_loop.units.parsers import Parser, constituents_of_units

_LETTER = re.compile("[A-Za-z]")
_CLOSING = {"(": ")"}
_CONNECTORS = frozenset(("but", "and", "or"))
_SENTENCE_STOPS = frozenset(".?!")
_CONTRACTED = frozenset(("t", "s"))


def text_tree(text: str, offsets: Sequence[tuple[int, int]], parser: Parser | None = None) -> np.ndarray:
    """Linkage matrix over the units of a text, `(n-1) x 4`: which neighbours belong together.

    Without a parser, rows are those of `shap`'s `partition_tree`, column 2 included: a distance, 10 less the score of
    the merge, that need not increase. With a parser, its constituents are clusters, and the same scores order the
    merges within each.

    Args:
        text: What the units partition.
        offsets: `n` character ranges; white space at their beginnings separates words.
        parser: Gives the constituents; None uses the scores alone.

    Raises:
        AttributionError: If there are fewer than two units, or the parser's ranges are not what `Parser` says.
    """
    if len(offsets) < 2:
        raise AttributionError(f"a partition tree needs at least 2 units, got {len(offsets)}")
    merging = _Merging(_tokens_of_units(text, offsets))
    if parser is not None:
        for first, end in constituents_of_units(text, offsets, parser):
            merging.merge(first, end)
    merging.merge(0, len(offsets))
    return np.array(merging.rows)


def cut_tree(tree: np.ndarray, max_spans: int) -> list[tuple[int, int]]:
    """The top of a tree: at most `max_spans` of its clusters that together hold all units, as ranges `(first, end)`.

    The largest cluster is split first, of equals the one merged at the largest distance. No other cut of the tree into
    as many clusters has a smaller largest one, and on reviews none is noticeably more even; splitting the last merges
    first instead leaves a largest span that is 10 to 15 % larger and up to four times as many spans of one unit.

    Args:
        tree: Linkage matrix, `(n-1) x 4`.
        max_spans: At least 1.
    """
    n = len(tree) + 1
    rows = tree.tolist()
    first = list(range(n))
    for left, *_ in rows:
        first.append(first[int(left)])
    # Larger first, then more distant, then further left; units cannot be split and wait in `spans`.
    queue = [(-rows[-1][3], -rows[-1][2], 0, len(rows) - 1)]
    spans: list[tuple[int, int]] = []
    while queue and len(queue) + len(spans) < max_spans:
        *_, row = heapq.heappop(queue)
        for cluster in map(int, rows[row][:2]):
            if cluster < n:
                spans.append((cluster, cluster + 1))
            else:
                _, _, distance, size = rows[cluster - n]
                heapq.heappush(queue, (-size, -distance, first[cluster], cluster - n))
    return sorted(spans + [(start, start + int(rows[row][3])) for _, _, start, row in queue])


def _tokens_of_units(text: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
    """The units as the scores want them: without white space, and marked "##" where they continue a word."""
    tokens = []
    for (_, previous_end), (start, end) in itertools.pairwise([(0, 0), *offsets]):
        previous = text[previous_end - 1] if previous_end else " "
        continues = (previous.isalnum() or previous == "_") and _LETTER.match(text, start)
        tokens.append(("##" if continues else "") + text[start:end].strip())
    return tokens


class _Merging:
    """Clusters of neighbours under way to one tree."""

    def __init__(self, tokens: list[str]) -> None:
        self.rows: list[tuple[int, int, int, int]] = []
        self._tokens = tokens
        self._ends = list(range(1, len(tokens) + 1))  # of the cluster that begins at a unit
        self._ids = list(range(len(tokens)))  # likewise
        self._balanced = [False] * len(tokens)  # parentheses whose partner is in the same cluster

    def merge(self, first: int, end: int) -> None:
        """Merge the clusters of the units from `first` to `end` into one, best score first, the leftmost of equals."""
        starts = [first]
        while self._ends[starts[-1]] < end:
            starts.append(self._ends[starts[-1]])
        left_of = dict(itertools.pairwise(reversed(starts)))
        queue = [self._candidate(left, right) for left, right in itertools.pairwise(starts)]
        heapq.heapify(queue)
        while queue:
            cost, left, right, right_end = heapq.heappop(queue)
            if self._ends[left] != right or self._ends[right] != right_end:
                continue  # one of the two has grown since
            self._join(cost, left, right, right_end)
            if left != first:
                heapq.heappush(queue, self._candidate(left_of[left], left))
            if right_end != end:
                left_of[right_end] = left
                heapq.heappush(queue, self._candidate(left, right_end))

    def _candidate(self, left: int, right: int) -> tuple[int, int, int, int]:
        return -self._score(left, right), left, right, self._ends[right]

    def _join(self, cost: int, left: int, right: int, right_end: int) -> None:
        n = len(self._tokens)
        self.rows.append((self._ids[left], self._ids[right], cost + 10, right_end - left))
        self._ids[left] = n + len(self.rows) - 1
        self._ends[left], self._ends[right] = right_end, 0
        if _CLOSING.get(self._tokens[left]) == self._tokens[right_end - 1]:
            self._balanced[left] = self._balanced[right_end - 1] = True

    def _score(self, left: int, right: int) -> int:
        """How much the clusters that begin at `left` and `right` belong together."""
        tokens, right_end = self._tokens, self._ends[right]
        first, last, following = tokens[left], tokens[right - 1], tokens[right]
        is_long = right_end - right > 1
        score = left - right_end  # small clusters first
        if following.startswith("##"):
            score += 20
        if following == "'" and (not is_long or (right_end - right == 2 and tokens[right + 1] in _CONTRACTED)):
            score += 15
        if last == "'" and following in _CONTRACTED:
            score += 15
        if _is_control(first) != _is_control(tokens[right_end - 1]):
            score -= 1000
        # A parenthesis is reached across only when its partner is inside.
        if following in _CLOSING and not self._balanced[right]:
            score -= 100
        if last in _CLOSING.values() and not self._balanced[right - 1]:
            score -= 100
        if first in _CLOSING:
            score -= 2
        if last in _CONNECTORS or following in _CONNECTORS:
            score -= 2
        # A stop or comma joins what is before it, and what follows joins late.
        if last == ",":
            score -= 10
        if following == ",":
            score -= 10 if is_long else 1
        if last in _SENTENCE_STOPS:
            score -= 20
        if following in _SENTENCE_STOPS:
            score -= 20 if is_long else 1
        return score


def _is_control(token: str) -> bool:
    return token.startswith("[") and token.endswith("]")
