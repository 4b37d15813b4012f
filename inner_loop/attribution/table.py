"""The table behind every estimator: what the reward model says of each coalition of each response.

All responses are evaluated together: every distinct sequence once, in batches of similar length.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np

from inner_loop.attribution.masking import Masking, masked_sequences, masked_texts, token_units
from inner_loop.errors import AttributionError, RewardModelError
from inner_loop.models.beginnings import whole_sequences
from inner_loop.models.callable_reward_model import CallableRewardModel
from inner_loop.models.encoding import EncodedResponse
from inner_loop.models.reward_models import RewardModel
from inner_loop.models.scores import check_count
from inner_loop.models.transformers_reward_model import Dtype, TransformersRewardModel

TOKENS_IN_MEMORY = 2**22
"""Tokens (characters, for reward models that read texts) of masked versions that are held at a time: 16 MiB of ids."""

Version = bytes | str
"""One masked version of a response: the bytes of its token ids (int32), or its text."""


@dataclass(frozen=True)
class CoalitionValues:
    """What the reward model says of one response's `m` coalitions."""

    values: np.ndarray
    """`m` scores, float64."""
    n_evaluations: int
    """Distinct sequences among them; for a causal reward model, those that begin no other one."""


class ScoreCache:
    """Scores of the sequences seen last by one reward model whose weights do not change.

    A sequence is known by a 128-bit digest of what the model reads (ids and attention, or the text) and by the
    precision of the forward pass, so that one cache serves every masking and dtype.

    Args:
        max_entries: Scores kept; those used longest ago go first. About 200 bytes each.
    """

    def __init__(self, max_entries: int = 2**20) -> None:
        self._max_entries = max_entries
        self._scores: OrderedDict[bytes, float] = OrderedDict()
        self._reward_model: RewardModel | None = None

    def __len__(self) -> int:
        return len(self._scores)

    def serve(self, reward_model: RewardModel) -> None:
        """Take `reward_model` as the one whose scores these are.

        Raises:
            AttributionError: If they are another one's.
        """
        if self._reward_model not in (None, reward_model):
            raise AttributionError("This score cache holds the scores of another reward model.")
        self._reward_model = reward_model

    def get(self, version: Version, dtype: str) -> float | None:
        """The score, if it is known."""
        key = _digest(version, dtype)
        if (score := self._scores.get(key)) is not None:
            self._scores.move_to_end(key)
        return score

    def put(self, version: Version, dtype: str, score: float) -> None:
        """Keep a score."""
        self._scores[_digest(version, dtype)] = score
        if len(self._scores) > self._max_entries:
            self._scores.popitem(last=False)


def evaluate_coalitions(
    reward_model: RewardModel,
    prompts: Sequence[str],
    responses: Sequence[str],
    offsets: Sequence[Sequence[tuple[int, int]]],
    coalitions: Sequence[np.ndarray],
    *,
    masking: Masking = "remove",
    dtype: Dtype = "auto",
    cache: ScoreCache | None = None,
    encoded: Sequence[EncodedResponse] | None = None,
) -> list[CoalitionValues]:
    """Score the coalitions of every response's units.

    The empty and the full coalition are scored in float32 whatever `dtype`: they carry the sum of the credit.

    Args:
        reward_model: Transformers models are given token ids, others texts.
        prompts: `b` prompts; never masked.
        responses: `b` responses.
        offsets: Per response, its `n` units' character ranges; they partition it.
        coalitions: Per response, `m x n` booleans: the empty coalition, the full one, then any; one row if `n` is 0.
        masking: How absent units are left out.
        dtype: Precision of the other coalitions' forward passes; reward models that read texts have their own.
        cache: Scores to look up before, and to add to.
        encoded: `reward_model.encode(prompts, responses)`, if it is there already.

    Returns:
        One `CoalitionValues` per response; it does not depend on the other responses beyond rounding.

    Raises:
        AttributionError: If coalitions do not fit the units, or texts are to be masked by attention.
        RewardModelError: If a score is not a finite number; it names the response.
    """
    versions: _Versions
    if isinstance(reward_model, TransformersRewardModel):
        encoded = reward_model.encode(prompts, responses) if encoded is None else encoded
        versions = _SequenceVersions(reward_model, encoded, offsets, coalitions, masking)
        other_dtype = reward_model.resolve_dtype(dtype)
    else:
        versions = _TextVersions(reward_model, prompts, responses, offsets, coalitions, masking)
        other_dtype = "float32"
    for index, (ranges, rows) in enumerate(zip(offsets, coalitions, strict=True)):
        _check_coalitions(index, len(ranges), rows)
    chunks = list(_chunks([versions.size(index) for index in range(len(responses))]))
    if cache is None and len(chunks) > 1:
        # What one chunk has evaluated is not evaluated again by the next.
        cache = ScoreCache(max_entries=sum(map(len, coalitions)))
    if cache is not None:
        cache.serve(reward_model)
    return [result for chunk in chunks for result in _evaluate(versions, chunk, other_dtype, cache)]


class _Versions(Protocol):
    """The masked versions of all responses, and how they are scored."""

    def size(self, index: int) -> int:
        """Tokens or characters of one response's versions, at most."""

    def of(self, index: int) -> list[Version]:
        """One response's versions, in the order of its coalitions."""

    def scores(self, versions: list[Any], dtype: Any) -> Any:
        """The reward model's scores, finite or not: a float32 array or a list."""

    def read_with(self, version: Any, versions: set[Any]) -> set[Any]:
        """Those of `versions` whose scores come with the evaluation of `version`."""

    def n_evaluations(self, versions: list[Any]) -> int:
        """What it takes to score distinct versions."""


@dataclass(frozen=True)
class _SequenceVersions:
    reward_model: TransformersRewardModel
    encoded: Sequence[EncodedResponse]
    offsets: Sequence[Sequence[tuple[int, int]]]
    coalitions: Sequence[np.ndarray]
    masking: Masking

    def size(self, index: int) -> int:
        return len(self.coalitions[index]) * len(self.encoded[index].ids)

    def of(self, index: int) -> list[Version]:
        encoded, rows = self.encoded[index], self.coalitions[index]
        units = token_units(encoded, self.offsets[index])
        sequences = masked_sequences(encoded.ids, units, rows, self.masking, self.reward_model.mask_id)
        return [sequence.tobytes() for sequence in sequences]

    def scores(self, versions: list[bytes], dtype: Dtype) -> np.ndarray:
        return self.reward_model.score_sequences([np.frombuffer(ids, dtype=np.int32) for ids in versions], dtype)

    def read_with(self, version: bytes, versions: set[bytes]) -> set[bytes]:
        if not self.reward_model.scores_beginnings:
            return versions & {version}
        return {other for other in versions if version.startswith(other)}

    def n_evaluations(self, versions: list[bytes]) -> int:
        return len(set(whole_sequences(versions))) if self.reward_model.scores_beginnings else len(versions)


@dataclass(frozen=True)
class _TextVersions:
    reward_model: RewardModel
    prompts: Sequence[str]
    responses: Sequence[str]
    offsets: Sequence[Sequence[tuple[int, int]]]
    coalitions: Sequence[np.ndarray]
    masking: Masking

    def size(self, index: int) -> int:
        return len(self.coalitions[index]) * len(self.prompts[index] + self.responses[index])

    def of(self, index: int) -> list[Version]:
        texts = masked_texts(
            self.prompts[index],
            self.responses[index],
            self.offsets[index],
            self.coalitions[index],
            self.masking,
            getattr(self.reward_model, "mask_text", CallableRewardModel.mask_text),
        )
        return list(texts)

    def scores(self, versions: list[str], dtype: str) -> Sequence[float]:
        score = getattr(self.reward_model, "unchecked_score", self.reward_model.score)
        return check_count(score(versions), versions)

    def read_with(self, version: str, versions: set[str]) -> set[str]:
        return versions & {version}

    def n_evaluations(self, versions: list[str]) -> int:
        return len(versions)


def _evaluate(versions: _Versions, chunk: range, dtype: str, cache: ScoreCache | None) -> list[CoalitionValues]:
    """Values of the responses in `chunk`, each distinct version evaluated once."""
    places: dict[tuple[str, Version], int] = {}
    rows, n_distinct = [], []
    for index in chunk:
        sequences = versions.of(index)
        # A coalition that reads like the full or the empty response has the same score, in whatever company; and what
        # comes with the full one's pass is not asked for again.
        exact = set(sequences[:2]) | versions.read_with(sequences[min(1, len(sequences) - 1)], set(sequences))
        keys = [("float32" if version in exact else dtype, version) for version in sequences]
        rows.append(np.array([places.setdefault(key, len(places)) for key in keys]))
        alike = [[version for of, version in set(keys) if of == precision] for precision in {"float32", dtype}]
        n_distinct.append(sum(map(versions.n_evaluations, alike)))
    scores = _scores(versions, list(places), cache)
    results = []
    for index, row, n_evaluations in zip(chunk, rows, n_distinct, strict=True):
        _check_finite(index, scores[row])
        results.append(CoalitionValues(scores[row], n_evaluations))
    return results


def _scores(versions: _Versions, keys: list[tuple[str, Version]], cache: ScoreCache | None) -> np.ndarray:
    """Scores of distinct versions, in float64."""
    scores = np.full(len(keys), np.nan)
    unknown: dict[str, list[int]] = {}
    for place, (dtype, version) in enumerate(keys):
        known = None if cache is None else cache.get(version, dtype)
        if known is None:
            unknown.setdefault(dtype, []).append(place)
        else:
            scores[place] = known
    for dtype, places in unknown.items():
        scores[places] = versions.scores([keys[place][1] for place in places], dtype)
        if cache is not None:
            for place in places:
                cache.put(keys[place][1], dtype, scores[place])
    return scores


def _chunks(sizes: list[int]) -> Iterator[range]:
    """Cut responses into runs of at most `TOKENS_IN_MEMORY` (one response at least)."""
    start, total = 0, 0
    for index, size in enumerate(sizes):
        if index > start and total + size > TOKENS_IN_MEMORY:
            yield range(start, index)
            start, total = index, 0
        total += size
    if sizes:
        yield range(start, len(sizes))


def _digest(version: Version, dtype: str) -> bytes:
    content = version if isinstance(version, bytes) else version.encode("utf-8", "surrogatepass")
    return blake2b(content, digest_size=16, key=dtype.encode()).digest()


def _check_coalitions(index: int, n_units: int, coalitions: np.ndarray) -> None:
    if coalitions.ndim != 2 or coalitions.shape[1] != n_units or coalitions.dtype != bool:
        raise AttributionError(
            f"Response {index} has {n_units} units; its coalitions are {coalitions.dtype} of shape {coalitions.shape}."
        )
    if n_units and (len(coalitions) < 2 or coalitions[0].any() or not coalitions[1].all()):
        raise AttributionError(f"The first coalitions of response {index} must be the empty and the full one.")
    if not n_units and len(coalitions) != 1:
        raise AttributionError(f"Response {index} has no units and so one coalition, not {len(coalitions)}.")


def _check_finite(index: int, values: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if not len(bad):
        return
    # Of several bad scores, that of the response as it is says most.
    row = 1 if 1 in bad else bad[0]
    version = "as it is" if row == 1 or len(values) == 1 else "with every unit absent" if row == 0 else "masked"
    raise RewardModelError(f"The reward model scored response {index}, {version}, as {values[row]}.")
