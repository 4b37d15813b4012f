import numpy as np

from bo_shaping.views.report import Landmarks, curves_figure
from tests.bo_shaping.views.report.made_up import make_result, make_trials, stop_early

TRIALS = make_trials(("shap", "lime", "sparse"), 5, 0)
CURVES = {i: make_result(float(i), 2.0 * i).curve for i in range(5)}
LANDMARKS = Landmarks(chosen=4, why="nearest to the recommended weights", corners={"shap": 0, "sparse": 2})


def labelled(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_the_chosen_trial_and_the_best_pure_ones_are_named_and_others_are_one_entry():
    figure = curves_figure(TRIALS, CURVES, LANDMARKS, kl_budget=8.0)
    assert set(labelled(figure.axes[0])) == {
        "nearest to the recommended weights (#4)", "pure shap, its best trial (#0)", "pure sparse, its best trial (#2)",
        "other trials",
    }  # fmt: skip


def test_lines_hold_the_curve_by_step_and_by_kl():
    figure = curves_figure(TRIALS, CURVES, LANDMARKS)
    by_step, by_kl = figure.axes
    line = labelled(by_step)["pure sparse, its best trial (#2)"]
    np.testing.assert_allclose(line.get_xdata(), [0, 5, 10])
    np.testing.assert_allclose(line.get_ydata(), [0, 1, 2])
    same = [other for other in by_kl.lines if other.get_color() == line.get_color() and len(other.get_xdata()) == 3]
    np.testing.assert_allclose(same[0].get_xdata(), [0, 2, 4])


def test_a_baseline_over_the_budget_is_called_so():
    figure = curves_figure(TRIALS, CURVES, LANDMARKS, kl_budget=3.0)
    assert "pure sparse, over the KL budget (#2)" in labelled(figure.axes[0])


def test_the_budget_is_drawn_only_where_it_does_not_squeeze_the_curves():
    def budgets(kl_budget):
        lines = curves_figure(TRIALS, CURVES, LANDMARKS, kl_budget=kl_budget).axes[1].lines
        return [line.get_xdata()[0] for line in lines if line.get_linestyle() == "--"]

    # The largest KL is 8.
    assert budgets(11.0) == [11.0]
    assert budgets(80.0) == []


def test_a_pure_trial_that_is_chosen_keeps_its_name():
    chosen = Landmarks(chosen=2, why="best trial so far", corners={"sparse": 2})
    assert "best trial so far (#2, pure sparse)" in labelled(curves_figure(TRIALS, CURVES, chosen).axes[0])


def test_the_band_is_one_standard_error_over_prompts():
    figure = curves_figure(TRIALS, {4: CURVES[4]}, LANDMARKS)
    [band] = figure.axes[0].collections
    edges = band.get_paths()[0].vertices
    np.testing.assert_allclose(sorted({round(y, 6) for x, y in edges if x == 10}), [3.9, 4.1])
    assert "SEM over prompts" in figure.axes[0].get_title(loc="left")


def test_a_stopped_trial_is_drawn_as_far_as_it_went_and_ends_in_a_cross():
    curves = CURVES | {3: CURVES[3][:2]}
    by_kl = curves_figure(stop_early(TRIALS, 3), curves, LANDMARKS).axes[1]
    [cross] = [line for line in by_kl.lines if line.get_marker() == "x"]
    assert (list(cross.get_xdata()), list(cross.get_ydata())) == ([3.0], [1.5])


def test_without_curves_the_figure_says_so():
    nothing = Landmarks(chosen=None, why="", corners={})
    assert [text.get_text() for text in curves_figure(TRIALS, {}, nothing).texts] == ["No learning curve yet"]
