"""Processor seconds of fitting the process that candidates are chosen by: with BoTorch's fit, and with ours.

    python -m experiments.benchmarks.candidate_fit

Both get the same data: two outcomes over five inputs, a smooth surface and noise, as many trials as the columns say and
another seed in each repeat. It prints a table and writes `candidate_fit.json` beside the other results.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from bo_shaping.generation.candidate_process import CandidateProcess
from experiments.benchmarks.results_file import environment, installed, save

RESULTS = Path(__file__).parent / "results" / "candidate_fit.json"
N_TRIALS = (12, 50, 100, 200, 500)
N_INPUTS = 5
KINDS = {"botorch": SingleTaskGP, "ours": CandidateProcess}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="data sets of each size (3)")
    parser.add_argument("--most", type=int, default=max(N_TRIALS), help="trials, at most")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    measured = [measure(n, options.repeats) for n in N_TRIALS if n <= options.most]
    print(table(measured))
    record = {"repeats": options.repeats, "environment": environment(installed(["botorch", "gpytorch"]))}
    save(options.output, "fit", record | {"measured": measured})


def measure(n: int, repeats: int) -> dict[str, Any]:
    """Seconds of both fits on each of the data sets, and the ratio of botorch's to ours."""
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in range(repeats):
        X, Y = data(n, seed)
        for kind, process in KINDS.items():
            model = process(X, Y, outcome_transform=None)
            began = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            seconds[kind].append(round(time.process_time() - began, 4))
    ratios = np.array(seconds["botorch"]) / np.array(seconds["ours"])
    return {
        "trials": n,
        **seconds,
        "ratio": [float(f"{part:.3g}") for part in (ratios.min(), np.median(ratios), ratios.max())],
    }


def data(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """`n x 5` inputs in [0, 1] and `n x 2` standardised outcomes."""
    random = torch.Generator().manual_seed(seed)
    X = torch.rand(n, N_INPUTS, dtype=torch.float64, generator=random)
    Y = torch.stack([torch.sin(4 * X[:, 0]) - (X[:, 1] - 0.4) ** 2 + 0.5 * X[:, 2], X[:, 0] + X[:, 3] ** 2], dim=1)
    Y = Y + 0.3 * torch.randn(n, 2, dtype=torch.float64, generator=random)
    return X, (Y - Y.mean(dim=0)) / Y.std(dim=0)


def table(measured: list[dict[str, Any]]) -> str:
    """One row per number of trials: medians, and the ratio with its smallest and largest."""
    lines = ["trials   botorch s   ours s   ratio (least to most)"]
    for row in measured:
        low, middle, high = row["ratio"]
        botorch, ours = (float(np.median(row[kind])) for kind in KINDS)
        lines.append(f"{row['trials']:6}   {botorch:9.3f}   {ours:6.3f}   {middle:.3g} ({low:.3g} to {high:.3g})")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
