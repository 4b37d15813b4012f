"""The benchmark's own mathematics: against autograd, brute force and a two-token example done by hand."""

from itertools import combinations

import numpy as np
import pytest
import torch

from experiments.benchmarks.attribution.exact import exact_lime, exact_owen
from experiments.benchmarks.gradient_bias.credit import COMPONENTS, all_credit, attributed
from experiments.benchmarks.gradient_bias.estimators import (
    CRITICS,
    causal_projection,
    centre,
    centred_gae,
    centred_head,
    critic_values,
    estimate_worth,
    gae,
    leave_one_out,
    past_credit_revision,
)
from experiments.benchmarks.gradient_bias.games import GAMES, coalition_values, draw_dividends
from experiments.benchmarks.gradient_bias.moments import mean_gradient, moments
from experiments.benchmarks.gradient_bias.toy import Toy, all_responses, make_toy, prefix_indicators

VOCABULARY, N_TOKENS = 3, 4
EXACT = {"rtol": 0, "atol": 1e-12}
"""Sums of some hundred float64 terms of order one."""


@pytest.fixture(params=["tabular", "shared"])
def toy(request):
    return make_toy(request.param, VOCABULARY, N_TOKENS, np.random.default_rng(0))


@pytest.fixture
def values(toy):
    """A game with interactions of every order, and a base value."""
    dividends = draw_dividends("order", VOCABULARY, N_TOKENS, np.random.default_rng(1))
    return coalition_values(dividends, toy.tokens) + 0.7


@pytest.fixture
def credit(toy, values):
    return all_credit(toy, values)


@pytest.fixture
def truth(toy, values):
    return toy.true_gradient(values[:, -1])


def advantages_of(toy, credit, critic, gae_lambda):
    return gae(credit, critic_values(toy, credit, critic), gae_lambda)


# The policy


def test_probabilities_of_all_responses_sum_to_one(toy):
    assert len(toy.tokens) == VOCABULARY**N_TOKENS
    np.testing.assert_allclose(toy.probabilities.sum(), 1.0, **EXACT)


def log_probabilities(toy, theta):
    logprobs = torch.log_softmax(torch.from_numpy(toy.features) @ theta, dim=-1)
    return logprobs.gather(-1, torch.from_numpy(toy.tokens.T)[..., None]).squeeze(-1)


def test_the_true_gradient_is_that_of_autograd(toy, values, truth):
    theta = torch.tensor(toy.theta, requires_grad=True)
    (log_probabilities(toy, theta).sum(dim=0).exp() * torch.from_numpy(values[:, -1])).sum().backward()
    np.testing.assert_allclose(truth, theta.grad.ravel(), **EXACT)


def test_the_gradient_of_every_token_is_that_of_autograd(toy):
    theta = torch.tensor(toy.theta, requires_grad=True)
    logprobs = log_probabilities(toy, theta)
    for t, n in ((0, 3), (1, 50), (N_TOKENS - 1, 80)):
        [gradient] = torch.autograd.grad(logprobs[t, n], theta, retain_graph=True)
        np.testing.assert_allclose(toy.scores[t, n], gradient.ravel(), **EXACT)


def test_expectations_given_a_prefix_average_over_its_continuations(toy, values):
    prefix = (toy.tokens[:, :2] == [2, 0]).all(axis=1)
    by_hand = np.average(values[prefix, -1], weights=toy.probabilities[prefix])
    np.testing.assert_allclose(toy.expectation(values[:, -1], 2)[prefix], by_hand, **EXACT)


# The games and their credit


@pytest.mark.parametrize("kind", GAMES)
def test_a_coalition_is_worth_the_same_whatever_the_absent_tokens(kind):
    tokens = all_responses(VOCABULARY, N_TOKENS)
    table = coalition_values(draw_dividends(kind, VOCABULARY, N_TOKENS, np.random.default_rng(0)), tokens)
    first_and_third = 0b0101
    same = (tokens[:, [0, 2]] == [1, 2]).all(axis=1)
    assert np.ptp(table[same, first_and_third]) == 0.0
    assert np.ptp(table[:, -1]) > 0.0


def test_every_component_sums_to_the_reward(credit, values):
    assert tuple(credit) == COMPONENTS
    for component in credit.values():
        np.testing.assert_allclose(component.sum(axis=1), values[:, -1], **EXACT)


def dividends_of(table):
    """Moebius inverse of one response's `2^T` values."""
    return {
        group: sum(
            (-1) ** (len(group) - size) * table[sum(1 << t for t in part)]
            for size in range(len(group) + 1)
            for part in combinations(group, size)
        )
        for size in range(1, N_TOKENS + 1)
        for group in combinations(range(N_TOKENS), size)
    }


@pytest.mark.parametrize(("component", "share"), [("shap", "equal"), ("prefix", "last")])
def test_shapley_shares_interactions_equally_and_prefix_gives_them_to_the_last_member(
    toy, values, credit, component, share
):
    for n in (0, 40, 80):
        expected = np.zeros(N_TOKENS)
        for group, dividend in dividends_of(values[n]).items():
            members = group if share == "equal" else group[-1:]
            expected[list(members)] += dividend / len(members)
        expected[-1] += values[n, 0]
        np.testing.assert_allclose(credit[component][n], expected, **EXACT)


def test_lime_and_owen_credit_is_that_of_their_definitions(values, credit):
    for n in (0, 40, 80):
        lime = exact_lime(values[n])
        lime += (values[n, -1] - values[n, 0] - lime.sum()) / N_TOKENS
        owen = exact_owen(values[n], np.array([[0, 1, 0, 0], [2, 3, 0, 0], [4, 5, 0, 0]]))
        for component, expected in (("lime", lime), ("owen", owen)):
            expected[-1] += values[n, 0]
            np.testing.assert_allclose(credit[component][n], expected, **EXACT)


# The two-token example: reward 1 for the tokens (1, 1), a fair coin for each token.


@pytest.fixture
def two_tokens():
    tokens = all_responses(2, 2)
    toy = Toy(tokens, prefix_indicators(tokens, 2), np.zeros((3, 2)))
    return toy, coalition_values({(0, 1): np.array([[0.0, 0.0], [0.0, 1.0]])}, tokens)


def test_shapley_credit_halves_the_second_tokens_gradient_of_a_two_token_bonus(two_tokens):
    # Parameters: logits of token 0, of token 1 after 0, of token 1 after 1, for the actions 0 and 1. P(1, 1) = 1/4, and
    # grad log pi = +-1/2. Shapley pays 1/2 to each token: the first one's reward-to-go is R, the second one's R / 2.
    toy, values = two_tokens
    shapley = gae(attributed("shap", values), np.zeros((4, 2)), 1.0)
    np.testing.assert_allclose(toy.true_gradient(values[:, -1]), [-1 / 8, 1 / 8, 0, 0, -1 / 8, 1 / 8], **EXACT)
    np.testing.assert_allclose(mean_gradient(toy, shapley), [-1 / 8, 1 / 8, 0, 0, -1 / 16, 1 / 16], **EXACT)


def test_the_bias_of_the_two_token_bonus_is_known(two_tokens):
    toy, values = two_tokens
    shapley = gae(attributed("shap", values), np.zeros((4, 2)), 1.0)
    result = moments(toy, shapley, toy.true_gradient(values[:, -1]))
    assert result.bias == pytest.approx(np.sqrt(2) / 4, abs=1e-12)
    assert result.cosine == pytest.approx(3 / np.sqrt(10), abs=1e-12)


# What is unbiased, and what is not


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("component", ["sparse", "prefix", "oracle"])
def test_causal_credit_is_unbiased_at_lambda_one_with_any_critic(toy, credit, truth, component, critic):
    mean = mean_gradient(toy, advantages_of(toy, credit[component], critic, 1.0))
    np.testing.assert_allclose(mean, truth, **EXACT)


@pytest.mark.parametrize("gae_lambda", [0.0, 0.8])
def test_with_an_exact_critic_prefix_and_sparse_advantages_are_the_same(toy, credit, gae_lambda):
    prefix = advantages_of(toy, credit["prefix"], "exact", gae_lambda)
    np.testing.assert_allclose(prefix, advantages_of(toy, credit["sparse"], "exact", gae_lambda), **EXACT)


@pytest.mark.parametrize("component", ["uniform", "shap", "lime", "owen"])
def test_credit_that_sees_the_whole_response_is_biased(toy, credit, truth, component):
    assert moments(toy, advantages_of(toy, credit[component], "exact", 1.0), truth).bias > 0.02


@pytest.mark.parametrize("gae_lambda", [0.0, 0.8])
def test_with_an_exact_critic_the_bias_is_the_same_at_every_lambda(toy, credit, gae_lambda):
    mean = mean_gradient(toy, advantages_of(toy, credit["shap"], "exact", gae_lambda))
    np.testing.assert_allclose(mean, mean_gradient(toy, advantages_of(toy, credit["shap"], "zero", 1.0)), **EXACT)


def test_shapley_credit_of_an_additive_game_is_unbiased(toy):
    dividends = draw_dividends("additive", VOCABULARY, N_TOKENS, np.random.default_rng(2))
    values = coalition_values(dividends, toy.tokens)
    mean = mean_gradient(toy, advantages_of(toy, attributed("shap", values), "zero", 1.0))
    np.testing.assert_allclose(mean, toy.true_gradient(values[:, -1]), **EXACT)


def test_the_bias_of_a_mixture_is_the_mixture_of_the_biases(toy, credit, truth):
    weights = {"shap": 0.5, "uniform": 0.2, "sparse": 0.3}
    mixture = sum(weight * credit[name] for name, weight in weights.items())
    biases = [w * (mean_gradient(toy, gae(credit[name], 0 * mixture, 1.0)) - truth) for name, w in weights.items()]
    np.testing.assert_allclose(mean_gradient(toy, gae(mixture, 0 * mixture, 1.0)) - truth, sum(biases), **EXACT)


def test_leave_one_out_is_biased_for_an_autoregressive_policy(toy, values, truth):
    assert moments(toy, leave_one_out(values), truth).bias > 0.1


# What mends the bias, or the variance


@pytest.mark.parametrize("gae_lambda", [0.0, 0.8, 1.0])
def test_an_exact_critic_of_past_credit_removes_the_bias(toy, credit, truth, gae_lambda):
    advantages = advantages_of(toy, credit["shap"], "exact", gae_lambda)
    mended = advantages + past_credit_revision(toy, credit["shap"], "exact")
    np.testing.assert_allclose(mean_gradient(toy, mended), truth, **EXACT)


def test_projecting_credit_without_paying_the_rest_leaves_the_bias_as_it_was(toy, credit):
    shap = credit["shap"]
    projected = np.stack([toy.expectation(shap[:, t], t + 1) for t in range(N_TOKENS)], axis=1)
    zero = np.zeros_like(shap)
    expected = mean_gradient(toy, gae(shap, zero, 1.0))
    np.testing.assert_allclose(mean_gradient(toy, gae(projected, zero, 1.0)), expected, **EXACT)


@pytest.mark.parametrize("critic", CRITICS)
def test_projected_credit_with_the_rest_on_the_last_token_is_unbiased(toy, credit, truth, critic):
    projected = causal_projection(toy, credit["shap"], critic)
    np.testing.assert_allclose(mean_gradient(toy, gae(projected, 0 * projected, 1.0)), truth, **EXACT)


@pytest.mark.parametrize("gae_lambda", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("component", ["sparse", "shap"])
def test_centring_changes_no_expectation_whatever_the_worths(toy, credit, component, gae_lambda):
    values = critic_values(toy, credit[component], "position")
    centred = centre(toy, np.random.default_rng(3).normal(size=(N_TOKENS, VOCABULARY)))
    expected = mean_gradient(toy, gae(credit[component], values, gae_lambda))
    mean = mean_gradient(toy, centred_gae(credit[component], values, centred, gae_lambda))
    np.testing.assert_allclose(mean, expected, **EXACT)


def test_centring_takes_out_the_noise_of_later_tokens(toy):
    # An additive game whose worths are known: what is left of a later token is the policy's expectation of it.
    dividends = draw_dividends("additive", VOCABULARY, N_TOKENS, np.random.default_rng(2))
    rewards = coalition_values(dividends, toy.tokens)[:, -1]
    worth = np.stack([dividends[(t,)] for t in range(N_TOKENS)])
    sparse = np.zeros(toy.tokens.shape)
    sparse[:, -1] = rewards
    centred = centre(toy, worth)
    later = centred.sum(axis=1, keepdims=True) - centred.cumsum(axis=1)
    np.testing.assert_allclose(centred_gae(sparse, 0 * sparse, centred, 1.0), rewards[:, None] - later, **EXACT)
    truth, values = toy.true_gradient(rewards), critic_values(toy, sparse, "exact")
    plain, muted = (
        moments(toy, gae(sparse, values, 1.0), truth),
        moments(toy, centred_gae(sparse, values, centred, 1.0), truth),
    )
    assert muted.variance < 0.8 * plain.variance


def test_a_perfect_head_has_conditional_mean_zero(toy, credit):
    head = centred_head(toy, credit["shap"])
    for t in range(N_TOKENS):
        np.testing.assert_allclose(toy.expectation(head[:, t], t), 0.0, **EXACT)


def test_worths_are_means_over_the_responses_seen(toy):
    # Token 0 was seen once with credit 2, token 1 twice with 6.5, token 2 never; the mean, 5, counts as a sighting.
    toy = Toy(np.array([[0], [1]]), np.ones((1, 2, 1)), np.zeros((1, 3)))
    responses = np.array([0, 1, 1])
    worth = estimate_worth(toy, np.array([[2.0], [6.5]]), responses, by_position=True)
    np.testing.assert_allclose(worth, [[5 - 3 / 2, 5 + 3 / 3, 5.0]], **EXACT)
    np.testing.assert_allclose(worth, estimate_worth(toy, np.array([[2.0], [6.5]]), responses, by_position=False))


# Moments


def test_the_variance_is_the_trace_of_the_covariance(toy, credit, truth):
    advantages = advantages_of(toy, credit["lime"], "position", 0.8)
    estimates = np.einsum("nt,tnp->np", advantages, toy.scores)
    covariance = np.cov(estimates.T, aweights=toy.probabilities, ddof=0)
    result = moments(toy, advantages, truth)
    assert result.variance == pytest.approx(np.trace(covariance) / (truth @ truth), rel=1e-10)
