"""How far an attribution is from the truth."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def relative_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """||estimate - truth|| / ||truth||, Euclidean."""
    return float(np.linalg.norm(estimate - truth) / np.linalg.norm(truth))


def spearman(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Rank correlation; ties share their mean rank, and a constant estimate correlates with nothing: 0."""
    left, right = rankdata(estimate), rankdata(truth)
    left, right = left - left.mean(), right - right.mean()
    scale = np.linalg.norm(left) * np.linalg.norm(right)
    return float(left @ right / scale) if scale else 0.0
