import numpy as np
import pytest

from bo_shaping.views.report import simplex_figure
from tests.bo_shaping.views.report.made_up import make_best, make_surface, make_trials, stop_early

THREE = ("shap", "lime", "sparse")


def markers(figure, gid):
    """Positions of the trial markers with this name."""
    return np.concatenate(
        [np.empty((0, 2)), *[c.get_offsets() for c in figure.axes[0].collections if c.get_gid() == gid]]
    )


def trial_lines(figure):
    return [line for line in figure.axes[0].lines if (line.get_gid() or "").startswith("trial")]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_finished_trial_has_a_numbered_marker_and_the_infeasible_ones_their_own():
    # Five finished trials with KL 0, 2, 4, 6, 8, one failed.
    figure = simplex_figure(make_trials(THREE, 5, 1), kl_budget=5.0)
    assert len(markers(figure, "trial")) == 3
    assert len(markers(figure, "trial over the KL budget")) == 2
    assert [text for text in texts(figure) if text.isdigit()] == ["0", "1", "2", "3", "4"]


def test_without_a_budget_no_trial_is_infeasible():
    figure = simplex_figure(make_trials(THREE, 5, 0))
    assert len(markers(figure, "trial")) == 5


def test_corner_trials_lie_on_the_named_corners():
    figure = simplex_figure(make_trials(THREE, 3, 0))
    np.testing.assert_allclose(markers(figure, "trial"), [[0, 0], [1, 0], [0.5, 0.8660254]], atol=1e-6)
    names = {t.get_text(): t.get_position() for t in figure.axes[0].texts if t.get_text().startswith("pure")}
    assert names["pure sparse"][1] > 0.86
    assert names["pure shap"][0] < names["pure lime"][0]


def test_the_star_is_at_the_recommended_weights():
    figure = simplex_figure(make_trials(THREE, 3, 0), make_best(THREE), make_surface(THREE), kl_budget=8.0)
    [star] = [c for c in figure.axes[0].collections if c.get_label() == "recommended weights"]
    # 0.75 shap + 0.25 sparse is a quarter of the way from (0, 0) to (1/2, sqrt(3)/2).
    np.testing.assert_allclose(star.get_offsets(), [[0.125, 0.21650635]], atol=1e-6)


def test_a_trial_at_the_recommended_weights_steps_aside_so_that_its_number_can_be_read():
    trials = make_trials(THREE, 1, 0)
    best = make_best(THREE, weights={"shap": 1.0, "lime": 0.0, "sparse": 0.0})
    [marker] = markers(simplex_figure(trials, best, make_surface(THREE)), "trial")
    assert 0.04 < np.hypot(*marker) < 0.08


def test_two_components_show_reward_over_the_second_weight():
    trials = make_trials(("shap", "sparse"), 3, 0)
    figure = simplex_figure(trials, make_best(("shap", "sparse")), make_surface(("shap", "sparse")))
    np.testing.assert_allclose(markers(figure, "trial"), [[0, 0], [1, 1], [0.5, 2]])
    [recommended] = [line for line in figure.axes[0].lines if line.get_label() == "recommended weight"]
    assert recommended.get_xdata()[0] == 0.25
    figure.draw_without_rendering()


def test_four_components_show_one_line_per_trial():
    four = ("shap", "lime", "owen", "sparse")
    figure = simplex_figure(make_trials(four, 6, 1), make_best(four), make_surface(four), kl_budget=5.0)
    lines = trial_lines(figure)
    assert len(lines) == 6
    np.testing.assert_allclose(lines[1].get_ydata(), [0, 1, 0, 0])
    assert [line.get_linestyle() for line in lines] == ["-"] * 3 + ["--"] * 3
    figure.draw_without_rendering()


@pytest.mark.parametrize("n_failed", [0, 2])
def test_without_a_finished_trial_the_figure_says_so(n_failed):
    figure = simplex_figure(make_trials(THREE, 0, n_failed))
    assert [text.get_text() for text in figure.texts] == ["No finished trial yet"]


def test_a_single_trial_can_be_drawn():
    figure = simplex_figure(make_trials(THREE, 1, 0), kl_budget=8.0)
    figure.draw_without_rendering()
    assert len(markers(figure, "trial")) == 1


@pytest.mark.parametrize("components", [("shap", "sparse"), THREE])
def test_a_stopped_trial_has_a_marker_of_its_own_whatever_its_kl(components):
    trials = stop_early(make_trials(components, 5, 0), 4)  # its KL is 8
    figure = simplex_figure(trials, kl_budget=5.0)
    assert len(markers(figure, "trial stopped early, as it stood then")) == 1
    assert len(markers(figure, "trial over the KL budget")) == 1
    assert len(markers(figure, "trial")) == 3


def test_a_stopped_trial_of_four_components_is_a_line_of_its_own_kind():
    four = ("shap", "lime", "owen", "sparse")
    figure = simplex_figure(stop_early(make_trials(four, 6, 0), 4), kl_budget=5.0)
    kinds = [line.get_gid() for line in trial_lines(figure)]
    assert [kinds.count(kind) for kind in ("trial", "trial over the KL budget")] == [3, 2]
    [stopped] = [line for line in figure.axes[0].lines if line.get_gid() == "trial stopped early, as it stood then"]
    np.testing.assert_allclose(stopped.get_ydata(), [0.25] * 4)
    assert stopped.get_gid() in figure.axes[0].get_legend_handles_labels()[1]
