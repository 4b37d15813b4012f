import math

import numpy as np
import pytest

from bo_shaping.views.report.kl_law import KLLaw, fit_kl_law, frontier, kl_law_figure, kl_law_sentences
from inner_loop.spec import CurvePoint


def _curve(kl, reward):
    return [
        CurvePoint(step=i, mean=mean, sem=0.1, kl=k, kl_k3=k, entropy=1, length=9, distinct_2=1)
        for i, (k, mean) in enumerate(zip(kl, reward, strict=True))
    ]


def _law(alpha, beta, kl, start=0.5):
    d = np.sqrt(kl)
    return start + d * (alpha - beta * np.log(d))


def test_the_law_is_found_again():
    kl = np.array([0.25, 0.5, 1, 2, 4, 6.0])
    curves = {
        0: _curve([0, *kl], [0.5, *_law(1.5, 0.4, kl)]),
        1: _curve([0, *kl], [0.5, *(_law(1.5, 0.4, kl) - 0.3)]),  # never on the frontier
    }
    law = fit_kl_law(curves)
    assert (law.alpha, law.beta) == pytest.approx((1.5, 0.4))
    assert law.explained == pytest.approx(1)
    assert law.start == 0.5
    assert law.at(kl) == pytest.approx(_law(1.5, 0.4, kl))
    assert law.at(np.array([0.0])) == pytest.approx([0.5])


def test_a_fit_with_noise_is_least_squares():
    rng = np.random.default_rng(0)
    kl = np.linspace(0.3, 9, 12)
    reward = np.maximum.accumulate(_law(1.2, 0.1, kl) + 0.05 * rng.standard_normal(12)) + 1e-3 * np.arange(12)
    law = fit_kl_law({0: _curve([0, *kl], [0.5, *reward])})
    errors = [
        ((_law(law.alpha + a, law.beta + b, kl) - reward) ** 2).sum()
        for a, b in [(0, 0), (0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)]
    ]
    assert min(errors) == errors[0]


def test_the_peak_is_where_the_curve_is_highest():
    law = KLLaw(1.5, 0.9, 1.0, 0.0, np.array([1.0]), np.array([1.0]))
    kl = np.linspace(0.01, 20, 200_000)
    assert law.peak == pytest.approx(kl[law.at(kl).argmax()], abs=1e-3)
    assert law.peak == pytest.approx(math.exp(1.5 / 0.9 - 1) ** 2)
    assert KLLaw(1.0, -0.1, 1.0, 0.0, np.array([1.0]), np.array([1.0])).peak is None


def test_the_frontier_is_what_no_point_of_less_kl_beats():
    rng = np.random.default_rng(1)
    points = [tuple(pair) for pair in rng.uniform(size=(60, 2)).round(1)]
    kl, reward = frontier(points)
    slow = sorted({p for p in points if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)})
    assert list(zip(kl, reward, strict=True)) == slow


def test_a_peak_beyond_the_data_is_called_an_extrapolation():
    kl, reward = np.array([1.0, 4.0]), np.array([1.0, 2.0])
    assert "extrapolation" in kl_law_sentences(KLLaw(1.5, 0.5, 1, 0, kl, reward))[1]
    assert "no peak" in kl_law_sentences(KLLaw(1.5, -0.5, 1, 0, kl, reward))[1]
    assert "less reward" in kl_law_sentences(KLLaw(0.6, 0.5, 1, 0, kl, reward))[1]


def test_few_points_are_no_fit():
    assert fit_kl_law({}) is None
    assert fit_kl_law({0: _curve([0, 1, 2], [0, 1, 2])}) is None
    assert kl_law_figure({}, None, None).axes == []


def test_the_picture_has_the_points_that_were_fitted():
    kl = np.array([0.25, 1, 2.25, 4, 6.25])
    curves = {0: _curve([0, *kl], [0.5, *_law(1.5, 0.1, kl)])}
    (ax,) = kl_law_figure(curves, fit_kl_law(curves), 6.0).axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert lines["frontier: most reward at that KL"].get_xdata() == pytest.approx(np.sqrt(kl))
    assert lines["KL budget 6"].get_xdata()[0] == pytest.approx(math.sqrt(6))
