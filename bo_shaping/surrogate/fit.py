"""How well the surface describes the trials: each one as predicted from all others, and how much of it is noise."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

Z_90 = 1.6448536269514722
"""Half the width of a 90 % interval of a normal distribution, in standard deviations."""


@dataclass(frozen=True)
class Prediction:
    """One training as predicted from all others."""

    trial: int
    seed: int
    measured: float
    predicted: float
    sd: float
    """Standard deviation of the prediction, the noise of this training included."""

    @property
    def is_inside(self) -> bool:
        """Whether the measurement lies in the 90 % interval of the prediction."""
        return abs(self.measured - self.predicted) <= Z_90 * self.sd


@dataclass(frozen=True)
class Fit:
    """Predictions of all trainings, and the noise that was learned."""

    predictions: list[Prediction]
    noise: float
    """Standard deviation between trainings of one arm, as the Gaussian process infers it."""
    noise_interval: tuple[float, float]
    """Its 90 % credible interval."""

    @property
    def spread(self) -> float:
        """Standard deviation between all trainings."""
        return float(np.std([one.measured for one in self.predictions], ddof=1))

    @property
    def noise_share(self) -> float:
        """Share of the variance between trainings that is noise; at most 1."""
        return min((self.noise / self.spread) ** 2, 1.0) if self.spread > 0 else 1.0

    @property
    def error(self) -> float:
        """Root mean square error of the predictions."""
        return float(np.sqrt(np.mean([(one.measured - one.predicted) ** 2 for one in self.predictions])))

    @property
    def explained(self) -> float:
        """1 less the mean square error over the variance: 1 is perfect, 0 no better than the mean of all, or worse."""
        measured = np.array([one.measured for one in self.predictions])
        variance = float(np.var(measured))
        return 1 - self.error**2 / variance if variance > 0 else 0.0

    @property
    def coverage(self) -> float:
        """Share of the trainings inside the 90 % intervals of their predictions."""
        return float(np.mean([one.is_inside for one in self.predictions]))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Fit":
        """The fit from plain data."""
        low, high = data["noise_interval"]
        return cls([Prediction(**one) for one in data["predictions"]], float(data["noise"]), (float(low), float(high)))
