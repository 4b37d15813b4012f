"""Optimising an acquisition function over simplex x box: scan many points, polish the best few, then the best one.

Ax's default polishes twenty starts found by hit-and-run sampling, which takes an order of magnitude longer in the few
dimensions of a study and finds the same optimum.

Notation: d columns, of which those of `simplex` sum to `total`; `bounds` is `2 x d`, with equal rows where a column is
fixed. Columns `places` hold the places 0, 1, ... of values in an order, and nothing between.
"""

from collections.abc import Callable
from typing import Any

import torch
from ax.core.search_space import SearchSpaceDigest
from ax.generators.torch.botorch_modular.acquisition import Acquisition
from ax.generators.torch.botorch_modular.multi_acquisition import MultiAcquisition
from ax.generators.torch.botorch_modular.surrogate import Surrogate
from ax.generators.torch_base import TorchOptConfig
from ax.storage.botorch_modular_registry import register_acquisition, register_acquisition_function
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.models.model import Model
from botorch.optim.optimize import optimize_acqf
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor

from bo_shaping.generation.knowledge_gradient import LatticeKnowledgeGradient
from bo_shaping.generation.noisy_improvement import NoisyImprovement
from bo_shaping.libraries.ax_internals import to_equality_constraints
from bo_shaping.libraries.botorch_internals import never_compile
from bo_shaping.space.encoding import MIN_DISTANCE
from bo_shaping.space.quasi_random import onto_places, onto_simplex, scan_points, with_each_place

N_SCAN = 1024
"""Points scanned; twice as many beyond four free dimensions."""
CHUNK = 256
"""Points evaluated at once: bounds the memory of Monte Carlo samples x points x baseline."""
N_POLISHED = 3
"""Scanned points that are polished, the best ones that are apart from each other; twice as many beyond four free
dimensions."""
N_LEADERS = 2
"""Those of them that are polished to the end."""
ROUGH_ITERATIONS = 6
POLISH_ITERATIONS = 30
"""Steps uphill of all of them together, and then of the leaders."""
SMALLEST_GAIN = 1e-3
"""A step uphill that gains less is the last, where values are logarithms: Monte Carlo knows them to some percent."""
APART = 0.3
"""Starts nearer than this (in units of the box) would be polished into the same optimum."""
N_LATTICE = 384
"""Points of which the knowledge gradient expects to recommend one."""

Equality = tuple[Tensor, Tensor, float]


class SimplexAcquisition(Acquisition):
    """Ax's acquisition with a scan and one polish instead of many restarts; several candidates one after the other."""

    X_pending: Tensor | None

    def __init__(
        self,
        surrogate: Surrogate,
        search_space_digest: SearchSpaceDigest,
        torch_opt_config: TorchOptConfig,
        **options: Any,
    ) -> None:
        """As Ax's."""
        self._equality = to_equality_constraints(torch_opt_config.equality_constraints)
        self._fixed_features = torch_opt_config.fixed_features
        super().__init__(
            surrogate=surrogate, search_space_digest=search_space_digest, torch_opt_config=torch_opt_config, **options
        )

    def optimize(self, n: int, search_space_digest: SearchSpaceDigest, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
        """The best candidates (`n x d`), their acquisition values (`n`) and arm weights (`n`).

        Spaces with other constraints than that weights sum to a number go to Ax's own optimiser, with the same options.
        """
        equality: list[Equality] = options.get("equality_constraints") or []
        if options.get("inequality_constraints") or not _is_simplex(equality):
            return super().optimize(n=n, search_space_digest=search_space_digest, **options)
        bounds = _bounds_of(search_space_digest, options.get("fixed_features"), self.dtype)
        rounding_func: Callable[[Tensor], Tensor] | None = options.get("rounding_func")
        places = _places_of(search_space_digest)
        pending: Tensor | None = self.X_pending
        chosen: list[Tensor] = []
        values: list[Tensor] = []
        for _ in range(n):
            candidate, value = self._best_candidate(bounds, equality, places, rounding_func)
            chosen.append(candidate)
            values.append(value)
            if n > 1:
                # What was just chosen is pending for the next.
                taken = torch.cat([*([] if pending is None else [pending]), *chosen])
                self.X_pending = taken
                self.acqf.set_X_pending(taken)
        if n > 1:
            self.X_pending = pending
            self.acqf.set_X_pending(pending)
        return torch.cat(chosen), torch.stack(values), torch.ones(n, dtype=self.dtype)

    def _best_candidate(
        self,
        bounds: Tensor,
        equality: list[Equality],
        places: list[int],
        rounding_func: Callable[[Tensor], Tensor] | None,
    ) -> tuple[Tensor, Tensor]:
        """The best point (`1 x d`) apart from those that were run or are running, and its value."""
        simplex, total = _simplex_of(equality)
        is_free = bounds[0] < bounds[1]
        # The sum takes one dimension from the columns.
        more = 1 if int(is_free.sum()) - len(equality) <= 4 else 2
        X = scan_points(more * N_SCAN, bounds, simplex, total, seed=int(torch.randint(2**31, (1,))))
        X = onto_places(X, bounds, places)
        width = torch.where(is_free, bounds[1] - bounds[0], 1.0)
        is_new = self._is_new(X, width)
        # In a small space every point may be near one that was run: then the best of them is run again.
        X = X[is_new] if bool(is_new.any()) else X
        values = self._values(X)
        starts = _apart(X[values.argsort(descending=True)], width, more * N_POLISHED)
        rough = with_each_place(self._polished(starts, bounds, equality, ROUGH_ITERATIONS), bounds, places)
        leaders = rough[self._values(rough).argsort(descending=True)[:N_LEADERS]]
        polished = torch.cat([rough, *self._polished_in_place(leaders, bounds, equality, places)])
        candidates = torch.cat([onto_simplex(polished, bounds, simplex, total), starts])
        if rounding_func is not None:
            # Whole numbers are rounded, and what counts is the value of the rounded point.
            candidates = torch.stack([rounding_func(candidate) for candidate in candidates])
        is_new = self._is_new(candidates, width)
        candidates = candidates[is_new] if bool(is_new.any()) else candidates
        values = self._values(candidates)
        best = int(values.argmax())
        return candidates[best : best + 1], values[best]

    def _polished(self, starts: Tensor, bounds: Tensor, equality: list[Equality], iterations: int) -> Tensor:
        """`starts` (`n x d`) moved uphill together."""
        is_free = bounds[0] < bounds[1]
        is_log = isinstance(self.acqf, NoisyImprovement)
        moving = [(columns, factors, right) for columns, factors, right in equality if bool(is_free[columns].any())]
        polished, _ = optimize_acqf(
            acq_function=self.acqf,
            bounds=bounds,
            q=1,
            num_restarts=len(starts),
            batch_initial_conditions=starts.unsqueeze(1),
            equality_constraints=moving or None,
            fixed_features={int(i): float(bounds[0, i]) for i in (~is_free).nonzero().flatten()} or None,
            options={"maxiter": iterations} | ({"ftol": SMALLEST_GAIN} if moving and is_log else {}),
            return_best_only=False,
        )
        return polished.detach().reshape(-1, starts.shape[1])

    def _polished_in_place(
        self, starts: Tensor, bounds: Tensor, equality: list[Equality], places: list[int]
    ) -> list[Tensor]:
        """`starts` moved uphill to the end, together if they have the same places, which they keep."""
        if not places:
            return [self._polished(starts, bounds, equality, POLISH_ITERATIONS)]
        held, group = starts[:, places].unique(dim=0, return_inverse=True)
        polished = []
        for own, values in enumerate(held):
            inside = bounds.clone()
            inside[:, places] = values
            polished.append(self._polished(starts[group == own], inside, equality, POLISH_ITERATIONS))
        return polished

    def _values(self, X: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([self.acqf(chunk.unsqueeze(-2)) for chunk in X.split(CHUNK)])

    def _is_new(self, X: Tensor, width: Tensor) -> Tensor:
        """`n` booleans: True where a point of `X` (`n x d`) is far from every arm that ran or is running."""
        taken = [known for known in (self.X_observed, self.X_pending) if known is not None]
        if not taken:
            return torch.ones(len(X), dtype=torch.bool)
        return torch.cdist(X / width, torch.cat(taken) / width).min(dim=1).values > MIN_DISTANCE

    def _construct_botorch_acquisition(
        self, botorch_acqf_class: type[AcquisitionFunction], botorch_acqf_options: dict[str, Any], model: Model
    ) -> AcquisitionFunction:
        """As Ax's; the knowledge gradient is told where to look for the best expected reward."""
        never_compile()
        if issubclass(botorch_acqf_class, LatticeKnowledgeGradient):
            outcome = int(self._objective_weights.nonzero()[0, -1])
            botorch_acqf_options = {**botorch_acqf_options, "lattice": self._lattice(), "outcome": outcome}
        return super()._construct_botorch_acquisition(botorch_acqf_class, botorch_acqf_options, model)

    def _lattice(self) -> Tensor:
        """Points of which one is to be recommended in the end: all over the space, and those that were run."""
        bounds = _bounds_of(self.search_space_digest, self._fixed_features, self.dtype)
        simplex, total = _simplex_of(self._equality or [])
        points = scan_points(N_LATTICE, bounds, simplex, total, seed=0)
        points = onto_places(points, bounds, _places_of(self.search_space_digest))
        return points if self.X_observed is None else torch.cat([points, self.X_observed])


class SimplexFrontier(MultiAcquisition):
    """Ax's trade-off between several acquisition functions, for its plots: its own optimiser takes no equality."""

    def optimize(self, n: int, search_space_digest: SearchSpaceDigest, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Up to `n` scanned points of which none is worse than another in everything, from one end to the other.

        Returns:
            The points (`n x d`), their values (`n x m`), and arm weights (`n`).
        """
        equality: list[Equality] = options.get("equality_constraints") or []
        bounds = _bounds_of(search_space_digest, options.get("fixed_features"), self.dtype)
        X = scan_points(N_SCAN, bounds, *_simplex_of(equality), seed=0)
        X = onto_places(X, bounds, _places_of(search_space_digest))
        if (rounding_func := options.get("rounding_func")) is not None:
            X = torch.stack([rounding_func(x) for x in X])
        with torch.no_grad():
            values = torch.cat([self.acqf(chunk.unsqueeze(-2)) for chunk in X.split(CHUNK)])
        best = is_non_dominated(values)
        order = values[best][:, 0].argsort()
        chosen = order[torch.linspace(0, len(order) - 1, min(n, len(order))).round().long()]
        return X[best][chosen], values[best][chosen], torch.ones(len(chosen), dtype=self.dtype)


def _bounds_of(space: SearchSpaceDigest, fixed_features: dict[int, float] | None, dtype: torch.dtype | None) -> Tensor:
    """`2 x d` bounds, equal where a column is fixed."""
    bounds = torch.tensor(space.bounds, dtype=dtype).T
    for column, value in (fixed_features or {}).items():
        bounds[:, column] = value
    return bounds


def _places_of(space: SearchSpaceDigest) -> list[int]:
    """Columns of values in an order: counts are floats by then."""
    return sorted(space.ordinal_features)


def _simplex_of(equality: list[Equality]) -> tuple[Tensor, float]:
    """Columns of the weights, and what they sum to."""
    if not equality:
        return torch.tensor([], dtype=torch.long), 0.0
    columns, coefficients, right = equality[0]
    return columns, right / float(coefficients[0])


def _is_simplex(equality: list[Equality]) -> bool:
    """Whether there is at most one equality, and it says what a sum is."""
    return not equality or (len(equality) == 1 and bool((equality[0][1] == equality[0][1][0]).all()))


def _apart(X: Tensor, width: Tensor, n: int) -> Tensor:
    """The first `n` rows that are apart from each other, as far as there are any."""
    rows = [0]
    for row in range(1, len(X)):
        if len(rows) == n:
            break
        if torch.cdist(X[row : row + 1] / width, X[rows] / width).min() > APART:
            rows.append(row)
    return X[rows]


register_acquisition(SimplexAcquisition)
register_acquisition_function(LatticeKnowledgeGradient)
register_acquisition_function(NoisyImprovement)
