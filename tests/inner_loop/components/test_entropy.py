import numpy as np
import pytest

from inner_loop import ShapingFunction
from inner_loop.components import Spread, TokenFacts
from inner_loop.components.entropy import Entropy
from inner_loop.errors import AttributionError

ENDS = np.array([3, 5, 9])


def spread(entropy, score=6.0):
    nothing = np.zeros(len(entropy))
    return Spread(score, ENDS, None, token_facts=TokenFacts(nothing, nothing, np.array(entropy)))


def test_a_token_is_paid_its_share_of_the_entropy():
    np.testing.assert_allclose(Entropy().token_credit(spread([1.0, 0.0, 2.0])), [2.0, 0.0, 4.0])
    np.testing.assert_allclose(Entropy().token_credit(spread([1.0, 0.0, 2.0], score=-3.0)), [-1.0, 0.0, -2.0])


def test_a_policy_that_was_never_undecided_leaves_the_sparse_reward():
    assert Entropy().token_credit(spread([0.0, 0.0, 0.0])).tolist() == [0.0, 0.0, 6.0]


def test_without_a_policy_it_says_what_it_needs():
    shaping = ShapingFunction({"entropy": 1.0}, reward_model=lambda texts: [1.0] * len(texts))
    with pytest.raises(AttributionError, match="pass token_facts"):
        shaping(["a"], [" b c"], [1.0], token_ends=[[2, 4]])


def test_facts_of_other_tokens_are_refused():
    shaping = ShapingFunction({"entropy": 1.0}, reward_model=lambda texts: [1.0] * len(texts))
    facts = TokenFacts(*np.ones((3, 3)))
    with pytest.raises(ValueError, match="Response 0 has 2 tokens, and facts of 3"):
        shaping(["a"], [" b c"], [1.0], token_ends=[[2, 4]], token_facts=[facts])
    with pytest.raises(ValueError, match="'token_facts': 2"):
        shaping(["a"], [" b c"], [1.0], token_ends=[[2, 4]], token_facts=[facts] * 2)
