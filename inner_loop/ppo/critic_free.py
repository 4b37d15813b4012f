"""Advantages without a critic, from the dense rewards of several responses to one prompt: RLOO and GRPO.

Notation: r_{i,t} is the reward of token t of response i (KL price subtracted), T_i its length, g the group: the
responses to one prompt. With d = gamma * lambda, the reward-to-go is

    G_{i,t} = sum_{s >= t} d^(s - t) r_{i,s},        and G_{i,t} = G_{i,T_i - 1} beyond the end (t >= T_i),

    RLOO  A_{i,t} = G_{i,t} - mean_{j != i} G_{j,t}
    GRPO  A_{i,t} = (G_{i,t} - mean_j G_{j,t}) / (std_j sum_s r_{j,s} + 1e-4)

so every token is compared with what the other responses still had to come at the same place.

**Sparse rewards give the textbook.** With r only on the last token and d = 1, G_{i,t} is the score R_i at every t
(beyond the end too, which is why it is held there): A_{i,t} = R_i - mean_{j != i} R_j, eq. (7) of [Ahmadian2024]_, and
(R_i - mean_j R_j) / std_j R_j, section 4.1.2 of [Shao2024]_, with the sample deviation and the 1e-4 of TRL.

**Bias.** Given the prompt, the other responses are independent of response i, so RLOO's baseline, at whatever place it
is read, takes nothing from the expected gradient. What reward-to-go leaves out is a matter of the credit: if r_{i,s}
depends on tokens <= s only (sparse, prefix, the KL), past rewards have no gradient through later tokens and nothing is
lost; SHAP, LIME and attention credit depends on the whole response, and dropping the past biases the gradient, as it
does in PPO. With d < 1 later rewards are discounted away too, and no critic makes up for it: more bias, less variance.
GRPO's mean includes the response itself, which only scales the gradient by (g - 1) / g; its division by the group's
deviation is a bias of its own, towards prompts whose responses score alike.

.. [Ahmadian2024] Back to Basics: Revisiting REINFORCE Style Optimization for RLHF. arXiv:2402.14740.
.. [Shao2024] DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models. arXiv:2402.03300.
"""

import torch
from torch import Tensor

from inner_loop.ppo.advantages import discounted_sums, is_last_token

GRPO_EPS = 1e-4
"""Added to the deviation of a group's scores, as TRL's GRPOTrainer does: equal scores give zero, not infinity."""


def rloo_advantages(rewards: Tensor, response_mask: Tensor, *, groups: Tensor, decay: float) -> Tensor:
    """Reward-to-go minus the mean of the group's other responses at the same token.

    Args:
        rewards: `b x t` token rewards.
        response_mask: `b x t`, True on response tokens; everything else is read as zero.
        groups: `b` numbers, equal for the responses to one prompt. A response alone in its group has no advantage.
        decay: gamma * lambda; 1 for the textbook's.

    Returns:
        `b x t` advantages, zero where the mask is False.
    """
    to_go = rewards_to_go(rewards, response_mask, decay)
    return Groups(groups).less_others(to_go).masked_fill(~response_mask, 0.0)


def grpo_advantages(rewards: Tensor, response_mask: Tensor, *, groups: Tensor, decay: float) -> Tensor:
    """Reward-to-go minus the group's mean at the same token, over the standard deviation of the group's sums.

    Arguments and result are those of `rloo_advantages`.
    """
    to_go, members = rewards_to_go(rewards, response_mask, decay), Groups(groups)
    scale = members.deviations(rewards.masked_fill(~response_mask, 0.0).sum(dim=1)) + GRPO_EPS
    return (members.centred(to_go) / scale.unsqueeze(1)).masked_fill(~response_mask, 0.0)


def rewards_to_go(rewards: Tensor, response_mask: Tensor, decay: float) -> Tensor:
    """`b x t` rewards-to-go; beyond the end of a response, what its last token had."""
    to_go = discounted_sums(rewards.masked_fill(~response_mask, 0.0), decay)
    held = to_go.masked_fill(~is_last_token(response_mask), 0.0).sum(dim=1, keepdim=True)
    return torch.where(response_mask, to_go, held)


class Groups:
    """Which rows belong together, and what is said of a row by those it belongs to.

    Args:
        groups: `b` numbers, equal for rows of one group, in any order.
    """

    def __init__(self, groups: Tensor) -> None:
        _, self._members = torch.unique(groups, return_inverse=True)
        self._n_groups = int(self._members.max()) + 1 if len(groups) else 0
        self.sizes: Tensor = self.sums(torch.ones(len(groups), device=groups.device))
        """`b` sizes of each row's group."""

    def sums(self, x: Tensor) -> Tensor:
        """For each row of `b x ...`, the sum over its group."""
        per_group = x.new_zeros(self._n_groups, *x.shape[1:]).index_add_(0, self._members, x)
        return per_group[self._members]

    def centred(self, x: Tensor) -> Tensor:
        """`b x ...` less the mean of each row's group."""
        sizes = self.sizes.reshape(-1, *[1] * (x.dim() - 1))
        return x - self.sums(x) / sizes

    def less_others(self, x: Tensor) -> Tensor:
        """`b x ...` less the mean of the others of each row's group; zero if there are none."""
        # x - (sum - x) / (n - 1) = (x - mean) n / (n - 1)
        sizes = self.sizes.reshape(-1, *[1] * (x.dim() - 1))
        return self.centred(x) * sizes / (sizes - 1).clamp(min=1)

    def deviations(self, x: Tensor) -> Tensor:
        """For each row of `b x ...`, the sample deviation of its group; zero if it is alone."""
        sizes = self.sizes.reshape(-1, *[1] * (x.dim() - 1))
        return (self.sums(self.centred(x) ** 2) / (sizes - 1).clamp(min=1)).sqrt()
