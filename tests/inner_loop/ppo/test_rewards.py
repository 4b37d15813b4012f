import torch

from inner_loop.ppo.rewards import charge_cut_responses, pad_rewards
from inner_loop.shaping import ShapingFunction

MASK = torch.tensor([[True, True, False], [True, False, False], [True, True, True]])


def test_rewards_are_padded_row_by_row():
    shaping = ShapingFunction({"sparse": 1.0})
    shaped = shaping(["x", "y", "z"], [" a b", " c", " d e f"], [2.0, 3.0, 4.0], token_ends=[[2, 4], [2], [2, 4, 6]])
    assert pad_rewards(shaped, MASK).tolist() == [[0, 2, 0], [3, 0, 0], [0, 0, 4]]


def test_only_cut_responses_are_charged_and_on_their_last_token():
    rewards, finished = torch.ones(3, 3), torch.tensor([False, True, False])
    assert charge_cut_responses(rewards, MASK, finished, 0.5).tolist() == [[1, 0.5, 1], [1, 1, 1], [1, 1, 0.5]]
    charges = torch.tensor([2.0, 4.0, 8.0])
    assert charge_cut_responses(rewards, MASK, finished, charges).tolist() == [[1, -1, 1], [1, 1, 1], [1, 1, -7]]
