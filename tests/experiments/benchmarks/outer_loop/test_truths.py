import numpy as np
import pytest

from experiments.benchmarks.outer_loop.truths import FAMILIES, make_truth, maximise


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("index", range(len(FAMILIES)))
def test_a_truth_is_standardised_and_nothing_is_above_its_optimum(k, index):
    truth = make_truth(k, index)
    X = np.random.default_rng(7).dirichlet(np.ones(k), 20_000)
    values = truth(X)
    assert values.mean() == pytest.approx(0.0, abs=0.05)
    assert values.std() == pytest.approx(1.0, abs=0.05)
    assert truth.optimum.sum() == pytest.approx(1.0)
    assert (truth.optimum >= 0).all()
    assert truth(truth.optimum[None])[0] == pytest.approx(truth.best)
    sparse = np.random.default_rng(8).dirichlet(np.full(k, 0.1), 20_000)
    assert max(values.max(), truth(sparse).max(), truth(np.eye(k)).max()) <= truth.best + 1e-6


def test_known_optima_are_found():
    uniform = np.random.default_rng(0).dirichlet(np.ones(4), 4096)
    inside, outside = np.array([0.37, 0.21, 0.3, 0.12]), np.array([0.8, 0.6, -0.2, -0.2])
    found = maximise(lambda X: -((X - inside) ** 2).sum(axis=1), 4, uniform)
    np.testing.assert_allclose(found, inside, atol=1e-3)
    # The nearest point of the simplex to one that is outside of it.
    found = maximise(lambda X: -((X - outside) ** 2).sum(axis=1), 4, uniform)
    np.testing.assert_allclose(found, [0.6, 0.4, 0.0, 0.0], atol=1e-3)


def test_a_corner_is_best_in_its_family():
    corners = [make_truth(5, index) for index in range(1, 21, len(FAMILIES))]
    assert {truth.family for truth in corners} == {"corner"}
    assert all(truth.optimum.max() == pytest.approx(1.0) for truth in corners)
    assert len({int(truth.optimum.argmax()) for truth in corners}) > 1
