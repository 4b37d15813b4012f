import json
import sys

from experiments.benchmarks import candidate_fit


def test_both_fits_are_measured_on_each_data_set(tmp_path, monkeypatch, capsys):
    file = tmp_path / "fit.json"
    monkeypatch.setattr(sys, "argv", ["candidate_fit", "--repeats", "2", "--most", "12", "--output", str(file)])
    candidate_fit.main()
    (row,) = json.loads(file.read_text())["fit"]["measured"]
    assert row["trials"] == 12
    assert len(row["botorch"]) == len(row["ours"]) == 2
    low, middle, high = row["ratio"]
    assert 0 < low <= middle <= high
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "12"


def test_stored_numbers_are_those_of_the_page():
    stored = {row["trials"]: row["ratio"] for row in json.loads(candidate_fit.RESULTS.read_text())["fit"]["measured"]}
    page = (candidate_fit.RESULTS.parents[1] / "outer_loop.md").read_text(encoding="utf-8")
    words = " ".join(page.split())
    low, middle, high = stored[200]
    assert f"{middle:.1f} times as long with 200 trials ({low:.1f} to {high:.1f})" in words
    low, middle, high = stored[500]
    assert f"{middle:.0f} times with 500 ({low:.0f} to {high:.0f})" in words
