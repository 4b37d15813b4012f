"""The knowledge gradient on a lattice, exactly: how much the best expected reward is expected to rise with one trial.

With m and K the posterior mean and covariance of the reward on g lattice points, a trial at x moves the mean along
s(x) = K(., x) / sqrt(K(x, x) + noise) by a standard normal Z, so that the gain is E max(m + s(x) Z) - max m, eq. (9) of
[Frazier2009]_. The expectation is a sum over Z here, because the maximum of lines is a smooth enough function of it.

.. [Frazier2009] The Knowledge-Gradient Policy for Correlated Normal Beliefs. INFORMS Journal on Computing 21(4).
"""

from collections.abc import Callable
from typing import Any

import torch
from botorch.acquisition.acquisition import AcquisitionFunction
from botorch.acquisition.input_constructors import acqf_input_constructor
from botorch.models.model import Model
from botorch.utils.transforms import t_batch_mode_transform
from scipy.stats import norm
from torch import Tensor

N_NODES = 33
"""Values of Z: the middles of as many equally likely intervals."""


class LatticeKnowledgeGradient(AcquisitionFunction):
    """Expected rise of the best allowed posterior mean over lattice points and all points tried so far."""

    def __init__(
        self,
        model: Model,
        lattice: Tensor,
        outcome: int,
        constraints: list[Callable[[Tensor], Tensor]] | None = None,
        X_pending: Tensor | None = None,
    ) -> None:
        """Prepare what does not depend on the candidate.

        Args:
            model: Posterior of all metrics.
            lattice: `g x d` points of which one is to be recommended in the end.
            outcome: Column of the reward among the model's outputs.
            constraints: Functions of `... x m` outcomes that are negative where a constraint is kept.
            X_pending: `p x d` points that are being tried; they count as tried with the expected result.
        """
        super().__init__(model=model.subset_output([outcome]))
        self._all_metrics = model
        self._constraints = constraints or []
        allowed = self._are_allowed(lattice)
        if not bool(allowed.any()):
            # Learning about the reward is all that is left.
            self._constraints, allowed = [], torch.ones_like(allowed)
        self._lattice = lattice[allowed]
        self.set_X_pending(X_pending)
        self._z = torch.tensor(norm.ppf((torch.arange(N_NODES).numpy() + 0.5) / N_NODES), dtype=lattice.dtype)

    @t_batch_mode_transform(expected_q=1)
    def forward(self, X: Tensor) -> Tensor:
        """`b` gains, in standardised units, of candidates `X` (`b x 1 x d`)."""
        candidates = X.squeeze(-2)
        n_pending = 0 if self.X_pending is None else len(self.X_pending)
        points = [candidates, self._lattice] if self.X_pending is None else [candidates, self._lattice, self.X_pending]
        posterior = self.model.posterior(torch.cat(points))
        mean, covariance = posterior.mean.squeeze(-1), posterior.distribution.covariance_matrix
        noise = self.model.likelihood.noise.mean()
        if n_pending:
            # Gaussian conditioning on the pending points moves the covariance and leaves the mean.
            pending = covariance[-n_pending:, -n_pending:] + noise * torch.eye(n_pending, dtype=X.dtype)
            cross = covariance[:-n_pending, -n_pending:]
            covariance = covariance[:-n_pending, :-n_pending] - cross @ torch.linalg.solve(pending, cross.T)
            mean = mean[:-n_pending]
        b = len(candidates)
        spread = covariance[:b, b:] / (covariance.diagonal()[:b, None] + noise).clamp_min(1e-12).sqrt()
        # The point that is tried may be recommended too, if it is allowed.
        own_mean = mean[:b].masked_fill(~self._are_allowed(candidates), -torch.inf)
        own_spread = covariance.diagonal()[:b] / (covariance.diagonal()[:b] + noise).clamp_min(1e-12).sqrt()
        means = torch.cat([mean[b:].expand(b, -1), own_mean[:, None]], dim=1)
        spreads = torch.cat([spread, own_spread[:, None]], dim=1)
        after = (means.unsqueeze(-1) + spreads.unsqueeze(-1) * self._z).amax(dim=1).mean(dim=-1)
        return after - torch.maximum(own_mean, mean[b:].max())

    @torch.no_grad()
    def _are_allowed(self, X: Tensor) -> Tensor:
        """Which of the points `X` (`n x d`) are expected to keep the constraints."""
        allowed = torch.ones(len(X), dtype=torch.bool)
        if self._constraints:
            means = self._all_metrics.posterior(X).mean
            for constraint in self._constraints:
                allowed &= constraint(means) <= 0
        return allowed


@acqf_input_constructor(LatticeKnowledgeGradient)
def _inputs(model: Model, lattice: Tensor, outcome: int, **options: Any) -> dict[str, Any]:
    """What Ax knows, as arguments."""
    return {
        "model": model,
        "lattice": lattice,
        "outcome": outcome,
        "constraints": options.get("constraints"),
        "X_pending": options.get("X_pending"),
    }
