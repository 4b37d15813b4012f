"""What the gradient benchmark says about its numbers: errors of a batch, intervals over games, tables."""

import numpy as np
import pytest

from experiments.benchmarks.gradient_bias.__main__ import evaluate
from experiments.benchmarks.gradient_bias.games import GAMES
from experiments.benchmarks.gradient_bias.moments import Moments
from experiments.benchmarks.gradient_bias.report import Key, Results, median_interval, summarise, tables


def test_the_error_of_the_direction_is_the_least_mse_over_scalings():
    # True gradient (1, 0), mean (1, 1), variance 8, batches of 4: E||a g - (1, 0)||^2 = a^2 (2 + 2) - 2 a + 1.
    result = Moments(bias=1.0, cosine=np.sqrt(0.5), mean_norm=np.sqrt(2), variance=8.0)
    scalings = np.linspace(0, 1, 1001)
    assert result.mse(4) == pytest.approx(3.0)
    assert result.direction_error(4) == pytest.approx((4 * scalings**2 - 2 * scalings + 1).min(), abs=1e-9)


def test_the_interval_of_a_median_covers_it_as_often_as_promised():
    # Order statistics 9 and 20 of 30, counted from 0: the binomial law says 95.7 %.
    interval = median_interval(range(30))
    assert interval == (14.5, 9.0, 20.0)
    rng = np.random.default_rng(0)
    covered = [low <= 0 <= high for _, low, high in (median_interval(rng.normal(size=30)) for _ in range(2000))]
    assert np.mean(covered) == pytest.approx(0.957, abs=0.02)


@pytest.fixture(scope="module")
def summary():
    """One evaluation, filed under every game so that the tables are full."""
    found, results = evaluate("tabular", "pairs", 0), Results()
    for game in GAMES:
        results.add({key._replace(game=game): moments for key, moments in found.items()})
    return summarise(results)


def test_the_tables_say_what_was_evaluated(summary):
    shap = summary[Key("tabular", "pairs", "shap", "exact", 1.0)]
    row = next(line for line in tables(summary).splitlines() if line.startswith("| shap"))
    assert row.split("|")[2].split()[0] == f"{shap['bias'].median:.2f}"


def test_the_best_lambda_has_the_smallest_error(summary):
    start = Key("tabular", "pairs", "shap", "linear", 1.0)
    best = summary.best_lambda(start, "direction_error_32")
    errors = {x: summary[start._replace(gae_lambda=x)]["direction_error_32"].median for x in (1.0, 0.95, 0.8, 0.0)}
    assert errors[best.gae_lambda] == min(errors.values())
    assert best[:4] == start[:4]
