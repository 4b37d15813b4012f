"""The libraries one would otherwise use, each as one function on the same game.

A game is a function from `m x n` boolean coalitions to `m` values. Every peer is told the same budget, meaning all
evaluations asked for, the empty and the full coalition included, and is otherwise left at its defaults.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Protocol

import numpy as np

Game = Callable[[np.ndarray], np.ndarray]

PACKAGES = ("shap", "lime", "captum", "shapiq")


class MissingForBenchmarkError(RuntimeError):
    """A package or a model that the benchmark needs is not there; the message says how to get it."""


class Peer(Protocol):
    """An estimator of another library."""

    def __call__(self, game: Game, n_units: int, budget: int, seed: int) -> np.ndarray:
        """`n` attributions."""


class CountingGame:
    """A game that counts what it is asked.

    Attributes:
        n_asked: Evaluations so far, repeats included.
        n_distinct: Distinct coalitions among them: what a perfect cache would have cost.
    """

    def __init__(self, game: Game) -> None:
        self._game = game
        self._seen: set[bytes] = set()
        self.n_asked = 0

    def __call__(self, coalitions: np.ndarray) -> np.ndarray:
        """The values, counted."""
        present = np.asarray(coalitions).astype(bool)
        self.n_asked += len(present)
        self._seen.update(row.tobytes() for row in present)
        return self._game(present)

    @property
    def n_distinct(self) -> int:
        """Distinct coalitions asked for so far."""
        return len(self._seen)


def check_packages() -> dict[str, str]:
    """Versions of the peers.

    Raises:
        MissingForBenchmarkError: If one is not installed.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingForBenchmarkError(
            f"The benchmark compares with {', '.join(PACKAGES)}; get what is missing with: pip install "
            f"{' '.join(missing)}"
        )
    return {name: version(name) for name in PACKAGES}


def shap_kernel(game: Game, n_units: int, budget: int, seed: int) -> np.ndarray:
    """`shap.KernelExplainer` without the selection of features."""
    return _shap_kernel(game, n_units, budget, seed, l1_reg=0)


def shap_kernel_default(game: Game, n_units: int, budget: int, seed: int) -> np.ndarray:
    """`shap.KernelExplainer` as it comes: at most ten features are not zero."""
    return _shap_kernel(game, n_units, budget, seed, l1_reg="num_features(10)")


def _shap_kernel(game: Game, n_units: int, budget: int, seed: int, l1_reg: str | int) -> np.ndarray:
    import shap

    np.random.seed(seed)  # noqa: NPY002  # the explainer draws from the global generator
    explainer = shap.KernelExplainer(game, np.zeros((1, n_units)))
    # It evaluates the empty and the full coalition before it counts.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few samples make its regression singular, which it says at length
        values = explainer.shap_values(np.ones((1, n_units)), nsamples=budget - 2, l1_reg=l1_reg, silent=True)
    return np.asarray(values, dtype=float).reshape(n_units)


def shap_permutation(game: Game, n_units: int, budget: int, seed: int) -> np.ndarray:
    """`shap.PermutationExplainer`: antithetic permutations."""
    import shap

    masker = shap.maskers.Independent(np.zeros((1, n_units)))
    explainer = shap.PermutationExplainer(game, masker, seed=seed)
    return np.asarray(explainer(np.ones((1, n_units)), max_evals=budget, silent=True).values[0])


def shapiq_kernel_paired(game: Game, n_units: int, budget: int, seed: int) -> np.ndarray:
    """`shapiq.KernelSHAP` with complement pairs."""
    import shapiq

    approximator = shapiq.KernelSHAP(n=n_units, pairing_trick=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = approximator.approximate(budget, game)
    return np.asarray(result.get_n_order_values(1))


def captum_kernel(game: Game, n_units: int, budget: int, seed: int) -> np.ndarray:
    """`captum.attr.KernelShap`."""
    import torch
    from captum.attr import KernelShap

    def forward(rows: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(game(rows.numpy() > 0))

    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = KernelShap(forward).attribute(
            torch.ones(1, n_units, dtype=torch.float64), n_samples=budget, perturbations_per_eval=budget
        )
    return values.numpy().reshape(n_units).astype(float)


def shap_partition(game: Game, n_units: int, budget: int, linkage: np.ndarray) -> np.ndarray:
    """`shap.PartitionExplainer`: Owen values over the tree of a `(n - 1) x 4` linkage, best nodes first."""
    import shap

    masker = shap.maskers.Partition(np.zeros((1, n_units)), clustering=linkage)
    explainer = shap.PartitionExplainer(game, masker)
    np.random.seed(0)  # noqa: NPY002  # it breaks ties by the global generator
    return np.asarray(explainer(np.ones((1, n_units)), max_evals=budget, silent=True).values[0])


def lime_text(game: Game, n_units: int, budget: int, seed: int) -> np.ndarray:
    """`LimeTextExplainer` on a text of n different words, the units; `num_samples` is the budget."""
    from lime.lime_text import LimeTextExplainer

    words = [f"unit{unit}" for unit in range(n_units)]

    def predict(texts: list[str]) -> np.ndarray:
        present = [set(text.split()) for text in texts]
        return game(np.array([[word in row for word in words] for row in present]))[:, None]

    explainer = LimeTextExplainer(split_expression=r"\s+", feature_selection="none", random_state=seed)
    explanation = explainer.explain_instance(
        " ".join(words), predict, labels=(0,), num_features=n_units, num_samples=budget
    )
    coefficients = dict(explanation.as_list(label=0))
    return np.array([coefficients[word] for word in words])


SHAPLEY_PEERS: dict[str, Peer] = {
    "shap Kernel (l1_reg=0)": shap_kernel,
    "shap Kernel (default l1)": shap_kernel_default,
    "shap Permutation": shap_permutation,
    "shapiq KernelSHAP paired": shapiq_kernel_paired,
    "captum KernelShap": captum_kernel,
}
