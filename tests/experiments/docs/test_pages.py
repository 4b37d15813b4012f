import json
import shutil
from typing import Literal

import pytest
from pydantic import Field, PositiveInt

from experiments.docs import layers
from experiments.docs.benchmark_tables import RESULTS, accuracy_table, benchmark_tables
from experiments.docs.configuration_reference import configuration_reference
from experiments.docs.metrics_reference import metrics_reference, rows_in
from inner_loop.io.schema import StrictModel


class Inner(StrictModel):
    """An inner section.

    With more to say.
    """

    many: PositiveInt = 3
    """How many."""


class Outer(StrictModel):
    """All of it."""

    kind: Literal["a", "b"] = "a"
    """Which | kind."""
    share: float = Field(default=0.5, gt=0.0, le=1.0)
    """How much."""
    maybe: int | None = None
    """If at all."""
    name: str
    """What it is called."""
    inner: Inner = Inner()


def test_every_key_has_its_type_default_and_text():
    page = configuration_reference(Outer)
    assert "| `kind` | `a` or `b` | `a` | Which \\| kind. |" in page
    assert "| `share` | number, above 0, at most 1 | `0.5` | How much. |" in page
    assert "| `maybe` | whole number or null | `null` | If at all. |" in page
    assert "| `name` | text | needed | What it is called. |" in page
    assert "## `inner`\n\nAn inner section.\n\n" in page
    assert "| `many` | whole number, above 0 | `3` | How many. |" in page


def test_every_metric_of_the_recommendation_is_defined():
    page = metrics_reference()
    assert "| `prob_better_than_sparse` | Probability that its expected reward exceeds that of pure sparse" in page
    assert "| `kl_k3` | k3: the same with" in page
    with pytest.raises(ValueError, match="no table"):
        rows_in("Nothing here.")


def test_benchmark_tables_follow_their_results(tmp_path):
    for file in RESULTS.glob("*.json"):
        shutil.copy(file, tmp_path)
    before = benchmark_tables(tmp_path)
    stored = json.loads((tmp_path / "attribution.json").read_text())
    row = next(r for r in stored["accuracy"]["result"] if r["model"] == "all" and r["method"] == "ours")
    row["error"] = 0.98765
    (tmp_path / "attribution.json").write_text(json.dumps(stored))
    assert "0.988" not in before
    assert "0.988" in benchmark_tables(tmp_path)


def test_errors_stand_by_method_and_budget():
    rows = [
        {"model": "all", "masking": "remove", "target": "lime", "method": method, "budget": budget, "error": error}
        for method, budget, error in (("ours", 32, 0.25), ("ours", 64, 0.125), ("theirs", 64, 0.5))
    ]
    *_, ours, theirs = accuracy_table(rows).splitlines()
    assert ours.split() == ["ours", "0.250", "0.125"]
    assert theirs.split() == ["theirs", "0.500"]


def test_layers_point_down_and_every_part_is_placed(monkeypatch):
    places = {
        f"{package}.{part}": height
        for package, rows in layers.LAYERS.items()
        for height, row in enumerate(rows)
        for part in row
    }
    for importer, imported in layers.imports_between_parts().items():
        for other in imported:
            if importer.split(".")[0] == other.split(".")[0]:
                assert places[importer] < places[other], f"{importer} imports {other}"
    monkeypatch.setitem(layers.LAYERS, "inner_loop", layers.LAYERS["inner_loop"][1:])
    with pytest.raises(ValueError, match=r"does not place \['integrations'\] of inner_loop"):
        layers.layer_drawing()
