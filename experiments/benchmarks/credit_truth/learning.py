"""How fast a tabular policy learns a fork from the credit of one component: the clipped updates of PPO, no critic yet.

A critic starts at zero, and what it learns is another matter, so that it stays zero here; advantages are whitened, as
always. The policy has a logit for each word after each beginning. Learning speed is the mean over the steps of the
expected reward, which is computed from the policy, not sampled: 0 for no progress, and 1 at best.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.benchmarks.credit_truth.estimators import LAMBDAS
from experiments.benchmarks.credit_truth.forks import N_WORDS, Fork
from inner_loop.ppo.advantages import MIN_STD
from inner_loop.ppo.losses import policy_loss

COMPONENTS = ("shap", "lime", "owen", "prefix", "leave_one_out", "solo", "uniform", "sparse")
"""All but `entropy`, which would change with the policy."""
N_SEEDS, STEPS, ROLLOUT, EPOCHS = 64, 20, 4, 2
LEARNING_RATE, CLIP_RANGE = 0.03, 0.2
SETTINGS = {
    "seeds": N_SEEDS,
    "first_seed": 0,
    "steps": STEPS,
    "rollout": ROLLOUT,
    "epochs": EPOCHS,
    "learning_rate": LEARNING_RATE,
    "clip_range": CLIP_RANGE,
}


def learn(fork: Fork, credit: np.ndarray, gae_lambda: float, *, n_seeds: int = N_SEEDS, steps: int = STEPS) -> float:
    """Mean learning speed over seeds.

    Args:
        fork: What is learned.
        credit: `n x T` of its responses.
        gae_lambda: Decay of the advantages.
        n_seeds: Trainings, all at once.
        steps: Of each.
    """
    generator = torch.Generator().manual_seed(0)
    nodes, actions, is_open = _places(fork)
    advantages = torch.from_numpy(fork.estimate(credit, "zero", gae_lambda))
    rewards = torch.from_numpy(fork.rewards)
    logits = torch.zeros(n_seeds, *is_open.shape, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=LEARNING_RATE)
    mask = torch.ones(n_seeds * ROLLOUT, N_WORDS, dtype=torch.bool)

    def logprobs() -> torch.Tensor:
        table = torch.log_softmax(logits.masked_fill(~is_open, float("-inf")), dim=-1)
        return table[:, nodes, actions]  # s x n x t

    speeds = []
    for _ in range(steps):
        with torch.no_grad():
            old = logprobs()
            chosen = torch.multinomial(old.sum(dim=-1).exp(), ROLLOUT, replacement=True, generator=generator)
            seeds = torch.arange(n_seeds).unsqueeze(1)
            sampled = advantages[chosen].flatten(1)
            spread = sampled.std(dim=1, keepdim=True, correction=0).clamp(min=MIN_STD)
            whitened = ((sampled - sampled.mean(dim=1, keepdim=True)) / spread).reshape(-1, N_WORDS)
            before = old[seeds, chosen].flatten(0, 1)
        for _ in range(EPOCHS):
            optimizer.zero_grad()
            now = logprobs()[seeds, chosen].flatten(0, 1)
            loss, _ = policy_loss(now, before, whitened, mask, clip_range=CLIP_RANGE)
            # The mean over all trainings, of which each is to have its own gradient.
            (loss * n_seeds).backward()
            optimizer.step()
        with torch.no_grad():
            speeds.append((logprobs().sum(dim=-1).exp() @ rewards).mean().item())
    return float(np.mean(speeds))


def measure(forks: list[Fork], *, n_seeds: int = N_SEEDS, steps: int = STEPS) -> list[dict[str, Any]]:
    """A row per fork, component and lambda."""
    return [
        {
            "kind": fork.kind,
            "place": fork.place,
            "component": name,
            "lambda": value,
            "speed": learn(fork, credit[name], value, n_seeds=n_seeds, steps=steps),
        }
        for fork in forks
        for credit in [fork.credit()]
        for name in COMPONENTS
        for value in LAMBDAS
    ]


def _places(fork: Fork) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`n x T` rows and columns of the logits of each response's words, and which logits there are."""
    counts = fork.prefixes[:N_WORDS].max(axis=1) + 1
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    nodes = (fork.prefixes[:N_WORDS] + starts[:, None]).T
    actions = np.array([[fork.choices(words[:t]).index(words[t]) for t in range(N_WORDS)] for words in fork.responses])
    is_open = np.zeros((int(counts.sum()), int(fork.n_choices.max())), dtype=bool)
    is_open[nodes, actions] = True
    return torch.from_numpy(nodes), torch.from_numpy(actions), torch.from_numpy(is_open)
