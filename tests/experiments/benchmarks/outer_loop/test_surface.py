import dataclasses

import numpy as np
import pytest

from experiments.benchmarks.outer_loop.surface import Surface, pack, triangle
from experiments.benchmarks.outer_loop.train_surface import COMPONENTS, LAMBDAS, SEEDS, mixtures, read_runs, specs


def run_of(spec, mean):
    curve = [[0, -0.3, 0.0], [20, mean, 3.0]]
    keys = {"weights": spec.weights, "gae_lambda": spec.ppo.gae_lambda, "seed": spec.seed}
    return keys | {"mean": mean, "sem": 0.1, "kl": 2 * mean, "curve": curve, "seconds": 1.0}


def plane(X):
    """Linear in weights and lambda."""
    return X @ np.array([0.3, -0.7, 1.1, 2.0])


def point_of(spec):
    return np.array([*(spec.weights[name] for name in COMPONENTS), spec.ppo.gae_lambda])


@pytest.fixture
def surface(tmp_path):
    """A plane that seed s lifts by s; the last training is missing, so the last seed is not complete."""
    runs = [run_of(spec, float(plane(point_of(spec)) + spec.seed)) for spec in specs()]
    assert pack(runs[:-1], tmp_path / "packed.gz") == len(runs) - 1
    return Surface.load(tmp_path / "packed.gz")


def test_the_grid_is_what_the_trainings_are():
    assert len(specs()) == len(mixtures()) * len(LAMBDAS) * len(SEEDS) == 252
    assert [spec.seed for spec in specs()] == sorted(spec.seed for spec in specs())


def test_only_seeds_with_a_complete_grid_are_loaded(surface):
    assert surface.seeds == SEEDS[:-1]
    assert surface.reward.shape == (2, 21, 4)
    assert surface.reward_curve.shape == surface.kl_curve.shape == (2, 21, 4, 2)
    assert np.isnan(surface.unfinished_reward).sum() == 1
    np.testing.assert_allclose(surface.reward_curve[..., -1], surface.reward)


def test_packing_does_not_depend_on_the_order_of_the_runs(tmp_path):
    runs = [run_of(spec, spec.seed / 10) for spec in specs()]
    for name, order in (("a", runs), ("b", runs[::-1])):
        pack(order, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_plane_is_interpolated_exactly(surface):
    rng = np.random.default_rng(0)
    X = np.c_[rng.dirichlet(np.ones(3), 500), rng.uniform(0.5, 1.0, 500)]
    found = surface.at(X)
    np.testing.assert_allclose(found.reward, plane(X) + np.array([[0.0], [1.0]]), atol=2e-5)
    np.testing.assert_allclose(found.kl, 2 * found.reward, atol=1e-4)


def test_nodes_are_exact_and_nothing_is_above_them(surface):
    rng = np.random.default_rng(1)
    rough = dataclasses.replace(surface, reward=rng.normal(size=surface.reward.shape))
    for place, mixture in enumerate(surface.mixtures):
        for level, gae_lambda in enumerate(surface.lambdas):
            here = rough.at(np.array([[*mixture, gae_lambda]])).reward[:, 0]
            np.testing.assert_allclose(here, rough.reward[:, place, level], atol=1e-6)
    X = np.c_[rng.dirichlet(np.full(3, 0.5), 2000), rng.uniform(0.5, 1.0, 2000)]
    values = rough.at(X).reward
    assert (values <= rough.reward.max(axis=(1, 2))[:, None] + 1e-9).all()
    # Continuous: a small step changes little, also over the edge of a triangle.
    near = X.copy()
    near[:, :2] += 1e-7 * np.array([1, -1])
    np.testing.assert_allclose(rough.at(near).reward, values, atol=1e-4)


def test_shares_of_the_three_nodes_make_the_point():
    U = 5 * np.random.default_rng(2).dirichlet(np.ones(3), 1000)
    nodes, shares = triangle(U)
    assert (shares > -1e-9).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose((nodes * shares[..., None]).sum(axis=1), U)


def test_runs_are_read_from_all_parts(tmp_path):
    (tmp_path / "part0.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "part1.jsonl").write_text('{"a": 2}\n{"a": 3}\n')
    assert read_runs(tmp_path) == [{"a": 1}, {"a": 2}, {"a": 3}]
