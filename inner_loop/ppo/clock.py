"""Where the time of a training goes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch


@dataclass
class PhaseClock:
    """Wall seconds spent per phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    def take_over(self, seconds: Mapping[str, float]) -> None:
        """Add what an interrupted run had spent before."""
        for phase, spent in seconds.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + spent

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to `name`; a GPU's work is waited for."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
