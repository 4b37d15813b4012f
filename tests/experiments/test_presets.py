import json

from experiments import presets
from inner_loop import ShapingFunction


def test_the_presets_are_what_the_stored_results_say(capsys):
    assert presets.main(["--check"]) == 0, capsys.readouterr().out


def test_a_preset_whose_results_have_changed_is_named(tmp_path):
    stored = json.loads(presets.RESULTS.read_text())
    row = next(row for row in stored["fresh seeds"]["result"]["settings"] if row["setting"] == presets.BEST_ALONE)
    row["reward_at_the_budget"][0] += 0.1
    (tmp_path / "results.json").write_text(json.dumps(stored))
    changed = presets.outdated(tmp_path / "results.json")
    assert changed == ["embedded-shapley/README.md", "embedded-shapley/shaping.json"]


def test_the_numbers_of_the_cards_are_those_of_the_results():
    stored = json.loads(presets.RESULTS.read_text())
    settings = {row["setting"]: row for row in stored["fresh seeds"]["result"]["settings"]}
    shapley = ShapingFunction.preset("embedded-shapley").evidence
    assert [shapley.mean, *shapley.interval] == settings["Shapley, its best"]["reward_at_the_budget"]
    wide, study = ShapingFunction.preset("embedded-wide"), stored["studies"]["result"]["studies"][0]
    assert wide.weights == study["weights"]
    assert wide.attribution.max_units == study["parameters"]["max_units"]
    assert wide.evidence.mean == study["reward_at_the_budget"]
    # The claim for which they ship: both are ahead of sparse, whose interval is below them.
    assert shapley.interval[0] > settings["sparse, its best"]["reward_at_the_budget"][2]
    assert stored["studies"]["result"]["beside"][0]["at_the_budget"][1] > 0
