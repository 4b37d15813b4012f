from dataclasses import replace

import numpy as np
import pytest

from bo_shaping.views.report import weights_figure
from tests.bo_shaping.views.report.made_up import make_best, make_surface


def intervals(ax):
    return [tuple(line.get_xdata()) for line in ax.lines if line.get_gid() == "interval"]


@pytest.mark.parametrize("components", [("shap", "sparse"), ("shap", "lime", "owen", "sparse")])
def test_every_component_has_its_interval_and_every_parameter_its_own_axis(components):
    best = make_best(components)
    weights, gae_lambda = weights_figure(best, make_surface(components), bounds={"gae_lambda": (0.5, 1.0)}).axes
    assert intervals(weights) == [best.interval[name] for name in components]
    assert [label.get_text() for label in weights.get_yticklabels()] == list(components)
    assert intervals(gae_lambda) == [(0.7, 0.9)]
    assert gae_lambda.get_xlim()[0] <= 0.5
    assert gae_lambda.get_xlim()[1] >= 1.0


def test_a_parameter_over_decades_has_a_logarithmic_axis_and_readable_numbers():
    best = make_best(("shap", "sparse"))
    best = replace(
        best,
        parameters={"learning_rate": 2e-5},
        interval=best.interval | {"learning_rate": (1.5e-5, 1e-4)},
    )
    ax = weights_figure(best, bounds={"learning_rate": (1e-5, 1e-3)}).axes[1]
    assert ax.get_xscale() == "log"
    assert {"1.5e-05 to 0.0001", "2e-05"} <= {text.get_text() for text in ax.texts}


def test_points_are_the_recommended_weights():
    figure = weights_figure(make_best(("shap", "lime", "sparse")))
    points = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points, [0.75, 0.0, 0.25])


def test_densities_come_from_the_draws():
    best, surface = make_best(("shap", "sparse")), make_surface(("shap", "sparse"))
    assert len(weights_figure(best, None).axes[0].patches) == 0
    # Half of the draws have all weight on shap, half three quarters.
    surface = replace(surface, draws=np.array([[1.0, 0.0], [0.75, 0.25]]))
    shap, sparse = (patch.get_data() for patch in weights_figure(best, surface).axes[0].patches)
    filled = [np.flatnonzero(data.values > data.baseline).tolist() for data in (shap, sparse)]
    # Bins of 0.05 around the twentieths.
    assert filled == [[15, 20], [0, 5]]


def test_draws_on_the_lattice_leave_no_gaps():
    weights = np.round(np.arange(21) * 0.05, 2)
    surface = replace(make_surface(("shap", "sparse")), draws=np.column_stack([weights, 1 - weights]))
    for patch in weights_figure(make_best(("shap", "sparse")), surface).axes[0].patches:
        data = patch.get_data()
        assert np.unique((data.values - data.baseline).round(9)).tolist() == [0.55]


def test_without_a_recommendation_the_figure_says_so():
    assert [text.get_text() for text in weights_figure(None).texts] == ["No recommendation yet"]


def test_values_in_an_order_have_a_bar_each_as_high_as_they_are_probable():
    best = make_best(("shap", "sparse"))
    shares = {"tokens": 0.1, "words": 0.7, "spans": 0.2}
    best = replace(best, parameters={"units": "words"}, prob_value={"units": shares})
    ax = weights_figure(best, bounds={}).axes[1]
    assert [label.get_text() for label in ax.get_xticklabels()] == list(shares)
    assert [text.get_text() for text in ax.texts] == ["10 %", "70 %", "20 %"]
    heights = np.array([bar.get_height() for bar in ax.patches])
    np.testing.assert_allclose(heights / heights.sum(), list(shares.values()))
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] == colours[2] != colours[1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["units"]
