import numpy as np
import pytest

from experiments.benchmarks.outer_loop.problems import NOISE_SD, TabulatedProblem, as_point, make_problem
from experiments.benchmarks.outer_loop.surface import Surface


@pytest.fixture
def table():
    """Two seeds; the best node is at weights (0, 1, 0) and the second lambda."""
    rng = np.random.default_rng(0)
    reward = rng.normal(size=(2, 3, 2))
    reward[:, 1, 1] = 5.0, 6.0
    return Surface(
        components=("shap", "lime", "sparse"),
        mixtures=np.eye(3),
        lambdas=np.array([0.5, 1.0]),
        seeds=(0, 1),
        reward=reward,
        sem=np.ones_like(reward),
        kl=reward + 3,
        curve_steps=(0,),
        reward_curve=reward[..., None],
        kl_curve=reward[..., None],
        unfinished_reward=np.empty((0, 3, 2)),
    )


@pytest.mark.parametrize("kind", ["k=3", "k=5"])
def test_regret_is_zero_at_the_optimum_and_one_on_average(kind):
    problem = make_problem(kind, 6)
    assert problem.regret(problem.optimum) == 0.0
    X = np.random.default_rng(0).dirichlet(np.ones(len(problem.components)), 4000)
    assert np.mean([problem.regret(x) for x in X]) == pytest.approx(1.0, abs=0.05)


def test_runs_of_one_seed_share_half_of_the_noise_variance():
    noise = {False: [], True: []}
    for index in range(1500):
        problem = make_problem("k=3", 0)
        problem = type(problem)(problem.truth, index)
        centre = np.full(3, 1 / 3)
        expected = problem.truth(centre[None])[0]
        for common in noise:
            pair = [problem.observe(centre, trial, 0 if common else None)[0] - expected for trial in (0, 1)]
            noise[common].append(pair)
    for common, correlation in ((False, 0.0), (True, 0.5)):
        assert np.std(noise[common]) == pytest.approx(NOISE_SD, rel=0.05)
        assert np.corrcoef(np.array(noise[common]).T)[0, 1] == pytest.approx(correlation, abs=0.06)


def test_all_methods_meet_the_same_noise():
    problem, twin = make_problem("k=5", 3), make_problem("k=5", 3)
    x = problem.optimum
    assert problem.observe(x, 4, None) == twin.observe(x, 4, None)
    assert problem.observe(x, 4, None) != problem.observe(x, 5, None)


def test_the_table_is_observed_seed_by_seed_and_judged_by_its_mean(table):
    problem = TabulatedProblem(table, 0)
    np.testing.assert_array_equal(problem.optimum, [0, 1, 0, 1.0])
    assert problem.parameters == {"gae_lambda": (0.5, 1.0)}
    assert problem.observe(problem.optimum, 0, 1) == (6.0, 9.0)
    assert problem.observe(problem.optimum, 0, 2) == (5.0, 8.0)
    drawn = {problem.observe(problem.optimum, trial, None)[0] for trial in range(20)}
    assert drawn == {5.0, 6.0}
    assert problem.regret(problem.optimum) == 0.0
    mean = table.reward.mean(axis=0)
    corner = np.array([1.0, 0.0, 0.0, 0.5])
    assert problem.regret(corner) == pytest.approx((5.5 - mean[0, 0]) / (5.5 - mean.mean()))


def test_weights_are_clipped_and_normalised():
    np.testing.assert_allclose(as_point(make_problem("k=3", 0), [-1e-16, 1.0, 1.0]), [0, 0.5, 0.5])
