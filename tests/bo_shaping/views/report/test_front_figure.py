import numpy as np

from bo_shaping.views.report import front_figure
from tests.bo_shaping.views.report.made_up import make_front, make_trials, stop_early

THREE = ("shap", "lime", "sparse")


def test_the_front_is_drawn_over_the_trials_with_its_intervals():
    trials = stop_early(make_trials(THREE, 4, 1), 3)
    figure = front_figure(trials, make_front(THREE, 3))
    ax = figure.axes[0]
    [line] = [line for line in ax.lines if line.get_gid() == "front"] or [ax.containers[0].lines[0]]
    np.testing.assert_allclose(line.get_xydata(), [[0, 0], [2, 1], [4, 2]])
    kl_bars, reward_bars = (bars.get_segments() for bars in ax.containers[0].lines[2])
    np.testing.assert_allclose(kl_bars[1], [[2 - 0.75, 1], [2 + 1, 1]])
    np.testing.assert_allclose(reward_bars[2], [[4, 2 - 0.25], [4, 2 + 0.5]])
    places = {c.get_gid(): c.get_offsets() for c in ax.collections if c.get_gid()}
    np.testing.assert_allclose(places["trial"], [[0, 0], [2, 1], [4, 2]])
    np.testing.assert_allclose(places["trial stopped early, as it stood then"], [[6, 3]])
    assert "0.33 shap 0.67 sparse" in [text.get_text() for text in ax.texts]


def test_without_a_front_the_figure_says_so():
    assert front_figure(make_trials(THREE, 1, 0), []).texts[0].get_text() == "No Pareto front yet"
