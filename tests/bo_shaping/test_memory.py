import sys
from pathlib import Path

import numpy as np
import pytest

from bo_shaping.memory import give_back_memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_of_freed_blocks_go_back_to_the_system():
    # Blocks too small to be mapped one by one; those that stay keep the heap from shrinking at its end.
    blocks = [np.ones(8_000) for _ in range(4_000)]
    kept = blocks[::40]
    del blocks
    before = _resident_mb()

    give_back_memory()

    assert before - _resident_mb() > 150
    assert all(block[-1] == 1 for block in kept)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_cycle_of_references_does_not_keep_its_memory():
    cycle = [np.ones(40_000_000)]
    cycle.append(cycle)
    before = _resident_mb()
    del cycle

    give_back_memory()

    assert before - _resident_mb() > 250


def _resident_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
