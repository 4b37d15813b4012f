"""Memory that is no longer needed, given back to the system.

glibc keeps the pages of what was freed, and reuses them badly where large and small blocks take turns, as in a training
or in the fit of a Gaussian process: workers grew with every training and drivers with every trial.
`experiments.benchmarks.outer_loop` measures the driver's.
"""

import ctypes
import gc
import sys


def give_back_memory() -> None:
    """Collect what nobody refers to, and return it: for between two trainings."""
    gc.collect()
    trim_heap()


def trim_heap() -> None:
    """Return what was freed: for between two proposals, where a collection would cost more than it finds."""
    if sys.platform != "linux":
        return
    # Not every Linux has glibc.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
