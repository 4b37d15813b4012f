import json
import re
from html import unescape

import pytest

from bo_shaping.comparison.stored import comparison_json
from bo_shaping.config import StudyConfig
from bo_shaping.views.report.comparison import headline, look_at_comparison
from bo_shaping.views.report.comparison_figures import by_kl_figure, differences_figure, method_colours
from bo_shaping.views.report.style import ACCENT
from tests.bo_shaping.comparison.made_up import make_comparison

SEVEN = {"sparse": 0.1, "uniform": 0.09, "attention": 0.12, "lime": 0.15, "shap": 0.2, "owen": 0.2, "learned": 0.25}


@pytest.fixture
def view(tmp_path):
    file = tmp_path / "comparison.json"
    file.write_text(json.dumps(comparison_json(*make_comparison(SEVEN), StudyConfig(name="toy"))))
    return look_at_comparison(file)


def test_every_cell_shows_all_methods(view):
    for cell in (view.headline(), view.table(), view.settings()):
        text = unescape(re.sub("<[^>]*>", " ", cell.html))
        assert all(method in text for method in SEVEN if method != "sparse" or cell is not view.headline())
        assert repr(cell)
    for picture in (view.differences(), view.by_step(), view.by_kl()):
        assert picture.png.startswith(b"\x89PNG")


def test_the_headline_tells_faster_from_better_and_says_what_is_not_known():
    said = headline(make_comparison({"sparse": 0.1, "shap": 0.2, "lime": 0.05})[0])
    assert said == "shap holds more reward along the training than sparse; at equal KL, shap is better"
    said = headline(make_comparison({"sparse": 0.1, "shap": 0.05})[0])
    assert said == "No method is known to hold more reward than sparse; at equal KL it is not better"
    assert headline(make_comparison(SEVEN, n_seeds=1)[0]) == "One seed tells nothing about methods beside sparse"


def test_the_weights_that_were_learned_are_named(view):
    text = unescape(re.sub("<[^>]*>", " ", view.settings().html))
    assert "shap 0.75, sparse 0.25" in text


def test_a_panel_per_method_with_the_baseline_in_each(view):
    stored = view.stored
    panels = [ax for ax in by_kl_figure(stored).axes if ax.get_gid() == "panel"]
    assert [ax.get_title(loc="left") for ax in panels] == list(SEVEN)[1:]
    for ax in panels:
        solid = [line for line in ax.lines if line.get_linestyle() == "-" and line.get_linewidth() == 2]
        dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
        # All of them move by 0.2 nats a step and earn 0.101 of their slope and of the middle seed.
        assert dashed[0].get_ydata()[-1] == pytest.approx(20 * 0.101)
        slope = SEVEN[ax.get_title(loc="left")] + 0.001
        assert solid[0].get_ydata()[-1] == pytest.approx(20 * slope)
        [marked] = [line for line in ax.lines if line.get_gid() == "equal KL"]
        assert marked.get_xdata()[0] == pytest.approx(4.0)


def test_differences_are_drawn_where_they_are(view):
    first = differences_figure(view.stored.comparison).axes[0]
    names = [label.get_text() for label in first.get_yticklabels()]
    dots = {line.get_ydata()[0]: line.get_xdata()[0] for line in first.lines if line.get_marker() == "o"}
    # Held rewards are the means of straight lines: ten times their slopes.
    for place, name in enumerate(names):
        assert dots[place] == pytest.approx(10 * (SEVEN[name] - SEVEN["sparse"]))


def test_what_was_learned_has_the_colour_of_recommendations_and_no_two_the_same():
    colours = method_colours(list(SEVEN))
    assert colours["learned"] == ACCENT
    assert len(set(colours.values())) == len(SEVEN)
