import doctest

import numpy as np
import pytest

from inner_loop import ShapingFunction
from inner_loop.integrations import several_rewards
from inner_loop.integrations.several_rewards import SeveralRewards
from inner_loop.integrations.token_rewards import shape_tokens
from tests.inner_loop.tiny_classifiers import byte_tokenizer

PROMPTS, RESPONSES = ["it is", "it is"], [" a good 7 film", " bad"]
LIKES_GOOD = ShapingFunction({"shap": 1.0}, reward_model=lambda texts: [float(text.count("good")) for text in texts])


def is_short(prompts, responses):
    return [float(len(response) < 10) for response in responses]


def no_digits(prompts, responses):
    return [[(i, i + 1, -1.0) for i, c in enumerate(text) if c.isdigit()] for text in responses]


def test_the_example():
    assert doctest.testmod(several_rewards).failed == 0


def test_each_reward_pays_its_own_tokens_and_is_conserved():
    several = SeveralRewards({"good": (2.0, LIKES_GOOD), "short": (0.5, is_short), "digits": (1.0, no_digits)})
    first, second = several(PROMPTS, RESPONSES)
    np.testing.assert_allclose(first.components["good"], [0, 2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(first.components["digits"], [0, 0, -1, 0])
    np.testing.assert_allclose(first.components["short"], [0, 0, 0, 0])
    np.testing.assert_allclose(first.rewards, [0, 2, -1, 0], atol=1e-6)
    np.testing.assert_allclose(second.rewards, [0.5], atol=1e-6)
    assert (first.score, second.score) == pytest.approx((1.0, 0.5))
    assert first.n_evaluations > 0


def test_a_score_that_is_given_is_what_rewards_sum_to():
    [shaped] = SeveralRewards({"digits": (1.0, no_digits)})(PROMPTS[:1], RESPONSES[:1], [5.0])
    np.testing.assert_allclose(shaped.rewards, [0, 0, -1, 6.0])
    assert shaped.score == 5.0


def test_with_a_discount_every_reward_has_its_discounted_sum():
    good = ShapingFunction({"shap": 1.0}, gamma=0.5, reward_model=LIKES_GOOD.reward_model)
    [shaped] = SeveralRewards({"good": (2.0, good), "digits": (1.0, no_digits)}, gamma=0.5)(PROMPTS[:1], RESPONSES[:1])
    np.testing.assert_allclose(shaped.rewards, [0, 2 * 0.25, -0.5, 0], atol=1e-6)
    np.testing.assert_allclose(shaped.components["good"], [0, 2, 0, 0], atol=1e-6)


def test_trainers_take_it_for_a_shaping_function():
    tokenizer = byte_tokenizer()
    ids = [*tokenizer(RESPONSES[0])["input_ids"], tokenizer.eos_token_id]
    several = SeveralRewards(
        {"good": (1.0, LIKES_GOOD), "short": (1.0, lambda p, r: [3.0]), "digits": (1.0, no_digits)}
    )
    [shaped] = shape_tokens(several, tokenizer, PROMPTS[:1], [tokenizer("it is")["input_ids"]], [ids])
    tokens = tokenizer.tokenize(RESPONSES[0])
    assert shaped.rewards[tokens.index("Ġgood")] == pytest.approx(1.0)
    assert shaped.rewards[tokens.index("7")] == pytest.approx(-1.0)
    assert shaped.rewards[-1] == pytest.approx(3.0)  # the end of sequence
    assert np.count_nonzero(np.abs(shaped.rewards) > 1e-6) == 3


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="At least one reward"):
        SeveralRewards({})
    with pytest.raises(ValueError, match=r"Reward 'good' was made for gamma 1.0, not 0.9"):
        SeveralRewards({"good": (1.0, LIKES_GOOD)}, gamma=0.9)
    with pytest.raises(ValueError, match="Reward 'one' gave 1 rewards for 2 responses"):
        SeveralRewards({"one": (1.0, lambda prompts, responses: [1.0])})(PROMPTS, RESPONSES)
    with pytest.raises(ValueError, match="Reward 'far': 2 to 99 is no part of response 0, of 14 characters"):
        SeveralRewards({"far": (1.0, lambda prompts, responses: [[(2, 99, 1.0)], []])})(PROMPTS, RESPONSES)
