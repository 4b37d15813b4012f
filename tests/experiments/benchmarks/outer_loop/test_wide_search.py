import json

import numpy as np
import pytest

from experiments.benchmarks.outer_loop import wide_search
from experiments.benchmarks.outer_loop.methods import PROPOSER, code_of
from experiments.benchmarks.outer_loop.problems import make_problem
from experiments.benchmarks.outer_loop.studies import Study
from experiments.benchmarks.outer_loop.wide_search import measure, of_today, table_of


@pytest.fixture(scope="module")
def problem():
    return make_problem("wide", 3)


def test_regret_is_zero_at_the_optimum_and_one_on_average(problem):
    rng = np.random.default_rng(1)
    low, high = np.array(list(problem.parameters.values())).T
    X = np.hstack([rng.dirichlet(np.ones(5), 500), low + rng.random((500, len(low))) * (high - low)])
    regrets = np.array([problem.regret(x) for x in X])
    assert regrets.mean() == pytest.approx(1.0, abs=0.05)
    assert regrets.min() >= 0
    assert problem.regret(problem.optimum) == pytest.approx(0, abs=1e-9)
    assert problem.optimum[:5].sum() == pytest.approx(1)
    assert (low <= problem.optimum[5:]).all()
    assert (problem.optimum[5:] <= high).all()


def test_noise_is_that_of_the_trial_whatever_the_method(problem):
    x = problem.optimum
    first, again, other = (problem.observe(x, trial, None)[0] for trial in (0, 0, 1))
    assert first == again != other
    many = [problem.observe(x, trial, None)[0] for trial in range(400)]
    assert 0.08 < np.std(many) < 0.16


def test_a_study_of_it_runs(problem):
    line = Study("wide", 0, "Sobol", common=False, n_trials=10).run()
    assert 0 <= line["regret"]["10"] < 2


def line(method, index, regret, covered=None):
    covered = {} if covered is None else dict.fromkeys(regret, covered)
    return {"method": method, "index": index, "regret": regret, "covered": covered}


def test_ours_is_compared_on_the_rounds_of_both():
    lines = [
        line("ours", 0, {"10": 0.4, "15": 0.2, "25": 0.1}, [True, False]),
        line("ours", 1, {"10": 0.4, "15": 0.4, "25": 0.1}, [True, True]),
        line("Ax", 0, {"10": 0.8, "15": 0.8}),
        line("Sobol", 0, {"10": 0.8, "15": 0.4, "25": 0.2}),
        line("Sobol", 1, {"10": 0.8, "15": 0.8, "25": 0.2}),
    ]
    result = measure(lines)
    rows = {(row["method"], row["after"]): row for row in result["rows"]}
    assert rows["Ax", 15]["ours_beside"][0] == pytest.approx(0.25)
    assert rows["Sobol", 15]["ours_beside"] == pytest.approx([0.5, 0.5, 0.5])
    assert rows["ours", 25]["regret"] == pytest.approx(0.1)
    assert rows["ours", 25]["ours_beside"] is None
    assert ("Ax", 25) not in rows
    assert result["coverage"] == {"10": 0.75, "15": 0.75, "25": 0.75}
    assert "75%" in table_of(result)


def test_studies_of_another_surface_or_other_code_of_ours_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(wide_search, "surface_of_today", lambda: "today's")
    lines = [
        {"index": 0, "method": "ours", "code": code_of(PROPOSER), "surface": "today's"},
        {"index": 1, "method": "ours", "code": "older", "surface": "today's"},
        {"index": 2, "method": "Sobol", "code": "", "surface": "today's"},
        {"index": 3, "method": "Sobol", "code": "", "surface": "older"},
        {"index": 4, "method": "Sobol", "code": ""},
    ]
    file = tmp_path / "lines.jsonl"
    rest = {"kind": wide_search.KIND, "common": False, "n_trials": 40}
    file.write_text("".join(json.dumps(line | rest) + "\n" for line in lines))
    assert sorted(line["index"] for line in of_today(file).values()) == [0, 2]
