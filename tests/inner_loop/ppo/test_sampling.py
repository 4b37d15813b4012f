import pytest
import torch

from inner_loop.ppo.sampling import draw, likeliest


def test_draws_follow_the_softmax():
    logits = torch.tensor([[0.0, 1.0, -2.0, 0.5]]).expand(200_000, 4)
    tokens, _, entropy = draw(logits, torch.rand(200_000, generator=torch.Generator().manual_seed(0)))
    expected = torch.softmax(logits[0], dim=0)
    counts = torch.bincount(tokens, minlength=4)
    chi_square = ((counts - 200_000 * expected) ** 2 / (200_000 * expected)).sum()
    assert chi_square < 16.3  # 99.9 % quantile with three degrees of freedom
    torch.testing.assert_close(entropy[0], torch.distributions.Categorical(logits=logits[0]).entropy())


def test_draws_at_the_ends_of_the_range_are_tokens():
    logits = torch.randn(2, 49_152, generator=torch.Generator().manual_seed(0))
    logits[:, 0] = float("-inf")
    tokens, logprobs, entropy = draw(logits, torch.tensor([0.0, 1 - 2**-24]))
    assert tokens.tolist()[0] >= 1
    assert tokens.max() < 49_152
    assert entropy.isfinite().all()
    expected = torch.log_softmax(logits, dim=-1).gather(1, tokens[:, None])[:, 0]
    torch.testing.assert_close(logprobs, expected)


LOGITS = torch.tensor([[0.15, 0.5, 0.05, 0.3]]).log()


@pytest.mark.parametrize(
    ("truncation", "kept"),
    [
        ({"top_k": 2}, [1, 3]),
        ({"top_k": 9}, [0, 1, 2, 3]),
        ({"top_p": 0.4}, [1]),
        ({"top_p": 0.79}, [1, 3]),
        ({"top_p": 0.81}, [0, 1, 3]),
        ({"top_p": 1e-6}, [1]),
        # Of the three likeliest, .5 / .95 = .526 and .3 / .95 = .316 hold .84.
        ({"top_k": 3, "top_p": 0.83}, [1, 3]),
        ({"top_k": 3, "top_p": 0.85}, [0, 1, 3]),
    ],
)
def test_the_tokens_that_can_be_drawn_by_hand(truncation, kept):
    allowed = likeliest(LOGITS, **({"top_k": None, "top_p": 1.0} | truncation))
    assert allowed[0].nonzero().flatten().tolist() == kept


def test_of_equally_likely_tokens_as_many_are_kept_as_asked_for():
    assert likeliest(torch.zeros(2, 5), top_k=3, top_p=1.0).sum(dim=1).tolist() == [3, 3]
