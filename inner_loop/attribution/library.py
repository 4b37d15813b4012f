"""The library engine: the same credit by the `shap` and `lime` packages themselves, for comparison and for sceptics.

One game at a time, with the settings that the packages would use for a text, except that none of them selects units:
every unit gets its value. Much slower than our own estimators, which share one set of evaluations among all methods.

.. [Lundberg2017] A Unified Approach to Interpreting Model Predictions. arXiv:1705.07874.
.. [Ribeiro2016] "Why Should I Trust You?": Explaining the Predictions of Any Classifier. arXiv:1602.04938.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from inner_loop.attribution.credit import Credit
from inner_loop.attribution.owen import Groups, Tree, as_tree
from inner_loop.errors import AttributionError

if TYPE_CHECKING:
    import shap

ValueFunction = Callable[[np.ndarray], np.ndarray]
"""Coalitions, `m x n` booleans with True for a present unit, to their `m` values."""


def library_values(
    method: str,
    value_fn: ValueFunction,
    n_units: int,
    *,
    budget: int,
    tree: Groups | Tree | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, int]:
    """Explain one game by `shap` or `lime`. Same inputs, same bits; no global random state is left changed.

    * `shapley`: shap's `KernelExplainer` [Lundberg2017]_ without feature selection, which evaluates every coalition,
      and is exact, once `2^n <= budget`. With fewer evaluations than units it falls back on the least-norm solution.
    * `owen`: shap's `PartitionExplainer` over `tree`. Its own count, to which the budget applies, includes coalitions
      that it asks for repeatedly, so fewer distinct ones are evaluated; what is left when the budget is spent is
      divided evenly within groups.
    * `lime`: `LimeTextExplainer` [Ribeiro2016]_ over the units as distinct words, without feature selection. It draws
      coalitions with replacement, so fewer distinct ones are evaluated.

    Args:
        method: `shapley`, `owen` or `lime`.
        value_fn: The game; each distinct coalition is asked for once.
        n_units: Number of units, `n`.
        budget: Most distinct coalitions to evaluate, at least 2 (3 for `shapley` with two units or more).
        tree: For `owen`: a binary tree over the units, as `inner_loop.attribution.owen.as_tree` takes it.
        seed: Seed of the packages' random draws.

    Returns:
        `n` values, and how many distinct coalitions were evaluated, the full and the empty one included. Values of
        `shapley` and `owen` sum to the difference of those two.

    Raises:
        AttributionError: If the method is unknown, the budget too small, the tree missing or not a binary tree of the
            units, or a value not a finite number.
    """
    if method not in _EXPLAINERS:
        raise AttributionError(f"The library engine has the methods {', '.join(_EXPLAINERS)}, not {method!r}.")
    if budget < 2:
        raise AttributionError(f"The empty and the full coalition need a budget of 2, got {budget}.")
    game = RememberedGame(value_fn, n_units)
    base_value, full_value = game(np.array([[False] * n_units, [True] * n_units], dtype=bool))
    # No library takes a game without units, and only lime one of a single unit.
    if n_units == 0:
        values = np.zeros(0)
    elif n_units == 1 and method != "lime":
        values = np.array([full_value - base_value])
    else:
        values = _EXPLAINERS[method](game, budget, tree, seed)
    return values, game.n_evaluations


class RememberedGame:
    """A game that remembers: libraries ask for some coalitions again and again."""

    def __init__(self, value_fn: ValueFunction, n_units: int) -> None:
        self.n_units = n_units
        self._value_fn = value_fn
        self._known: dict[bytes, float] = {}

    @property
    def n_evaluations(self) -> int:
        """Distinct coalitions evaluated so far."""
        return len(self._known)

    def __call__(self, coalitions: np.ndarray) -> np.ndarray:
        """Values of `m x n` coalitions, of any type whose zero means absent."""
        rows = np.asarray(coalitions).astype(bool)
        keys = [row.tobytes() for row in rows]
        unknown = {key: index for index, key in enumerate(keys) if key not in self._known}
        if unknown:
            values = np.asarray(self._value_fn(rows[list(unknown.values())]), dtype=np.float64)
            if values.shape != (len(unknown),) or not np.isfinite(values).all():
                raise AttributionError(f"A game must give {len(unknown)} coalitions as many finite values: {values}.")
            self._known.update(zip(unknown, values.tolist(), strict=True))
        return np.array([self._known[key] for key in keys])


def _kernel_values(game: RememberedGame, budget: int, tree: Groups | Tree | None, seed: int) -> np.ndarray:
    import shap

    if budget < 3:
        raise AttributionError(f"shap's KernelExplainer needs a budget of 3 for {game.n_units} units, got {budget}.")
    absent, present = np.zeros((1, game.n_units)), np.ones((1, game.n_units))
    with _numpy_seeded(seed):
        explainer = shap.KernelExplainer(game, absent)
        # Its count leaves out the empty and the full coalition.
        values = explainer.shap_values(present, nsamples=budget - 2, l1_reg=False, silent=True)
    return np.asarray(values)[0]


def _partition_values(game: RememberedGame, budget: int, tree: Groups | Tree | None, seed: int) -> np.ndarray:
    import shap

    if tree is None:
        raise AttributionError("Owen values by shap's PartitionExplainer need a tree over the units.")
    with _numpy_seeded(seed):
        explainer = shap.explainers.Partition(game, _UnitMasker(_linkage(tree, game.n_units)))
        # It evaluates coalitions in pairs and would overshoot an odd budget by one.
        explanation = explainer(np.ones((1, game.n_units)), max_evals=budget - budget % 2, silent=True)
    return np.asarray(explanation.values)[0]


def _lime_values(game: RememberedGame, budget: int, tree: Groups | Tree | None, seed: int) -> np.ndarray:
    from lime.lime_text import LimeTextExplainer

    def score_texts(texts: Sequence[str]) -> np.ndarray:
        coalitions = np.zeros((len(texts), game.n_units), dtype=bool)
        for row, text in zip(coalitions, texts, strict=True):
            row[[int(word) for word in re.findall(r"\d+", text)]] = True
        return game(coalitions)[:, None]

    explainer = LimeTextExplainer(random_state=seed, feature_selection="none")
    words = " ".join(map(str, range(game.n_units)))
    # The empty coalition is evaluated besides, as the base value; lime has no use for it.
    explanation = explainer.explain_instance(words, score_texts, labels=(0,), num_samples=budget - 1)
    values = np.zeros(game.n_units)
    for unit, value in explanation.local_exp[0]:
        values[unit] = value
    return values


_EXPLAINERS = {"shapley": _kernel_values, "owen": _partition_values, "lime": _lime_values}


class _UnitMasker:
    """What `shap` calls a masker: the "masked text" is the coalition itself."""

    def __init__(self, linkage: np.ndarray) -> None:
        self.clustering = linkage
        self.shape = (1, len(linkage) + 1)

    def __call__(self, mask: np.ndarray, units: np.ndarray) -> np.ndarray:
        return np.asarray(mask, dtype=np.float64)[None, :]


def _linkage(tree: Groups | Tree, n_units: int) -> np.ndarray:
    """`(n - 1) x 4` linkage matrix of a binary tree; all distances are 1, since `shap` takes a negative one for a leaf.

    Raises:
        AttributionError: If the tree does not hold each unit once, or is not binary.
    """
    nodes, sizes = as_tree(tree, n_units).nodes, np.ones(2 * n_units - 1)
    if any(len(children) != 2 for children in nodes):
        raise AttributionError("shap's PartitionExplainer takes a binary tree: two parts to every group.")
    for number, children in enumerate(nodes, start=n_units):
        sizes[number] = sizes[list(children)].sum()
    return np.column_stack([np.array(nodes), np.ones(n_units - 1), sizes[n_units:]])


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """`shap` draws from numpy's global generator: seeded for it, and put back as it was."""
    state: Any = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def to_shap(credits: Sequence[Credit], method: str = "shapley") -> "shap.Explanation":
    """Credits as the `shap` package's own result, for its plots.

    `shap.plots.text(to_shap(credits))` shows all responses; `shap.plots.bar` and `shap.plots.waterfall` take one of
    them, `to_shap(credits)[0]`. A response of no units becomes one empty unit of value 0, since the plots refuse empty
    rows.

    Args:
        credits: `b` credits.
        method: Which of their values to show.

    Raises:
        AttributionError: If there are no credits, or one has no values by that method.
    """
    import shap

    if not credits:
        raise AttributionError("There is no credit to convert.")
    for credit in credits:
        if method not in credit.values:
            raise AttributionError(f"The credit has values by {', '.join(credit.values)}, not by {method!r}.")
    units = [credit.units or [""] for credit in credits]
    rows = [credit.values[method] if credit.units else np.zeros(1) for credit in credits]
    # As `shap` packs them: a matrix where all rows are equally long, else an array of rows.
    values = np.array(rows) if len({len(row) for row in rows}) == 1 else np.empty(len(rows), dtype=object)
    if values.dtype == object:
        values[:] = rows
    return shap.Explanation(
        values,
        base_values=np.array([credit.base_value for credit in credits]),
        data=tuple(np.array(texts, dtype=object) for texts in units),
        feature_names=[[text.strip() for text in texts] for texts in units],
    )
