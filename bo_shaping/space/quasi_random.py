"""Quasi-random points of a simplex times a box, for an acquisition function to be scanned on.

Notation: d columns, of which those of `simplex` sum to `total`; `bounds` is `2 x d`, with equal rows where a column is
fixed. Columns `places` hold the places 0, 1, ... of values in an order, and nothing between.
"""

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

FACES = 4
"""One in so many points lies on a face of the simplex, where Dirichlet points never are, and of the box."""
AT_BOUND = 0.5
"""Share of the columns that are at a bound there."""
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
    generator = torch.Generator().manual_seed(seed)
    # Exponential spacings: normalised, they are uniform on the simplex.
    shares = -torch.log(sobol[:, simplex].clamp(1e-12, 1 - 1e-12)) * is_free
    # A block, not every fourth point: Sobol points that are a power of two apart fall into the same strata.
    faces = torch.arange(n - n // FACES, n)
    # Faces of every dimension down to the corners: at least one weight is at its lower bound, and not all are.
    ranks = torch.rand(len(faces), len(simplex), generator=generator, dtype=X.dtype) + 2.0 * ~is_free
    n_free = int(is_free.sum())
    n_zero = torch.randint(1, max(n_free, 2), (len(faces), 1), generator=generator)
    if n_free > 1:
        shares[faces] = torch.where(ranks.argsort(dim=1).argsort(dim=1) < n_zero, 0.0, shares[faces])
    others = torch.tensor([column for column in range(X.shape[1]) if column not in set(simplex.tolist())])
    if len(others):
        coin = torch.rand(2, len(faces), len(others), generator=generator, dtype=X.dtype)
        bound = torch.where(coin[0] < 0.5, bounds[0, others], bounds[1, others])
        X[faces.unsqueeze(1), others] = torch.where(coin[1] < AT_BOUND, bound, X[faces.unsqueeze(1), others])
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


def onto_places(X: Tensor, bounds: Tensor, places: list[int]) -> Tensor:
    """`X` (`n x d`) with whole numbers in the columns `places`: each has an equal part of what lies between bounds."""
    if not places:
        return X
    low, high = bounds[:, places]
    steps = high - low
    share = torch.where(steps > 0, (X[:, places] - low) / steps.clamp(min=1.0), 0.0)
    whole = X.clone()
    whole[:, places] = low + (share * (steps + 1)).floor().clamp(min=0.0).minimum(steps)
    return whole


def with_each_place(X: Tensor, bounds: Tensor, places: list[int]) -> Tensor:
    """`m x d`: of every row of `X` (`n x d`) the nearest with whole `places`, and each that differs from it in one."""
    if not places:
        return X
    nearest = X.clone()
    nearest[:, places] = X[:, places].round().clamp(bounds[0, places], bounds[1, places])
    rows = [nearest]
    for column in places:
        for value in torch.arange(int(bounds[0, column]), int(bounds[1, column]) + 1, dtype=X.dtype):
            other = nearest.clone()
            other[:, column] = value
            rows.append(other)
    return torch.cat(rows).unique(dim=0)
