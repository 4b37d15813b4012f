"""Optimising an acquisition function over simplex x box: scan many points, polish the best.

Ax's default polishes twenty starts found by hit-and-run sampling, which takes an order of magnitude longer in the few
dimensions of a study and finds the same optimum.
"""

from collections.abc import Callable
from typing import Any

import torch
from ax.core.search_space import SearchSpaceDigest
from ax.generators.torch.botorch_modular.acquisition import Acquisition
from ax.storage.botorch_modular_registry import register_acquisition
from botorch.optim.optimize import optimize_acqf
from torch import Tensor
from torch.quasirandom import SobolEngine

N_SCAN = 1024
"""Points scanned; a quarter of them lie on faces of the simplex, where Dirichlet points never do."""
CHUNK = 256
"""Points evaluated at once: bounds the memory of Monte Carlo samples x points x baseline."""
POLISH_ITERATIONS = 30
MIN_DISTANCE = 0.01
"""Arms nearer than this (in units of the box) to one that was run are not proposed: all arms share their seeds, so an
equal arm would only repeat an equal result."""


class SimplexAcquisition(Acquisition):
    """Ax's acquisition with a scan and one polish instead of many restarts; one candidate at a time."""

    def optimize(
        self,
        n: int,
        search_space_digest: SearchSpaceDigest,
        inequality_constraints: list[tuple[Tensor, Tensor, float]] | None = None,
        equality_constraints: list[tuple[Tensor, Tensor, float]] | None = None,
        fixed_features: dict[int, float] | None = None,
        rounding_func: Callable[[Tensor], Tensor] | None = None,
        optimizer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best candidate (`1 x d`), its acquisition value (`1`) and its arm weight (`1`).

        Requests that are not one free point of a simplex (batches, fixed features) go to Ax's own optimiser.
        """
        if n != 1 or fixed_features or inequality_constraints or not equality_constraints or _given(kwargs):
            return super().optimize(
                n=n,
                search_space_digest=search_space_digest,
                inequality_constraints=inequality_constraints,
                equality_constraints=equality_constraints,
                fixed_features=fixed_features,
                rounding_func=rounding_func,
                optimizer_options=optimizer_options,
                **kwargs,
            )
        bounds = torch.tensor(search_space_digest.bounds, dtype=self.dtype).T
        simplex = equality_constraints[0][0]
        seed = int(torch.randint(2**31, (1,)))
        X = scan_points(N_SCAN, bounds, simplex, seed)
        is_new = self._is_new(X, bounds)
        # In a small space every point may be near one that was run: then the best of them is run again.
        X = X[is_new] if bool(is_new.any()) else X
        with torch.no_grad():
            values = torch.cat([self.acqf(chunk.unsqueeze(-2)) for chunk in X.split(CHUNK)])
        best, value = X[values.argmax()], values.max()
        polished, polished_value = optimize_acqf(
            acq_function=self.acqf,
            bounds=bounds,
            q=1,
            num_restarts=1,
            batch_initial_conditions=best.view(1, 1, -1),
            equality_constraints=equality_constraints,
            options={"maxiter": POLISH_ITERATIONS},
        )
        polished = _onto_simplex(polished.detach(), simplex)
        if polished_value > value and bool(self._is_new(polished, bounds)):
            best, value = polished[0], polished_value
        candidate = best.unsqueeze(0)
        if rounding_func is not None:
            candidate = rounding_func(candidate)
        return candidate, value.detach().reshape(1), torch.ones(1, dtype=self.dtype)

    def _is_new(self, X: Tensor, bounds: Tensor) -> Tensor:
        """`n` booleans: True where a point of `X` (`n x d`) is far from every arm that ran or is running."""
        taken = [known for known in (self.X_observed, self.X_pending) if known is not None]
        if not taken:
            return torch.ones(len(X), dtype=torch.bool)
        width = bounds[1] - bounds[0]
        return torch.cdist(X / width, torch.cat(taken) / width).min(dim=1).values > MIN_DISTANCE


def scan_points(n: int, bounds: Tensor, simplex: Tensor, seed: int) -> Tensor:
    """`n x d` quasi-random points: columns `simplex` (indices) uniform on the simplex, the others in their bounds.

    The last quarter has one weight set to 0, so that the faces of the simplex are scanned too.
    """
    d, k = bounds.shape[1], len(simplex)
    sobol = SobolEngine(d, scramble=True, seed=seed).draw(n, dtype=bounds.dtype)
    X = bounds[0] + sobol * (bounds[1] - bounds[0])
    # Exponential spacings: normalised, they are uniform on the simplex.
    weights = -torch.log(sobol[:, simplex].clamp(1e-12, 1 - 1e-12))
    # A block, not every fourth point: Sobol points that are a power of two apart fall into the same strata.
    faces = torch.arange(n - n // 4, n)
    weights[faces, torch.arange(len(faces)) % k] = 0.0
    X[:, simplex] = weights / weights.sum(dim=1, keepdim=True)
    return X


def _given(options: dict[str, Any]) -> bool:
    return any(value is not None for value in options.values())


def _onto_simplex(X: Tensor, simplex: Tensor) -> Tensor:
    """`X` with the columns `simplex` clipped at 0 and renormalised."""
    X = X.clone()
    weights = X[:, simplex].clamp_min(0.0)
    X[:, simplex] = weights / weights.sum(dim=1, keepdim=True)
    return X


register_acquisition(SimplexAcquisition)
