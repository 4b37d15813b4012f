import math

import numpy as np
import pytest

from bo_shaping.surrogate.fit import Fit, Prediction
from bo_shaping.views.report.repeats import after_repeats, noise_sentences, repeats_needed, repeats_of
from tests.bo_shaping.views.report.made_up import make_best


def test_the_pooled_deviation_by_hand():
    # Squares 2 and 0 over (2 - 1) + (3 - 1) degrees of freedom; the arm that was run once says nothing.
    found = repeats_of([(1.0, 3.0), (5.0,), (2.0, 2.0, 2.0)])
    assert (found.n_arms, found.n_trainings) == (2, 5)
    assert found.deviation == pytest.approx(math.sqrt(2 / 3))
    assert repeats_of([(1.0,), (2.0,)]) is None


def test_a_repeat_tells_what_bayes_rule_says():
    rng = np.random.default_rng(0)
    truth = 2 * rng.standard_normal(400_000)
    measured = truth + 3 * rng.standard_normal(400_000)
    slope = np.cov(truth, measured)[0, 1] / measured.var()
    # Monte Carlo: 400,000 draws leave an error of a few thousandths.
    assert after_repeats(2, 3, 1) == pytest.approx((truth - slope * measured).std(), abs=0.01)
    assert after_repeats(1, 1, 3) == pytest.approx(0.5)
    assert after_repeats(0, 1, 1) == 0


@pytest.mark.parametrize(("sd", "noise", "target"), [(1, 1, 0.5), (0.3, 0.7, 0.15), (0.2, 0.1, 0.1)])
def test_the_repeats_that_are_needed_are_the_fewest(sd, noise, target):
    n = repeats_needed(sd, noise, target)
    assert after_repeats(sd, noise, n) <= target + 1e-9 < after_repeats(sd, noise, n - 1)


def test_nothing_is_needed_where_it_is_known():
    assert repeats_needed(0.1, 1, 0.2) == 0


def test_the_words_have_the_numbers():
    best = make_best(("shap", "lime", "sparse"))
    predictions = [Prediction(i, 0, float(i), float(i), 1.0) for i in range(5)]
    fit = Fit(predictions, 0.5, (0.25, 0.75))
    text = " ".join(noise_sentences(fit, best, repeats_of([(1.0, 3.0)])))
    # Variance of 0..4 is 2.5; 0.25 / 2.5.
    assert "about 10 % of the variance" in text
    assert "2 trainings of 1 arm run more than once" in text
    assert "1.41" in text
    assert "inferred from neighbours" in " ".join(noise_sentences(fit, best, None))
