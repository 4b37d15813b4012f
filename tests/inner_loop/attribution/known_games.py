"""Games with known values, for the tests of the estimators."""

import numpy as np

from inner_loop.attribution.coalitions import all_coalitions


def rough_game(n_units, seed, decay=0.3):
    """Values of all coalitions with interactions of every order, like a reward model's but rougher."""
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(size=2**n_units) * decay ** all_coalitions(n_units).sum(axis=1)
    values = coefficients.reshape((2,) * n_units)
    for axis in range(n_units):
        constant, slope = np.take(values, 0, axis=axis), np.take(values, 1, axis=axis)
        values = np.stack([constant - slope, constant + slope], axis=axis)
    return values.ravel(order="F")


def look_up(game, coalitions):
    """Values of `m x n` coalitions, from those of all coalitions."""
    return game[coalitions @ (1 << np.arange(coalitions.shape[1]))]


def random_tree(n_units, rng):
    """Nested lists over all units, of random depth and arity."""
    groups = [int(unit) for unit in rng.permutation(n_units)]
    while len(groups) > 1 and rng.random() < 0.8:
        size = rng.integers(1, len(groups) + 1)
        groups = [*groups[size:], groups[:size]]
    return groups
