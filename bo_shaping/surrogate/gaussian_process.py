"""A small Gaussian process with seed effects, averaged over its hyper-parameters: what the recommendation rests on.

    y_i = m + f(x_i) + b_seed(i) + e_i        f ~ GP(0, s^2 k),  b ~ N(0, t^2),  e ~ N(0, v / r_i + known_i)

Notation: n observations, each the mean of r trainings (one, as a rule), d inputs in [0, 1], g points, h draws of the
hyper-parameters, s joint draws of f. Outcomes are standardised inside and come back in their own units. k is the
Matern-5/2 kernel with one length per input.

Where q surfaces of older tasks are known, f is beta_1 phi_1 + ... + beta_q phi_q plus a process as above, with
beta_j ~ N(0, u_j^2): a surface that says nothing of the new task gets a beta near 0.

Ax's own process keeps the single most probable hyper-parameters. With ten or fifteen trials that is too sure of
itself, so here their whole posterior is drawn from, by elliptical slice sampling [Murray2010]_; joint draws of f are
prior draws made of random Fourier features and corrected by the data [Wilson2020]_.

.. [Murray2010] Elliptical slice sampling. AISTATS 2010, arXiv:1001.0175.
.. [Wilson2020] Efficiently Sampling Functions from Gaussian Process Posteriors. ICML 2020, arXiv:2002.09309.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from bo_shaping.surrogate.observations import Rows
from bo_shaping.surrogate.thinning import MOST_FOR_HYPER, evenly

Array = NDArray[np.float64]
Surfaces = Callable[[Array], Array]
"""From `g x d` points to the `g x q` values that older tasks have there."""

N_HYPER = 16
"""Draws of the hyper-parameters that are averaged."""
THINNING = 8
BURN_IN = 80
"""Steps of the sampler between two draws that are kept, and before the first. It starts at the prior mean."""
N_FEATURES = 256
"""Random frequencies per prior draw; each gives a cosine and a sine."""

# Normal priors of the logarithms, (mean, standard deviation), for outcomes of variance 1 and inputs in [0, 1].
LENGTH_PRIOR = (0.2, 0.7)
SIGNAL_PRIOR = (0.3, 0.8)
NOISE_PRIOR = (-3.0, 1.5)
SEED_PRIOR = (-4.0, 1.5)
"""Small unless the data say otherwise: the effect of seeds shrinks to nothing without evidence."""
SLOPE_PRIOR = (0.0, 1.5)
"""Of u_j^2: a surface of variance 1 may explain all that differs, or nothing."""
MEAN_VARIANCE = 1.0
"""Prior variance of the constant m."""
JITTER = 1e-6


@dataclass(frozen=True)
class _Hyper:
    """One draw of the hyper-parameters, with what follows from it and the data."""

    lengths: Array
    signal: float
    noise: float
    seed: float
    slopes: Array
    """Prior variances of the slopes of older surfaces, `q`."""
    factor: Array
    """Lower Cholesky factor of the covariance of the observations, `n x n`."""
    alpha: Array
    """Inverse covariance times standardised outcomes, `n`."""


class _Observed(NamedTuple):
    """What hyper-parameters are judged by, for n observations."""

    squares: Array
    """Squared differences of the inputs, `n x n x d`."""
    seen: Array
    """Older surfaces, `n x q`."""
    member: Array
    """Which seed each has, `n x s`, zeros and ones."""
    known: Array
    """Known variances of the noise, and the jitter."""
    share: Array
    """By which the noise of one training is multiplied."""
    y: Array
    """Standardised outcomes."""

    def thinned(self, n_most: int) -> "_Observed":
        """At most so many of them, evenly spread over their order; the same object if they are no more."""
        if len(self.y) <= n_most:
            return self
        rows = evenly(len(self.y), n_most)
        return _Observed(self.squares[np.ix_(rows, rows)], *(part[rows] for part in self[1:]))


class GaussianProcess:
    """The posterior given observations of one metric; equal arguments give equal draws."""

    def __init__(
        self,
        X: Array,
        y: Array,
        seeds: list[int],
        *,
        known: Array | None = None,
        n_trainings: Array | None = None,
        learn_noise: bool = True,
        older: Surfaces | None = None,
        n_hyper: int = N_HYPER,
        random_seed: int = 0,
    ) -> None:
        """Draw hyper-parameters.

        Args:
            X: `n x d` inputs in [0, 1].
            y: `n` outcomes.
            seeds: `n` seeds of the trainings; equal seeds share their effect.
            known: `n` known variances of the noise, added to what is learned.
            n_trainings: `n` numbers of trainings that outcomes are means of; 1 each without.
            learn_noise: Whether there is noise beside the known one.
            older: Surfaces of older tasks.
            n_hyper: How many draws.
            random_seed: Seed of all draws.
        """
        self._X = np.asarray(X, dtype=float)
        self.seeds = sorted(set(seeds))
        self._member = np.equal.outer(np.array(seeds), np.array(self.seeds)).astype(float)
        self._mean = float(np.mean(y))
        spread = float(np.std(y))
        # Equal outcomes say nothing about their scale; any serves.
        self._scale = spread if spread > JITTER * (1 + abs(self._mean)) else 1.0
        self._y = (np.asarray(y, dtype=float) - self._mean) / self._scale
        self._known = np.zeros(len(self._y)) if known is None else np.asarray(known, dtype=float) / self._scale**2
        self._learn_noise = learn_noise
        self._share = np.ones(len(self._y)) if n_trainings is None else 1 / np.asarray(n_trainings, dtype=float)
        self._rng = np.random.default_rng(random_seed)
        self._older = older or _none
        self._seen = self._older(self._X)
        self._all = _Observed(
            (self._X[:, None, :] - self._X[None, :, :]) ** 2,
            self._seen,
            self._member,
            self._known + JITTER,
            self._share,
            self._y,
        )
        self._hypers = self._draw_hypers(n_hyper)

    @classmethod
    def of(
        cls, X: Array, rows: Rows, *, older: Surfaces | None = None, n_hyper: int = N_HYPER, random_seed: int = 0
    ) -> "GaussianProcess":
        """The process of `rows`, whose arms are the points `X`; further options as of the class."""
        return cls(
            X,
            rows.y,
            rows.seeds,
            known=rows.known,
            n_trainings=rows.n_trainings,
            learn_noise=rows.learn_noise,
            older=older,
            n_hyper=n_hyper,
            random_seed=random_seed,
        )

    @property
    def has_seed_effects(self) -> bool:
        """Whether more than one seed was seen."""
        return len(self.seeds) > 1

    def moments(self, X: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of f + m at `X` (`g x d`): `g` each, without seed effects and noise."""
        means, variances = [], []
        older = self._older(X)
        for hyper in self._hypers:
            cross = self._cross(X, older, hyper)
            means.append(cross @ hyper.alpha)
            half = solve_triangular(hyper.factor, cross.T, lower=True)
            prior = hyper.signal + MEAN_VARIANCE + older**2 @ hyper.slopes
            variances.append(prior - (half**2).sum(axis=0))
        mean = np.mean(means, axis=0)
        variance = np.maximum(np.mean(variances, axis=0), 0.0) + np.var(means, axis=0)
        return self._mean + self._scale * mean, self._scale * np.sqrt(variance)

    def mean(self, X: Array) -> Array:
        """The first of `moments`, in less time."""
        older = self._older(X)
        mean = np.mean([self._cross(X, older, hyper) @ hyper.alpha for hyper in self._hypers], axis=0)
        return np.asarray(self._mean + self._scale * mean)

    def standardised_mean(self, X: Array) -> Array:
        """`mean` in units of the spread of the outcomes, around their mean."""
        return (self.mean(X) - self._mean) / self._scale

    def mean_terms(self) -> tuple[Array, Array, Array, Array]:
        """What `standardised_mean` is made of, as a mean over h, where there are no older surfaces.

        Returns:
            The inputs, `n x d`; the lengths, `h x d`; factors of the correlations with them, `h x n`; `h` constants.
        """
        return (
            self._X,
            np.array([hyper.lengths for hyper in self._hypers]),
            np.array([hyper.signal * hyper.alpha for hyper in self._hypers]),
            np.array([MEAN_VARIANCE * hyper.alpha.sum() for hyper in self._hypers]),
        )

    def draws(self, X: Array, n: int) -> Array:
        """`s x g` joint draws of f + m at `X`, as many as `n` rounded up to a multiple of the hyper-parameter draws."""
        per_hyper = -(-n // len(self._hypers))
        older = self._older(X)
        return np.concatenate([self._paths(X, older, hyper, per_hyper) for hyper in self._hypers])

    def seed_effects(self) -> dict[int, float]:
        """Best linear prediction of what each seed adds; zeros where there is one seed."""
        if not self.has_seed_effects:
            return dict.fromkeys(self.seeds, 0.0)
        effects = np.mean([hyper.seed * (self._member.T @ hyper.alpha) for hyper in self._hypers], axis=0)
        return {seed: float(self._scale * effect) for seed, effect in zip(self.seeds, effects, strict=True)}

    def leave_one_out_error(self) -> float:
        """Root mean square error with which each observation is predicted from all others."""
        mean, _ = self.leave_one_out()
        return float(np.sqrt(np.mean((self._mean + self._scale * self._y - mean) ** 2)))

    def leave_one_out(self) -> tuple[Array, Array]:
        """Each observation as predicted from all others, eq. (5.12) of [Rasmussen2006]_: mean and deviation, `n` each.

        The hyper-parameters are those of all observations. A deviation has the noise of the observation in it.

        .. [Rasmussen2006] Gaussian Processes for Machine Learning. MIT Press, 2006.
        """
        means, variances = [], []
        for hyper in self._hypers:
            precision = np.diagonal(cho_solve((hyper.factor, True), np.eye(len(self._y))))
            means.append(self._y - hyper.alpha / precision)
            variances.append(1 / precision)
        variance = np.mean(variances, axis=0) + np.var(means, axis=0)
        return self._mean + self._scale * np.mean(means, axis=0), self._scale * np.sqrt(variance)

    def training_noise(self) -> tuple[float, tuple[float, float]]:
        """Standard deviation between trainings of one arm, seeds included, and its 90 % interval over the draws."""
        draws = [self._scale * np.sqrt(hyper.noise + hyper.seed + self._known.mean()) for hyper in self._hypers]
        low, high = np.quantile(draws, (0.05, 0.95))
        return float(np.sqrt(np.mean(np.square(draws)))), (float(low), float(high))

    def seed_correlation(self) -> tuple[float, float]:
        """Mean and standard deviation of t^2 / (t^2 + v), the correlation of two arms' errors under one seed."""
        shares = [hyper.seed / (hyper.seed + hyper.noise + self._known.mean()) for hyper in self._hypers]
        return float(np.mean(shares)), float(np.std(shares))

    def _draw_hypers(self, n_hyper: int) -> list[_Hyper]:
        """Elliptical slice sampling of the log hyper-parameters, whose prior is normal."""
        d, q, rng = self._X.shape[1], self._seen.shape[1], self._rng
        priors = [*[LENGTH_PRIOR] * d, SIGNAL_PRIOR, NOISE_PRIOR, SEED_PRIOR, *[SLOPE_PRIOR] * q]
        center, width = (np.array(column) for column in zip(*priors, strict=True))
        state = np.zeros(len(priors))
        data = self._all.thinned(MOST_FOR_HYPER)
        likelihood = self._log_likelihood(center, data)
        hypers = []
        for step in range(BURN_IN + n_hyper * THINNING):
            other = rng.standard_normal(len(priors))
            threshold = likelihood + np.log(rng.uniform())
            angle = rng.uniform(0, 2 * np.pi)
            low, high = angle - 2 * np.pi, angle
            while True:
                proposal = state * np.cos(angle) + other * np.sin(angle)
                likelihood = self._log_likelihood(center + width * proposal, data)
                if likelihood > threshold:
                    break
                low, high = (angle, high) if angle < 0 else (low, angle)
                angle = rng.uniform(low, high)
            state = proposal
            if step >= BURN_IN and (step - BURN_IN) % THINNING == THINNING - 1:
                hypers.append(self._hyper(center + width * state))
        return hypers

    def _log_likelihood(self, log_hyper: Array, data: "_Observed") -> float:
        factor = self._factor(log_hyper, data)
        half = solve_triangular(factor, data.y, lower=True, check_finite=False)
        return float(-0.5 * half @ half - np.log(np.diagonal(factor)).sum())

    def _factor(self, log_hyper: Array, data: "_Observed") -> Array:
        d = self._X.shape[1]
        signal, noise, seed, *slopes = np.exp(log_hyper[d:])
        covariance = _matern(data.squares @ np.exp(-2 * log_hyper[:d]))
        covariance *= signal
        covariance += MEAN_VARIANCE
        if slopes:
            covariance += (data.seen * slopes) @ data.seen.T
        if self.has_seed_effects:
            covariance += seed * (data.member @ data.member.T)
        diagonal = data.known + (noise * data.share if self._learn_noise else 0.0)
        covariance[np.diag_indices_from(covariance)] += diagonal
        return np.asarray(cholesky(covariance, lower=True, overwrite_a=True, check_finite=False))

    def _hyper(self, log_hyper: Array) -> _Hyper:
        d = self._X.shape[1]
        factor = self._factor(log_hyper, self._all)
        signal, noise, seed, *slopes = np.exp(log_hyper[d:])
        return _Hyper(
            lengths=np.exp(log_hyper[:d]),
            signal=signal,
            noise=noise if self._learn_noise else 0.0,
            seed=seed if self.has_seed_effects else 0.0,
            slopes=np.array(slopes),
            factor=factor,
            alpha=cho_solve((factor, True), self._y),
        )

    def _cross(self, X: Array, older: Array, hyper: _Hyper) -> Array:
        """Covariance of f + m at `X`, where older surfaces are `older`, with the observations: `g x n`."""
        A, B = X / hyper.lengths, self._X / hyper.lengths
        squares = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1) - 2 * A @ B.T
        covariance = hyper.signal * _matern(np.maximum(squares, 0.0)) + MEAN_VARIANCE
        return covariance + (older * hyper.slopes) @ self._seen.T if len(hyper.slopes) else covariance

    def _paths(self, X: Array, older: Array, hyper: _Hyper, n: int) -> Array:
        """`n x g`: prior draws of f + m, moved by what the data say against them."""
        rng, d = self._rng, self._X.shape[1]
        # The spectral density of a Matern-5/2 kernel is Student's t with 5 degrees of freedom.
        stretch = np.sqrt(5 / rng.chisquare(5, size=N_FEATURES))
        frequencies = rng.standard_normal((d, N_FEATURES)) * stretch / hyper.lengths[:, None]
        weights = rng.standard_normal((2 * N_FEATURES, n)) * np.sqrt(hyper.signal / N_FEATURES)
        constant = rng.standard_normal(n) * np.sqrt(MEAN_VARIANCE)
        noise = (
            rng.standard_normal((len(self._y), n)) * np.sqrt(hyper.noise * self._share + self._known + JITTER)[:, None]
        )
        seeds = self._member @ (rng.standard_normal((len(self.seeds), n)) * np.sqrt(hyper.seed))
        slopes = rng.standard_normal((len(hyper.slopes), n)) * np.sqrt(hyper.slopes)[:, None]
        observed = _features(self._X, frequencies) @ weights + self._seen @ slopes + constant + noise + seeds
        correction = cho_solve((hyper.factor, True), self._y[:, None] - observed)
        paths = _features(X, frequencies) @ weights + older @ slopes + constant
        paths += self._cross(X, older, hyper) @ correction
        return np.asarray(self._mean + self._scale * paths.T)


def _none(X: Array) -> Array:
    """No surfaces of older tasks."""
    return np.zeros((len(X), 0))


def _matern(squares: Array) -> Array:
    """Matern-5/2 correlation of squared scaled distances."""
    root = 5 * squares
    np.sqrt(root, out=root)
    # In place: with hundreds of trials, fresh pages for every intermediate take twice as long as the arithmetic.
    correlation = root * root
    correlation /= 3
    correlation += root
    correlation += 1
    np.negative(root, out=root)
    correlation *= np.exp(root, out=root)
    return np.asarray(correlation)


def _features(X: Array, frequencies: Array) -> Array:
    phases = X @ frequencies
    return np.concatenate([np.cos(phases), np.sin(phases)], axis=1)
