"""Per-token advantages from credit, as tensors: what every trainer's adapter shares.

Notation: b responses of t tokens, right-padded; c_{i,t} is the credit of token t of response i in score units, T_i the
number of its tokens, R_i its outcome: the one number that the trainer would have used, from which the baseline comes.

Two ways to bring credit into an advantage:

**Reward-to-go** (`token_advantages`). With G_{i,t} = sum_{s >= t} d^(s-t) c_{i,s}, d = gamma * lambda,

    W_{i,t} = G_{i,t} + (R_i - sum_s c_{i,s})          the worth of what is still to come; W_{i,0} = R_i where d = 1
    A_{i,t} = R_i - mean_j R_j  +  (W_{i,t} - R_i) - mean_j (W_{j,t} - R_j)  =  W_{i,t} - mean_j W_{j,t},

where GRPO divides the first difference by the group's deviation of outcomes, and the credit's part, W - R less its
mean, by that or by its own deviation over the group's tokens, whichever is larger: where all outcomes are nearly equal,
credit over next to nothing would drown every other group. The group's baseline comes from the outcomes, and credit is
added after it, centred on what the group had at the same place: without credit (all of it on the last token) every
A_{i,t} is the textbook's, whatever the lengths.

**Weights** (`advantage_weights`). Where a trainer has computed one advantage A_i and takes a factor per token:

    w_{i,t} = 1 + sign(A_i) (c_{i,t} - mean_s c_{i,s}) / max_s |c_{i,s} - mean_s c_{i,s}|,

in 0..2, of mean one over a response's tokens, so that sum_t A_i w_{i,t} = T_i A_i. In a response that is better than
its group the tokens that earned most are reinforced most; in one that is worse, the tokens that cost most are
discouraged most. Equal credit gives A_i on every token.
"""

from collections.abc import Hashable
from typing import Any, Literal

import torch
from torch import Tensor

from inner_loop.ppo.advantages import estimate_advantages, is_last_token, whiten
from inner_loop.ppo.critic_free import GRPO_EPS, Groups, rewards_to_go

Kind = Literal["grpo", "rloo", "dr_grpo", "reinforce++", "gae"]
"""Whose advantages: `dr_grpo` is GRPO without the division by the group's deviation; `reinforce++` has no groups."""


def token_advantages(
    credit: Tensor,
    mask: Tensor,
    groups: Tensor | None = None,
    *,
    kind: Kind = "grpo",
    outcomes: Tensor | None = None,
    values: Tensor | None = None,
    gamma: float = 1.0,
    gae_lambda: float = 1.0,
) -> Tensor:
    """Advantages of tokens from their credit; the formula is at the top of this module.

    Args:
        credit: `b x t` credit of each token, in score units.
        mask: `b x t`, True on the tokens that the policy wrote and is trained on; all else is read as zero.
        groups: `b` numbers, equal for the responses to one prompt, in any order; `gae` and `reinforce++` need none.
        kind: Whose advantages; `gae` is eq. (16) of Schulman et al. (arXiv:1506.02438), `reinforce++` reward-to-go
            whitened over all tokens (Hu et al., arXiv:2501.03262).
        outcomes: `b` numbers that baselines come from; None takes the sums of credit. What an outcome holds beyond
            its credit counts at every token, and a response of which no token is trained on counts for its group.
            NaN: nothing scored this response, so it gets zero and counts for nobody.
        values: `b x t` critic estimates, for `gae` alone.
        gamma: Discount per token.
        gae_lambda: Decay of the weight on later tokens, as in GAE; 1 and `gamma` 1 for the textbook's.

    Returns:
        `b x t` float32 advantages, zero where the mask is False.

    Raises:
        ValueError: If shapes differ, or `groups` or `values` are missing.
    """
    mask = mask.bool()
    credit, outcomes, is_scored = _checked(credit, mask, outcomes)
    mask = mask & is_scored.unsqueeze(1)
    rest, decay = (outcomes - credit.sum(dim=1)).unsqueeze(1), gamma * gae_lambda
    if kind in ("gae", "reinforce++"):
        rewards = torch.where(is_last_token(mask), credit + rest, credit)
        if kind == "reinforce++":
            return whiten(rewards_to_go(rewards, mask, decay), mask)
        if values is None or values.shape != credit.shape:
            raise ValueError(f"kind 'gae' needs values of the shape of credit, {tuple(credit.shape)}.")
        return estimate_advantages(values.float(), rewards, mask, gamma=gamma, gae_lambda=gae_lambda)[0]
    if groups is None or groups.shape != outcomes.shape:
        raise ValueError(f"kind {kind!r} needs groups: one number for each of the {len(credit)} responses.")
    members = Groups(_apart(groups, is_scored))
    worth = rewards_to_go(credit, mask, decay) + rest
    advantages = members.less_others(worth) if kind == "rloo" else members.centred(worth)
    if kind == "grpo":
        of_outcome = members.centred(outcomes)
        of_credit = (advantages - of_outcome.unsqueeze(1)).masked_fill(~mask, 0.0)
        squares = (of_credit**2).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        spread = (members.sums(squares) / (members.sizes - 1).clamp(min=1)).sqrt()
        deviation = members.deviations(outcomes)
        advantages = (of_outcome / (deviation + GRPO_EPS)).unsqueeze(1) + of_credit / (
            torch.maximum(deviation, spread) + GRPO_EPS
        ).unsqueeze(1)
    return advantages.masked_fill(~mask, 0.0)


def _apart(groups: Tensor, is_scored: Tensor) -> Tensor:
    """The groups, those that nothing scored each in one of its own: nobody is compared with them."""
    numbers = torch.unique(groups, return_inverse=True)[1]
    return torch.where(is_scored, numbers, len(groups) + torch.arange(len(groups), device=groups.device))


def numbered(groups: Any) -> Tensor:
    """`b` numbers, equal for equal objects: for trainers whose groups are names, which need have no order."""
    numbers: dict[Hashable, int] = {}
    objects = groups.tolist() if hasattr(groups, "tolist") else groups
    return torch.tensor([numbers.setdefault(name, len(numbers)) for name in objects])


def advantage_weights(credit: Tensor, mask: Tensor, advantages: Tensor) -> Tensor:
    """Factors of mean one by which a response's one advantage differs from token to token.

    Args:
        credit: `b x t` credit of each token, in score units.
        mask: `b x t`, True on the tokens that the policy wrote and is trained on.
        advantages: `b` advantages, of which the sign is read.

    Returns:
        `b x t` float32 weights in 0..2, of mean one where the mask is True, zero elsewhere.

    Raises:
        ValueError: If shapes differ.
    """
    mask = mask.bool()
    credit, _, _ = _checked(credit, mask, advantages)
    n_tokens = mask.sum(dim=1, keepdim=True).clamp(min=1)
    deviation = (credit - credit.sum(dim=1, keepdim=True) / n_tokens).masked_fill(~mask, 0.0)
    # Credit that differs by rounding alone does not differ.
    largest = deviation.abs().amax(dim=1, keepdim=True)
    is_flat = largest <= torch.finfo(torch.float32).eps * 8 * credit.abs().amax(dim=1, keepdim=True)
    relative = torch.where(is_flat, 0.0, deviation / largest.clamp(min=torch.finfo(torch.float32).tiny))
    return (1.0 + advantages.float().sign().unsqueeze(1) * relative).masked_fill(~mask, 0.0)


def _checked(credit: Tensor, mask: Tensor, outcomes: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Credit in float32 and zero outside the mask, outcomes, and which responses were scored."""
    if credit.dim() != 2 or credit.shape != mask.shape:
        raise ValueError(
            f"Credit and mask must have one shape, responses x tokens, got {tuple(credit.shape)} and "
            f"{tuple(mask.shape)}."
        )
    credit = credit.float().masked_fill(~mask, 0.0)
    if outcomes is None:
        outcomes = credit.sum(dim=1)
    if outcomes.shape != credit.shape[:1]:
        raise ValueError(f"One number is needed for each of {len(credit)} responses, got {tuple(outcomes.shape)}.")
    is_scored = ~outcomes.isnan()
    credit = credit.masked_fill(~is_scored.unsqueeze(1), 0.0)
    return credit, outcomes.float().nan_to_num(nan=0.0), is_scored
