import re
from html import unescape

import numpy as np
import pytest

from bo_shaping.views.report.credit_check import ResponseCredit

RESPONSE = " not bad but good"


def score(texts):
    """Two words that turn each other round, and one that is good: all values are known."""
    return [2.0 * ("good" in text) + (1.0 if "not bad" in text else -1.0 * ("bad" in text)) for text in texts]


@pytest.fixture
def response():
    return ResponseCredit(score, "the film is", RESPONSE)


def text_of(shown):
    return unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", shown.html, flags=re.DOTALL))


def test_all_subsets_are_exact(response):
    assert (response.n_units, response.exact_budget) == (4, 16)
    credit = response.credit(["shapley"], 16)
    # v(not, bad) = 1, v(bad) = -1: "not" has (0 + 2) / 2, "bad" has (-1 + 1) / 2.
    assert credit.values["shapley"] == pytest.approx([1.0, 0.0, 0.0, 2.0])


def test_rows_stand_in_the_order_asked_for(response):
    text = text_of(response.blocks(["prefix", "shapley"], 16))
    assert text.index("prefix") < text.index("shapley sum")
    assert "legend" in response.blocks().html


def test_the_packages_agree_where_nothing_is_estimated(response):
    html = response.beside_packages(["shapley", "owen"], 16).html
    rows = re.findall(r'<span class="name">(.*?)<br>.*?<div dir="ltr">(.*?)</div>', html)
    values = {name: re.findall(r"<small[^>]*>([^<]*)", row) for name, row in rows}
    assert list(values) == ["shapley", "shap package (kernel)", "owen", "shap package (partition)"]
    assert values["shapley"] == values["shap package (kernel)"] == ["+1.000", "0", "0", "+2.000"]
    assert values["owen"] == values["shap package (partition)"]


@pytest.mark.filterwarnings("ignore:Linear regression equation is singular")
def test_errors_end_where_the_credit_is_exact(response):
    convergence = response.convergence(["shapley"], [4, 16])
    assert convergence.errors["shapley", "own"][1] == pytest.approx(0.0, abs=1e-9)
    assert convergence.errors["shapley", "own"][0] > 0.01
    assert convergence.expected["shapley"][1] == 0.0
    estimated = response.credit(["shapley"], 4).values["shapley"]
    share = np.linalg.norm(estimated - [1.0, 0.0, 0.0, 2.0]) / np.sqrt(5.0)
    assert convergence.errors["shapley", "own"][0] == pytest.approx(share)
    text = text_of(convergence.table())
    assert text.count("exact") == 3  # of the heading, ours, and the package's
    assert convergence.picture().png.startswith(b"\x89PNG")


def test_the_plot_of_shap_stands_on_white_and_runs_no_script(response):
    html = response.shap_text("shapley", 16).html
    assert "background:#fff" in html
    assert "good" in html
    assert not re.search(r"<script|\son\w+=", html)
