import gzip
import json
import math

import numpy as np
import pytest

from experiments.benchmarks.outer_loop import fresh_seeds
from experiments.benchmarks.outer_loop.fresh_seeds import measure, sparse_grid
from experiments.benchmarks.outer_loop.train_wide_surface import (
    BOX,
    COMPONENTS,
    N_ALONE,
    N_ARMS,
    SEEDS,
    arms,
    packed_runs,
    spec_of,
)
from experiments.benchmarks.outer_loop.wide_surface import (
    MIXTURE,
    RESULTS,
    WideSurface,
    coordinates,
    describe,
    importance,
    noise_of,
    pack,
    table_of,
)

NOISE = 0.1


def worth(arm):
    """Depends on the share of SHAP and the learning rate alone."""
    place = coordinates(arm)
    return place[0] + 0.5 * place[len(COMPONENTS) + list(BOX).index("learning_rate")]


@pytest.fixture(scope="module")
def surface(tmp_path_factory):
    """Curves whose KL stays at 0 and whose reward is the arm's worth, with noise, from the first step on."""
    rng, file = np.random.default_rng(0), tmp_path_factory.mktemp("wide") / "packed.gz"
    runs = []
    for place, arm in enumerate(arms()):
        for seed in SEEDS[: 2 + place % 2]:
            level = worth(arm) + NOISE * rng.normal()
            runs.append({"arm": place, "seed": seed, "curve": [[0, level, 0.0], [20, level, 0.0]]})
    pack(runs, file)
    return WideSurface.load(file)


def test_arms_fill_the_space_and_are_always_the_same():
    listed = arms()
    assert listed == arms()
    X = np.array([coordinates(arm) for arm in listed])
    np.testing.assert_allclose(X[:, : len(COMPONENTS)].sum(axis=1), 1, atol=1e-6)
    alone = [(X[:, i] == 1).sum() for i in range(len(COMPONENTS))]
    assert alone == [N_ALONE] * len(COMPONENTS)
    box = X[:, len(COMPONENTS) :]
    assert box.min() >= -0.05
    assert box.max() <= 1.05
    assert (np.histogram(box[:, 2], 4, (0, 1))[0] > N_ARMS / 6).all()
    assert len({spec_of(arm, seed).model_dump_json() for arm in listed for seed in SEEDS}) == N_ARMS * len(SEEDS)


def test_new_trainings_join_those_that_are_packed(tmp_path):
    def run(arm, seed):
        return {"arm": arm, "seed": seed, "curve": [[0, 0.0, 0.0], [20, float(arm), 0.0]]}

    file = tmp_path / "packed.gz"
    assert packed_runs(file) == []
    pack([run(0, 0), {"arm": 1, "seed": 0, "diverged": "why"}], file)
    pack([run(1, 0), run(0, 1)], file)
    assert packed_runs(file) == [run(0, 0), run(0, 1), run(1, 0)]


def test_noise_is_that_between_seeds(surface):
    values = surface.held(6.0)
    assert np.isnan(values[2]).sum() == N_ARMS / 2
    assert noise_of(values) == pytest.approx(NOISE, rel=0.15)
    assert noise_of(np.array([[1.0, 5.0, 2.0], [3.0, 5.0, np.nan]])) == pytest.approx(1.0)


def test_the_emulator_finds_what_matters_and_how_well_it_does(surface):
    record = describe(surface)
    assert record["emulator"]["explained_of_the_signal"] > 0.9
    assert record["emulator"]["error_without_that_noise"] < 0.05
    total = {row["name"]: row["total"] for row in record["importance"]}
    # Var of a Dirichlet(1) share of 5 is 4 / 150, that of half a uniform number 1 / 48.
    both = 4 / 150 + 1 / 48
    assert total[MIXTURE] == pytest.approx(4 / 150 / both, abs=0.08)
    assert total["learning_rate"] == pytest.approx(1 / 48 / both, abs=0.08)
    assert max(value for name, value in total.items() if name not in (MIXTURE, "learning_rate")) < 0.05
    alone = {row["name"]: row["mean"] for row in record["alone"]}
    assert alone["shap"] - alone["sparse"] == pytest.approx(1.0, abs=0.25)
    assert "learning_rate" in table_of(record)


def test_the_budget_limits_what_is_held(tmp_path):
    pack([{"arm": 0, "seed": 0, "curve": [[0, 0.0, 0.0], [10, 1.0, 6.0], [20, 5.0, 20.0]]}], tmp_path / "one.gz")
    one = WideSurface.load(tmp_path / "one.gz")
    assert one.held(6.0)[0, 0] == pytest.approx((5 + 10) / 20)
    assert one.held(3.0)[0, 0] < one.held(6.0)[0, 0] < one.held(30.0)[0, 0]


def test_indices_of_a_known_function():
    class Additive:
        def __call__(self, X):
            return X[:, len(COMPONENTS)] + 2 * X[:, len(COMPONENTS) + 1]

    found = importance(Additive())
    first, second = list(BOX)[:2]
    assert found[first]["first"] == pytest.approx(0.2, abs=0.05)
    assert found[second]["total"] == pytest.approx(0.8, abs=0.05)
    assert found[MIXTURE]["total"] == 0.0


def run_of(name, arm, seed, curve):
    seconds = {"sample": 1.0, "attribute": 2.0, "update": 1.0, "evaluate": 50.0}
    return {"setting": name, "arm": arm, "seed": seed, "curve": curve, "seconds": seconds}


@pytest.fixture
def chosen(monkeypatch):
    arms_ = {fresh_seeds.SPARSE: sparse_grid()[4], "fast": {"w_shap": 1.0}, fresh_seeds.PAPERS_SETTING: {"w_shap": 0.5}}
    monkeypatch.setattr(fresh_seeds, "settings", lambda runs: arms_)
    return arms_


def test_settings_are_compared_at_the_budget_and_where_sparse_ends(chosen):
    def curve(name, seed):
        end = {"fast": 4.0, fresh_seeds.PAPERS_SETTING: -1.0}.get(name, 1.0) + 0.1 * seed
        # Fast is past the budget half way, at half of its reward.
        return [[0, 0.0, 0.0], [20, end, 12.0 if name == "fast" else 5.0]]

    runs = [run_of(name, arm, seed, curve(name, seed)) for name, arm in chosen.items() for seed in (0, 1, 2)]
    record = measure(runs)
    sparse, fast, lost = record["settings"]
    assert record["target"] == pytest.approx(1.1)
    assert fast["reward_at_the_budget"][0] == pytest.approx(4.1 / 2)
    assert fast["gain_at_the_budget"][0] == pytest.approx(4.1 / 2 - 1.1)
    assert fast["gain_over_the_papers"][0] == pytest.approx(4.1 / 2 + 0.9)
    low, high = fast["gain_at_the_budget"][1:]
    assert low < fast["gain_at_the_budget"][0] < high
    # 4.1 s / 20 = 1.1
    assert fast["steps_to_sparse"][0] == pytest.approx(1.1 / 4.1)
    assert fast["kl_there"] == pytest.approx(12.0 * 1.1 / 4.1)
    assert sparse["steps_to_sparse"][0] == pytest.approx(1.0)
    assert lost["steps_to_sparse"] == [math.inf] * 3
    assert fast["seconds_per_step"] == pytest.approx(4.0 / 20)
    assert "never" in fresh_seeds.table_of(record | {"settings": [lost | {"arm": sparse_grid()[0]}]})


def test_sparse_is_the_best_of_its_own_grid(monkeypatch):
    monkeypatch.setattr(fresh_seeds, "_best", lambda component: {})
    runs = [
        run_of(fresh_seeds.GRID, arm, seed, [[0, 0.0, 0.0], [20, float(place == 7) + seed, 1.0]])
        for place, arm in enumerate(sparse_grid())
        for seed in (0, 1)
    ]
    assert fresh_seeds.settings(runs)[fresh_seeds.SPARSE] == sparse_grid()[7]
    assert len(sparse_grid()) == len({str(arm) for arm in sparse_grid()}) == 18


def test_an_arm_that_was_begun_stays(monkeypatch):
    monkeypatch.setattr(fresh_seeds, "_best", lambda component: {"chosen for": component})
    begun = run_of("Shapley, its best", {"an": "arm"}, 100, [[0, 0.0, 0.0], [20, 1.0, 1.0]])
    arms = fresh_seeds.settings([begun])
    assert arms["Shapley, its best"] == {"an": "arm"}
    assert arms["best anywhere"] == {"chosen for": None}


def test_the_stored_comparison_is_that_of_the_stored_trainings():
    stored = json.loads(RESULTS.read_text())["fresh seeds"]["result"]
    runs = json.loads(gzip.decompress(fresh_seeds.FILE.read_bytes()))
    again = measure(runs)
    assert again["seeds"] == stored["seeds"] == list(fresh_seeds.SEEDS)
    assert again["target"] == pytest.approx(stored["target"])
    for row, other in zip(again["settings"], stored["settings"], strict=True):
        for key in ("held", "gain_at_the_budget", "gain_over_the_papers", "steps_to_sparse"):
            assert row[key] == pytest.approx(other[key]), (row["setting"], key)


def test_the_stored_surface_is_what_its_description_says():
    stored = json.loads(RESULTS.read_text())["wide surface"]["result"]
    surface = WideSurface.load()
    assert (len(surface.curves), len(surface.arms)) == (stored["trainings"], stored["arms"])
    assert surface.arms == arms()
    for row in stored["budgets"]:
        assert noise_of(surface.held(row["max_kl"])) == pytest.approx(row["noise"])
