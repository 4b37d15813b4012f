import json
import sys

import pytest

from experiments.benchmarks.outer_loop import studies
from experiments.benchmarks.outer_loop.studies import Study, holds, plan, read_lines


def test_at_any_time_every_kind_has_as_many_studies():
    jobs = list(plan(("Ax", "random"), ("k=3", "k=5"), 15))
    kinds = [job.kind for job in jobs]
    for n in range(len(jobs)):
        assert abs(kinds[:n].count("k=3") - kinds[:n].count("k=5")) <= 3
    assert {job.common for job in jobs if job.method == "Ax"} == {False}
    assert {(job.method, job.n_trials) for job in jobs} == {("Ax", 15), ("random", 25)}
    assert len({job.key for job in jobs}) == len(jobs)


def test_a_run_continues_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(studies, "ROUNDS", 2)
    lines = tmp_path / "lines.jsonl"
    monkeypatch.setattr(sys, "argv", ["studies", "--method", "random", "--kind", "k=3", "--lines", str(lines)])
    studies.main()
    whole = lines.read_text()
    assert len(whole.splitlines()) == 4
    lines.write_text("\n".join(whole.splitlines()[:3]) + "\n")
    studies.main()
    again = [json.loads(line) for line in lines.read_text().splitlines()]
    for line, before in zip(again, map(json.loads, whole.splitlines()), strict=True):
        assert line["regret"] == before["regret"]
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--minutes", "0"])
    lines.write_text("")
    studies.main()
    assert lines.read_text() == ""


def test_the_longest_study_counts(tmp_path):
    file = tmp_path / "lines.jsonl"
    line = {"kind": "k=3", "index": 0, "method": "Ax", "common": False, "code": ""}
    file.write_text("".join(json.dumps(line | {"n_trials": n}) + "\n" for n in (15, 25, 10)))
    [kept] = read_lines(file).values()
    assert kept["n_trials"] == 25
    assert read_lines(tmp_path / "none.jsonl") == {}


@pytest.mark.parametrize("method", ["random", "Sobol"])
def test_a_line_says_what_the_recommendation_was_worth(method):
    line = Study("k=5", 1, method, common=True, n_trials=15).run()
    assert set(line["regret"]) == {"10", "15"}
    assert all(0 <= regret < 5 for regret in line["regret"].values())
    assert line["code"] == ""
    assert json.loads(json.dumps(line)) == line


def test_an_interval_holds_its_ends():
    assert holds((0.1, 0.4), 0.1)
    assert holds((0.1, 0.4), 0.4)
    assert not holds((0.1, 0.4), 0.41)
