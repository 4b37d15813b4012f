"""Everything sampled is compared with forks, where it is known."""

import numpy as np
import pytest

from experiments.benchmarks.credit_truth.estimators import bias_halves, moments_of, quality
from experiments.benchmarks.credit_truth.forks import N_WORDS, all_forks

FORKS = {(fork.kind, fork.place): fork for fork in all_forks()}
N_SAMPLES = 400


def sampled(fork, credit, index, rng, n_scored, n_explained):
    """Scores and credit of continuations from every prefix of one response."""
    scores, rows = np.empty((N_WORDS + 1, n_scored)), np.empty((N_WORDS + 1, n_explained, N_WORDS))
    for t in range(N_WORDS + 1):
        alike = np.flatnonzero(fork.prefixes[t] == fork.prefixes[t, index])
        chances = fork.probabilities[alike] / fork.probabilities[alike].sum()
        scores[t] = fork.rewards[rng.choice(alike, n_scored, p=chances)]
        rows[t] = credit[rng.choice(alike, n_explained, p=chances)]
    rows[-1] = credit[index]
    return scores, rows


@pytest.mark.parametrize("fork", FORKS.values(), ids=[f"{kind}-{place}" for kind, place in FORKS])
def test_only_the_deciding_word_has_an_advantage(fork):
    np.testing.assert_allclose(fork.advantages[:, fork.decisive], fork.rewards, atol=1e-12)
    np.testing.assert_allclose(np.delete(fork.advantages, fork.decisive, axis=1), 0, atol=1e-12)
    assert fork.probabilities.sum() == pytest.approx(1)


def test_shapley_values_split_an_agreement_and_prefix_pays_who_decides():
    fork = FORKS["agreement", "middle"]
    credit = fork.credit()
    assert fork.on_the_decisive(credit["shap"]) == pytest.approx(0.5)
    assert fork.on_the_decisive(credit["prefix"]) == pytest.approx(1)
    # Half of the reward was paid before: E[C_<t | y_<=t] = R / 2, so the bias is -A / 2.
    shapley = quality(fork.moments(credit["shap"], "own", 1.0))
    assert (shapley.bias, shapley.kept) == pytest.approx((0.25, 0.5))
    assert quality(fork.moments(credit["prefix"], "own", 1.0)).bias == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("critic", ["own", "zero"])
@pytest.mark.parametrize("gae_lambda", [1.0, 0.7])
def test_sampled_moments_have_the_expectation_of_the_exact_ones(critic, gae_lambda):
    fork, rng = FORKS["agreement", "middle"], np.random.default_rng(0)
    credit = fork.credit()["shap"]
    [exact] = fork.moments(credit, critic, gae_lambda)
    found = []
    for index in rng.choice(len(fork.responses), N_SAMPLES, p=fork.probabilities):
        scores, rows = sampled(fork, credit, index, rng, n_scored=8, n_explained=2)
        found.append(moments_of(scores, rows, critic, gae_lambda))
    for name in ("truth", "bias", "bias_by_truth", "squared", "product"):
        values = np.array([getattr(m, name) for m in found])
        error = values.std(ddof=1) / np.sqrt(N_SAMPLES)
        assert abs(values.mean() - getattr(exact, name)) < 4 * error + 1e-9, name


def test_sparse_is_unbiased_at_lambda_one_without_any_noise():
    fork = FORKS["named", "early"]
    scores, rows = sampled(fork, fork.credit()["sparse"], 0, np.random.default_rng(0), n_scored=4, n_explained=2)
    for half in bias_halves(scores, rows, "own", 1.0):
        np.testing.assert_allclose(half[:-1], 0, atol=1e-12)
