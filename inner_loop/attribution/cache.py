"""A cache that counts bytes: for results whose sizes differ by orders of magnitude."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Protocol, TypeVar, cast

ENTRY_BYTES = 2**10
"""What a key and its bookkeeping take, so that many small values count too."""


class Sized(Protocol):
    """Anything that knows its size in memory, such as an array."""

    @property
    def nbytes(self) -> int:
        """Bytes."""


Value = TypeVar("Value", bound=Sized)


class ByteLimitedCache:
    """Values computed once per key; beyond `max_bytes`, those not used for longest go."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[Hashable, Sized] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """The value of `key`, by `compute()` unless it is kept; one larger than the cache is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return cast("Value", self._values[key])
        value = compute()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._bytes += value.nbytes + ENTRY_BYTES
            while self._bytes > self._max_bytes:
                self._bytes -= self._values.popitem(last=False)[1].nbytes + ENTRY_BYTES
        return value
