"""Each training as predicted from all others, by the process that the recommendation rests on."""

from collections.abc import Mapping

from bo_shaping.surrogate.fit import Fit, Prediction
from bo_shaping.surrogate.gaussian_process import GaussianProcess
from bo_shaping.surrogate.observations import TrialOutcome, rows
from bo_shaping.surrogate.outcomes import REWARD


def fit_of(outcomes: Mapping[int, TrialOutcome], process: GaussianProcess) -> Fit:
    """The fit of the process of the rewards to the outcomes that it was made of."""
    data = rows(outcomes.values(), REWARD)
    trials = [index for index, outcome in outcomes.items() for _ in range(_n_rows(outcome))]
    mean, sd = process.leave_one_out()
    columns = zip(trials, data.seeds, data.y, mean, sd, strict=True)
    predictions = [Prediction(i, seed, float(y), float(m), float(s)) for i, seed, y, m, s in columns]
    return Fit(predictions, *process.training_noise())


def _n_rows(outcome: TrialOutcome) -> int:
    values = outcome.values.get(REWARD, [])
    return len(values) if len(values) == len(outcome.seeds) else 1
