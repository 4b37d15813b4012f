"""Quasi-random points of a simplex times a box, for an acquisition function to be scanned on.

Notation: d columns, of which those of `simplex` sum to `total`; `bounds` is `2 x d`, with equal rows where a column is
fixed.
"""

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

FACES = 4
"""One in so many points has one weight at its lower bound: the faces of the simplex, where Dirichlet points never are,
are scanned too."""
BISECTIONS = 60


def scan_points(n: int, bounds: Tensor, simplex: Tensor, total: float, seed: int) -> Tensor:
    """`n x d` points: columns `simplex` (indices) uniform on the simplex above their bounds, the others in theirs.

    Points beyond an upper bound of a weight are moved to the nearest within.
    """
    sobol = SobolEngine(bounds.shape[1], scramble=True, seed=seed).draw(n, dtype=bounds.dtype)
    X = bounds[0] + sobol * (bounds[1] - bounds[0])
    if not len(simplex):
        return X
    low, high = bounds[:, simplex]
    is_free = low < high
    # Exponential spacings: normalised, they are uniform on the simplex.
    shares = -torch.log(sobol[:, simplex].clamp(1e-12, 1 - 1e-12)) * is_free
    # A block, not every fourth point: Sobol points that are a power of two apart fall into the same strata.
    faces = torch.arange(n - n // FACES, n)
    free = is_free.nonzero().flatten()
    if len(free) > 1:
        shares[faces, free[torch.arange(len(faces)) % len(free)]] = 0.0
    rest = total - low.sum()
    X[:, simplex] = low + rest * shares / shares.sum(dim=1, keepdim=True).clamp_min(1e-12)
    return onto_simplex(X, bounds, simplex, total)


def onto_simplex(X: Tensor, bounds: Tensor, simplex: Tensor, total: float) -> Tensor:
    """`X` clipped to the bounds, the columns `simplex` moved by the least that makes them sum to `total`."""
    X = torch.minimum(torch.maximum(X, bounds[0]), bounds[1])
    if not len(simplex):
        return X
    weights, (low, high) = X[:, simplex], bounds[:, simplex]
    # The Euclidean projection is clip(w - t) for the one t with which it sums to the total; the sum falls with t.
    least, most = torch.full_like(weights[:, :1], -total - 1), torch.full_like(weights[:, :1], total + 1)
    for _ in range(BISECTIONS):
        t = (least + most) / 2
        is_over = (weights - t).clamp(low, high).sum(dim=1, keepdim=True) > total
        least, most = torch.where(is_over, t, least), torch.where(is_over, most, t)
    on_it = (weights.sum(dim=1, keepdim=True) - total).abs() < 1e-12
    X[:, simplex] = torch.where(on_it, weights, (weights - (least + most) / 2).clamp(low, high))
    return X
