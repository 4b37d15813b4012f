import json

import pytest

from experiments.benchmarks.outer_loop import efficiency
from experiments.benchmarks.outer_loop.efficiency import bars, measure, regrets, table_of
from experiments.benchmarks.outer_loop.methods import PROPOSER, code_of


def line(kind, index, method, common, regret, code="", covered=None):
    return {
        "kind": kind,
        "index": index,
        "method": method,
        "common": common,
        "code": code,
        "n_trials": 15,
        "cpu_seconds": 1.5,
        "regret": {"15": regret},
        "covered": {} if covered is None else {"15": covered},
        "width": {} if covered is None else {"15": 0.25},
    }


@pytest.fixture
def result(tmp_path):
    lines = [line("k=3", i, "Ax", False, 1.0 + i) for i in range(4)]
    lines += [line("k=3", i, "ours", False, 0.6 * (1 + i), code_of(PROPOSER), [True, True, True]) for i in range(3)]
    lines += [line("k=3", i, "ours", True, 0.6 * (1 + i), code_of(PROPOSER), [True, True, i > 0]) for i in range(3)]
    lines += [line("k=3", 3, "ours", False, 100.0, "other code")]
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    return measure(file)


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch):
    monkeypatch.setattr(efficiency, "MIN_PROBLEMS", 3)


def test_bars_do_not_rest_on_too_few_problems(result, monkeypatch):
    monkeypatch.setattr(efficiency, "MIN_PROBLEMS", 7)
    assert bars(result) == []


def test_ratios_are_on_the_surfaces_that_both_have(result):
    without, with_common = bars(result)[:2]
    assert without.value == with_common.value == pytest.approx(0.6)
    assert (without.passed, with_common.passed) == (True, False)
    assert without.note == "3 surfaces"
    assert (without.low, without.high) == pytest.approx((0.6, 0.6))


def test_results_of_other_code_are_not_ours(result):
    assert regrets(result["studies"], "k=3", "ours", False, "15").keys() == {0, 1, 2}


def test_coverage_has_to_be_neither_too_low_nor_too_high(result):
    low, high = bars(result)[2:]
    assert low.value == high.value == pytest.approx(17 / 18)
    assert (low.direction, low.limit, high.direction, high.limit) == (">=", 0.85, "<=", 0.95)


def test_the_table_has_means_errors_and_counts(result):
    [ax] = [row for row in table_of(result).splitlines() if "Ax" in row]
    # 1, 2, 3, 4: mean 2.5, standard error sqrt(5/3) / 2.
    assert "2.500 (0.645) n=4" in ax
    assert "0.10" in ax
    # 17 of 18 weights.
    assert "0.94, 0.25" in table_of(result)
