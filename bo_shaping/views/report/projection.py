"""The simplex of mixing weights on paper: n points with k weights each become n points with two coordinates."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]

_GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def simplex_vertices(k: int) -> Points:
    """`k x 2` corners: the ends of the unit interval for two components, the unit triangle for three.

    Raises:
        ValueError: For any other k; a plane cannot show a larger simplex without overlap.
    """
    if k == 2:
        return np.array([[0.0, 0.0], [1.0, 0.0]])
    if k == 3:
        return np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
    raise ValueError(f"A simplex of 2 or 3 components can be drawn in the plane, got {k}.")


def project(weights: ArrayLike) -> Points:
    """Barycentric to Cartesian coordinates.

    Args:
        weights: `n x k` points of the simplex, k in {2, 3}.

    Returns:
        `n x 2` points; every corner of the simplex lands on its vertex.
    """
    W = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    return W @ simplex_vertices(W.shape[1])


def spread_apart(points: Points, distance: float, *, anchors: Points | None = None, rounds: int = 60) -> Points:
    """Move points just far enough to be `distance` from each other and from the anchors, so that labels can be read.

    Coinciding points leave each other along directions that depend on their order only: equal input, equal picture.

    Args:
        points: `n x 2`, moved as little as it takes.
        distance: Least distance between any two.
        anchors: `m x 2` points that stay where they are.
        rounds: Most passes over all pairs.

    Returns:
        `n x 2` new positions.
    """
    n = len(points)
    placed = np.concatenate([points, np.empty((0, 2)) if anchors is None else anchors]).astype(np.float64)
    for _ in range(rounds):
        moved = False
        for i in range(n):
            for j in [*range(i), *range(n, len(placed))]:
                gap = placed[i] - placed[j]
                length = float(np.hypot(*gap))
                if length >= distance:
                    continue
                # The golden angle never repeats a direction, so a pile of points opens into a rosette.
                angle = _GOLDEN_ANGLE * (i + j)
                direction = gap / length if length > 1e-9 else np.array([np.cos(angle), np.sin(angle)])
                # One per cent more than needed, so that rounding cannot keep the loop alive.
                push = 1.01 * (distance - length) * direction
                share = 0.5 if j < n else 1.0
                placed[i] += share * push
                placed[j] -= (1.0 - share) * push
                moved = True
        if not moved:
            break
    return placed[:n]
