"""Private names of BoTorch that a study cannot do without (`botorch` 0.18)."""

from botorch.acquisition.multi_objective import logei


def never_compile() -> None:
    """Keep to BoTorch's Python code for hypervolumes, which gives the same values as the C++ that it would compile.

    It compiles at first use, under a lock file that outlives a process killed meanwhile: whoever comes next waits for
    ever. What it compiles is made for this processor, and kept in a home folder that other machines may share.
    """
    logei._load_attempted = True
