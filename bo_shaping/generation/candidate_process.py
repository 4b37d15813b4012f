"""The Gaussian process that candidates are chosen by: BoTorch's default one, whose hyper-parameters are found faster.

    y_i = m + f(x_i) + e_i        f ~ GP(0, k),  e ~ N(0, v)

Notation: n observations, of which hyper-parameters see at most `MOST_FOR_HYPER`, d inputs in [0, 1]; k is BoTorch's
squared exponential with one length l_j per input and no scale of its own, m a constant without a prior. As in BoTorch,
the hyper-parameters are the most probable ones, with log-normal densities of l_j and v (or with known noise).

BoTorch evaluates the density by way of a graph of automatic derivatives, of which there are a hundred per trial. Here
it is a few matrix products, with the constant put in at its optimum, which leaves d + 1 numbers to be found.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from botorch.models import SingleTaskGP
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from gpytorch.mlls import MarginalLogLikelihood
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize

from bo_shaping.surrogate.thinning import MOST_FOR_HYPER, evenly

Array = NDArray[np.float64]

SMOOTHER, NOISY = 4.0, 0.1
"""The second start: lengths in units of the modes of their priors, and the variance of the noise. From the modes alone,
which hold that there is hardly noise, the optimiser now and then ends where noise passes for a ragged surface."""

LARGEST_LOGARITHM = 20.0
"""Of lengths and noise: far beyond what the priors allow, and where a step too long still has a likelihood."""

TOLERANCE = 1e-7
"""Where the optimiser stops: relative change of the log density per observation."""


class LogNormal(NamedTuple):
    """A prior density, without its constant, and a least value."""

    loc: float
    scale: float
    least: float

    def log_density(self, logarithms: Array) -> tuple[Array, Array]:
        """Of the numbers (not of their logarithms, which are given), and its derivatives by the logarithms."""
        standard = (logarithms - self.loc) / self.scale
        return -0.5 * standard**2 - logarithms, -standard / self.scale - 1


class Found(NamedTuple):
    """Most probable hyper-parameters."""

    lengths: Array
    """`d`."""
    noise: float | None
    """None where it is known."""
    constant: float


class CandidateProcess(SingleTaskGP):
    """BoTorch's process with its default kernel and mean, for one outcome or several, with noise known or inferred."""

    def custom_fit(self, mll: MarginalLogLikelihood, **options: Any) -> MarginalLogLikelihood:
        """Set the most probable hyper-parameters; called by BoTorch in place of its own fit, whose options it ignores.

        Returns:
            `mll`, ready to predict.
        """
        mll.train()
        with torch.no_grad():
            X = self.transform_inputs(self.train_inputs[0]).numpy()
            y = self.train_targets.numpy()
            is_known = isinstance(self.likelihood, FixedNoiseGaussianLikelihood)
            known = self.likelihood.noise.expand(y.shape).numpy() if is_known else None
            lengths, noises, constants = self.covar_module, self.likelihood.noise_covar, self.mean_module
            length_prior = _prior(lengths.lengthscale_prior, lengths.raw_lengthscale_constraint)
            noise_prior = None if is_known else _prior(noises.noise_prior, noises.raw_noise_constraint)
            n, d = X.shape[-2:]
            rows = evenly(n, MOST_FOR_HYPER)
            found = [
                most_probable(
                    one_X[rows],
                    one_y[rows],
                    length_prior,
                    noise_prior,
                    None if known is None else known.reshape(-1, n)[output, rows],
                )
                for output, (one_X, one_y) in enumerate(zip(X.reshape(-1, n, d), y.reshape(-1, n), strict=True))
            ]
            _fill(lengths.raw_lengthscale, [one.lengths for one in found])
            _fill(constants.raw_constant, [one.constant for one in found])
            if not is_known:
                _fill(noises.raw_noise, [one.noise for one in found])
        return mll.eval()


def most_probable(
    X: Array, y: Array, length_prior: LogNormal, noise_prior: LogNormal | None, known: Array | None = None
) -> Found:
    """The hyper-parameters of highest posterior density, by L-BFGS-B from the modes of their priors and once more.

    The second start is a smooth, noisy surface.

    Args:
        X: `n x d` inputs.
        y: `n` outcomes.
        length_prior: Of each length.
        noise_prior: Of the variance of the noise; None where it is known.
        known: `n` known variances of the noise.
    """
    d = X.shape[1]
    priors = [*[length_prior] * d, *([] if noise_prior is None else [noise_prior])]
    least = np.log([prior.least for prior in priors])
    modes = np.array([prior.loc - prior.scale**2 for prior in priors])
    smooth = np.array([*modes[:d] + np.log(SMOOTHER), *np.log([NOISY] * (len(priors) - d))])

    def loss(logarithms: Array) -> tuple[float, Array]:
        value, slope = _log_likelihood(X, y, logarithms[:d], np.exp(logarithms[d]) if known is None else known)
        density, density_slope = length_prior.log_density(logarithms[:d])
        value, slope[:d] = value + density.sum(), slope[:d] + density_slope
        if noise_prior is not None:
            density, density_slope = noise_prior.log_density(logarithms[d:])
            value, slope[d:] = value + density.sum(), slope[d:] + density_slope
        # Per observation, as BoTorch has it, so that the optimiser stops as near to the optimum.
        return -value / len(y), -slope[: len(priors)] / len(y)

    results = [
        minimize(
            loss,
            np.maximum(start, least),
            jac=True,
            method="L-BFGS-B",
            bounds=[(low, LARGEST_LOGARITHM) for low in least],
            options={"ftol": TOLERANCE},
        )
        for start in (modes, smooth)
    ]
    result = min(results, key=lambda result: float(result.fun))
    lengths = np.exp(result.x[:d])
    if known is not None:
        return Found(lengths, None, _constant(X, y, lengths, known))
    noise = float(np.exp(result.x[d]))
    return Found(lengths, noise, _constant(X, y, lengths, noise))


def _log_likelihood(X: Array, y: Array, log_lengths: Array, noise: Array | float) -> tuple[float, Array]:
    """Up to its constant, at the best m, and `d + 1` derivatives by the logarithms of lengths and (common) noise."""
    scaled = X * np.exp(-log_lengths)
    correlation = _correlation(scaled)
    inverse, log_determinant = _inverse(correlation + _diagonal(noise, len(y)))
    weights = inverse.sum(axis=0)
    alpha = inverse @ y - weights * (weights @ y) / weights.sum()
    value = -0.5 * y @ alpha - 0.5 * log_determinant
    # d value / d K, which is symmetric; the constant is at its optimum, so that it adds nothing.
    by_covariance = 0.5 * (np.outer(alpha, alpha) - inverse)
    products = by_covariance * correlation
    # The sum of products_ij (x_i - x_j)^2, one input at a time.
    by_lengths = 2 * (products.sum(axis=0) @ scaled**2 - (scaled * (products @ scaled)).sum(axis=0))
    by_noise = float((np.diagonal(by_covariance) * noise).sum())
    return float(value), np.append(by_lengths, by_noise)


def _constant(X: Array, y: Array, lengths: Array, noise: Array | float) -> float:
    inverse, _ = _inverse(_correlation(X / lengths) + _diagonal(noise, len(y)))
    weights = inverse.sum(axis=0)
    return float(weights @ y / weights.sum())


def _correlation(scaled: Array) -> Array:
    norms = (scaled**2).sum(axis=1)
    squares = scaled @ scaled.T
    squares *= -2
    squares += norms[:, None]
    squares += norms
    np.maximum(squares, 0.0, out=squares)
    squares *= -0.5
    return np.exp(squares, out=squares)


def _diagonal(noise: Array | float, n: int) -> Array:
    return np.diag(np.broadcast_to(noise, n))


def _inverse(covariance: Array) -> tuple[Array, float]:
    """Inverse and logarithm of the determinant of a positive definite matrix."""
    # Noise has a least value, a millionth of the spread of the outcomes, so that this cannot fail.
    factor, _ = lapack.dpotrf(covariance, lower=True)
    lower, _ = lapack.dpotri(factor, lower=True)
    inverse = np.tril(lower) + np.tril(lower, -1).T
    return inverse, 2 * float(np.log(np.diagonal(factor)).sum())


def _prior(prior: Any, constraint: Any) -> LogNormal:
    return LogNormal(float(prior.loc), float(prior.scale), float(constraint.lower_bound))


def _fill(parameter: torch.nn.Parameter, values: list[Any]) -> None:
    """Raw parameters of these modules are the numbers themselves, within bounds."""
    parameter.copy_(torch.as_tensor(np.array(values)).reshape(parameter.shape))
