"""Which model learns most from older trials of another task? Ours and BoTorch's multi-task process, on held-out points.

    python -m experiments.benchmarks.outer_loop.transfer_models

Both are given the 24 older trials of `transfer` and a few new ones of the embedded task's emulator: sparse, the best of
the older task, and random points. What counts is the error of the predicted surface, and what the predicted best point
loses; both in units in which a point drawn evenly loses 1.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import MultiTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from tabulate import tabulate

from bo_shaping.comparison.statistics import ratio_of_means
from bo_shaping.config import RelatedTask
from bo_shaping.space.encoding import axes_of, encode
from bo_shaping.surrogate.gaussian_process import GaussianProcess
from bo_shaping.surrogate.older_surfaces import older_surfaces
from experiments.benchmarks.outer_loop.methods import study_config
from experiments.benchmarks.outer_loop.problems import EmulatedProblem, as_point
from experiments.benchmarks.outer_loop.related_tasks import TASKS
from experiments.benchmarks.outer_loop.transfer import COMPONENTS, TITLES, older
from experiments.benchmarks.outer_loop.wide_surface import RESULTS
from experiments.benchmarks.results_file import environment, installed, save

Array = NDArray[np.float64]

N_NEW = (4, 8)
"""New trials."""
N_POINTS = 512
ROUNDS = 10
ALONE = "new trials alone"
PACKAGES = ("botorch", "gpytorch", "tabulate")


def predict_alone(X: Array, y: Array, at: Array, related: RelatedTask, axes: Any) -> Array:
    """Our process without the older trials."""
    return GaussianProcess(X, y, [0] * len(y)).mean(at)


def predict_with_slopes(X: Array, y: Array, at: Array, related: RelatedTask, axes: Any) -> Array:
    """Our process, with the older surface as an input."""
    return GaussianProcess(X, y, [0] * len(y), older=older_surfaces([related], axes, "reward")).mean(at)


def predict_multi_task(X: Array, y: Array, at: Array, related: RelatedTask, axes: Any) -> Array:
    """BoTorch's multi-task process with its defaults, both tasks standardised by their own trials."""
    arms = [{f"w_{name}": weight for name, weight in t.weights.items()} | t.parameters for t in related.trials]
    older_X, older_y = encode(axes, arms), np.array([trial.outcomes["reward"] for trial in related.trials])
    inputs = np.vstack([np.c_[older_X, np.zeros(len(older_X))], np.c_[X, np.ones(len(X))]])
    targets = np.concatenate([(older_y - older_y.mean()) / older_y.std(), (y - y.mean()) / y.std()])
    model = MultiTaskGP(
        torch.tensor(inputs), torch.tensor(targets)[:, None], task_feature=-1, output_tasks=[1], outcome_transform=None
    )
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    with torch.no_grad():
        return y.mean() + y.std() * model.posterior(torch.tensor(at)).mean.squeeze(-1).numpy()


MODELS: dict[str, Callable[..., Array]] = {
    ALONE: predict_alone,
    "slope of the older surface": predict_with_slopes,
    "multi-task process": predict_multi_task,
}


def compare(kind: str, index: int, n: int) -> dict[str, list[float]]:
    """Error of the surface and loss of the predicted best point, by model."""
    problem, rng = EmulatedProblem(index, COMPONENTS), np.random.default_rng([index, n])
    related = RelatedTask.model_validate(older(kind, index)[0])
    config = study_config(problem, index)
    axes, k = axes_of(config.search_space), len(COMPONENTS)
    low, high = np.array(list(problem.parameters.values())).T

    def anywhere(m: int, concentration: float) -> Array:
        return np.hstack([rng.dirichlet(np.full(k, concentration), m), low + rng.random((m, len(low))) * (high - low)])

    best = max(related.trials, key=lambda trial: trial.outcomes["reward"])
    tried = anywhere(n, 1.0)
    tried[0, :k] = np.eye(k)[-1]
    tried[1] = as_point(problem, list(best.weights.values()), list(best.parameters.values()))
    points = anywhere(N_POINTS, 0.6)

    def encoded(X: Array) -> Array:
        names = [*(f"w_{name}" for name in COMPONENTS), *problem.parameters]
        return encode(axes, [dict(zip(names, row, strict=True)) for row in X.tolist()])

    y = np.array([problem.observe(x, i, None)[0] for i, x in enumerate(tried)])
    losses = np.array([problem.regret(x) for x in points])
    scale = problem.scale
    found = {}
    for name, predict in MODELS.items():
        predicted = predict(encoded(tried), y, encoded(points), related, axes) / scale
        # The surface up to a constant: what is to be maximised.
        errors = (predicted - predicted.mean()) + (losses - losses.mean())
        found[name] = [float(np.sqrt(np.mean(errors**2))), float(losses[predicted.argmax()])]
    return found


def measure(rounds: int) -> list[dict[str, Any]]:
    """Mean errors and losses, beside those of the new trials alone, with 95 % bootstrap intervals."""
    rows = []
    for kind in TASKS:
        for n in N_NEW:
            found = [compare(kind, index, n) for index in range(rounds)]
            for name in MODELS:
                row: dict[str, Any] = {"older": TITLES[kind], "new_trials": n, "model": name, "rounds": rounds}
                for i, what in enumerate(("error", "loss")):
                    pairs = np.array([[each[name][i], each[ALONE][i]] for each in found])
                    row[what] = float(pairs[:, 0].mean())
                    row[f"{what}_beside_alone"] = None if name == ALONE else list(ratio_of_means(*pairs.T))
                rows.append(row)
    return rows


def table_of(rows: list[dict[str, Any]]) -> str:
    """The comparison, as text."""
    texts = [
        [
            row["older"],
            row["new_trials"],
            row["model"],
            *(
                f"{row[what]:.3f}"
                + ("" if (r := row[f"{what}_beside_alone"]) is None else " = {:.2f}x ({:.2f} to {:.2f})".format(*r))
                for what in ("error", "loss")
            ),
        ]
        for row in rows
    ]
    return (
        "error of the predicted surface, loss of the predicted best point (1: what a point drawn evenly loses)\n"
        + tabulate(texts, headers=["older trials of", "new", "model", "error", "loss"], disable_numparse=True)
    )


def main() -> None:
    """Compare and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"repetitions ({ROUNDS})")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    rows = measure(parser.parse_args().rounds)
    save(RESULTS, "transfer models", {"result": rows, "environment": environment(installed(PACKAGES))})
    print(table_of(rows))


if __name__ == "__main__":
    main()
