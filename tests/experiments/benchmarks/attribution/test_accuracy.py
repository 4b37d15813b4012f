import numpy as np
import pytest

from experiments.benchmarks.attribution.accuracy import ALL, OURS, Cell, Run, add, bars, pooled
from experiments.benchmarks.attribution.peers import SHAPLEY_PEERS


def cell(method, error, *, target="shapley", model="m", masking="remove", budget=64):
    return Cell(model, masking, target, method, budget, [[error]] * 4, [[0.99]] * 4, [64] * 4)


def cells(ours, best_peer, **where):
    peers = [cell(name, best_peer + place, **where) for place, name in enumerate(SHAPLEY_PEERS)]
    return [cell(OURS, ours, **where), cell(OURS, 0.05, target="lime", **where), *peers]


def verdicts(measured):
    return {bar.name.split(",")[0]: bar.passed for bar in bars(measured)}


def test_an_engine_below_every_limit_passes():
    assert verdicts(cells(0.1, 0.2)) == {
        "Shapley error": True,
        "Spearman": True,
        "LIME error": True,
        "Shapley error minus the best peer's": True,
    }


def test_the_limit_of_the_mask_token_is_the_stricter_one():
    assert verdicts(cells(0.1, 0.2, masking="mask"))["Shapley error"] is False


def test_one_better_peer_is_enough_to_fail():
    measured = cells(0.1, 0.08)
    assert verdicts(measured)["Shapley error minus the best peer's"] is False
    assert next(bar for bar in bars(measured) if "peer" in bar.name).note == next(iter(SHAPLEY_PEERS))


def test_pooling_keeps_one_row_per_text():
    [total] = pooled([cell(OURS, 0.1, model="a"), cell(OURS, 0.3, model="b")])
    assert (total.model, total.errors) == (ALL, [[0.1, 0.3]] * 4)
    assert total.summary()["error"] == pytest.approx(0.2)


def test_coverage_counts_the_units_whose_interval_holds_the_truth():
    judged = Cell("m", "remove", "shapley", OURS, 64)
    # 1.6449 deviations each way: 0.16 off with 0.1 is inside, 0.17 off is not; a unit known exactly says nothing.
    run = Run(np.array([1.16, 1.17, 1.0]), distinct=64, std=np.array([0.1, 0.1, 0.0]))
    add(judged, [run], truth=np.ones(3))
    assert judged.covered == [True, False]
