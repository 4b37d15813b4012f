import numpy as np
import pytest

from experiments.benchmarks.outer_loop.methods import OPTIMISER, PROPOSER, AxDefault, Ours, code_of, make_method
from experiments.benchmarks.outer_loop.problems import make_problem
from experiments.benchmarks.outer_loop.studies import METHODS


@pytest.fixture
def problem():
    return make_problem("k=3", 0)


@pytest.mark.parametrize("name", METHODS)
def test_points_are_on_the_simplex(name, problem):
    if name.startswith("Optuna"):
        pytest.importorskip("optuna")
    method = make_method(name, problem, seed=3)
    for trial in range(4):
        x, seed = method.ask()
        assert x.shape == (3,)
        assert x.sum() == pytest.approx(1.0)
        assert (x >= 0).all()
        assert isinstance(seed, int)
        method.tell(*problem.observe(x, trial, None))


@pytest.mark.parametrize("name", ["Sobol", "random"])
def test_those_without_a_model_recommend_the_best_observation(name, problem):
    method = make_method(name, problem, seed=0)
    points = []
    for reward in (0.0, 3.0, 1.0):
        points.append(method.ask()[0])
        method.tell(reward, 0.0)
    np.testing.assert_array_equal(method.recommend(), points[1])


def test_random_points_are_uniform_on_the_simplex(problem):
    method = make_method("random", problem, seed=0)
    X = np.array([method.ask()[0] for _ in range(4000)])
    # A uniform point of the simplex has weights of mean 1/3 and variance 1/18.
    np.testing.assert_allclose(X.mean(axis=0), 1 / 3, atol=0.02)
    np.testing.assert_allclose(X.var(axis=0), 1 / 18, atol=0.005)


def test_ours_is_the_code_of_a_study(problem):
    method = Ours(problem, seed=7)
    first, seed = method.ask()
    # Pure sparse is the first arm of every study, and the study's seed its first seed.
    assert (first.tolist(), seed) == ([0.0, 0.0, 1.0], 7)
    method.tell(0.0, 4.0)
    for trial in range(1, 6):
        method.tell(*problem.observe(method.ask()[0], trial, None))
    assert method.recommend().sum() == pytest.approx(1.0)
    assert all(0 <= low <= high <= 1 for low, high in method.intervals())


def test_a_trial_that_is_attached_to_ax_is_the_one_that_was_given(problem):
    method = AxDefault(problem, seed=0)
    method.attach(np.array([0.2, 0.3, 0.5]), 1.0)
    method.attach(np.array([0.6, 0.3, 0.1]), 0.0)
    np.testing.assert_allclose(method.recommend(), [0.2, 0.3, 0.5])


def test_code_changes_with_the_modules_it_is_made_of():
    assert code_of(OPTIMISER) == code_of(OPTIMISER[::-1])
    assert code_of(OPTIMISER) != code_of(PROPOSER) != code_of(OPTIMISER[1:])
