import json

from experiments.benchmarks.results_file import installed, one_record_a_line, save


def test_the_file_is_json_with_a_line_for_every_record():
    results = {
        "speed": {"bars": [{"name": "a", "value": 1.0}, {"name": "b", "value": [2, 3]}], "minutes": 3.0, "empty": []}
    }
    text = one_record_a_line(results)
    assert json.loads(text) == results
    assert '\n   {"name": "a", "value": 1.0},\n' in text


def test_a_part_leaves_the_others_as_they_are(tmp_path):
    path = tmp_path / "results" / "attribution.json"
    for part, record in [("speed", {"minutes": 1}), ("memory", {"minutes": 2}), ("speed", {"minutes": 3})]:
        save(path, part, record)
    assert json.loads(path.read_text()) == {"speed": {"minutes": 3}, "memory": {"minutes": 2}}


def test_versions_are_those_of_what_is_installed():
    assert list(installed(["numpy", "no-such-package"])) == ["numpy"]
