"""One PPO step on dense rewards, from prompts to updated weights.

The rewards are whatever the `ShapingFunction` gives: the sparse reward is one corner of the simplex, on the same path.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inner_loop.errors import DivergedError
from inner_loop.ppo.actor_critic import ActorCritic, TokenBatch, token_outputs
from inner_loop.ppo.advantages import estimate_advantages, whiten
from inner_loop.ppo.kl import kl_k1
from inner_loop.ppo.losses import policy_loss, value_loss
from inner_loop.ppo.rollout import sample_rollout
from inner_loop.shaping import ShapedResponse, ShapingFunction
from inner_loop.spec import PPOConfig, StepStats
from inner_loop.task import Prompt, Task

ADAM_EPS = 1e-5
"""Larger than PyTorch's default, as in most PPO implementations: it tames the first, noisy updates."""


@dataclass
class PhaseClock:
    """Wall seconds spent per phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


class PPOTrainer:
    """Trains the policy of a task in place; everything random comes from one generator.

    Args:
        task: Policy, reference, reward model.
        shaping: Turns scores into token rewards.
        config: Hyper-parameters.
        response_tokens: Most tokens sampled per response.
        generator: Source of sampling noise and minibatch order, on the CPU.
        clock: Where the time of each phase is added up.
    """

    def __init__(
        self,
        task: Task,
        shaping: ShapingFunction,
        config: PPOConfig,
        *,
        response_tokens: int,
        generator: torch.Generator,
        clock: PhaseClock,
    ) -> None:
        self.task, self.shaping, self.config, self.clock = task, shaping, config, clock
        self._response_tokens, self._generator = response_tokens, generator
        self.actor_critic = ActorCritic(task.policy).to(task.policy.device)  # type: ignore[arg-type]
        self._optimizer = torch.optim.AdamW(
            self.actor_critic.parameters(), lr=config.learning_rate, eps=ADAM_EPS, weight_decay=0.0, fused=True
        )

    def step(self, prompts: list[Prompt]) -> StepStats:
        """One rollout and its update.

        Raises:
            DivergedError: If the KL leaves `max_kl`, or a loss or gradient is not finite; the weights are then useless.
        """
        config, clock = self.config, self.clock
        with clock.phase("sample"):  # 1. sample
            rollout = sample_rollout(
                self.task.policy,
                self.task.tokenizer,
                prompts,
                max_new_tokens=self._response_tokens,
                temperature=config.temperature,
                generator=self._generator,
            )
            batch, mask = rollout.batch, rollout.batch.response_mask
        with clock.phase("update"), torch.no_grad():  # 2. log-probabilities and values, as the update will see them
            old_logprobs, old_values = self.actor_critic(batch, config.temperature)
            ref_logprobs = token_outputs(self.task.reference, batch, config.temperature).logprobs
            kl = kl_k1(old_logprobs, ref_logprobs).masked_fill(~mask, 0.0)
        mean_kl = kl.sum(dim=1).mean().item()
        if not mean_kl <= config.max_kl:
            raise DivergedError(f"The KL to the reference reached {mean_kl:.4g} nats, over max_kl = {config.max_kl:g}.")
        with clock.phase("attribute"):  # 3. scores, b, and token rewards, b x t, from one set of evaluations
            shaped = self.shaping(rollout.prompts, rollout.responses, token_ends=rollout.token_ends)
            scores = [response.score for response in shaped]
            rewards = pad_rewards(shaped, mask)
        advantages, returns = estimate_advantages(  # 4. advantages, b x t
            old_values, rewards - config.kl_coef * kl, mask, gamma=config.gamma, gae_lambda=config.gae_lambda
        )
        advantages = whiten(advantages, mask)
        with clock.phase("update"):  # 5. epochs of clipped updates
            losses = self._update(batch, old_logprobs, old_values, advantages, returns)
        return StepStats(
            score=sum(scores) / len(scores),
            kl=mean_kl,
            policy_loss=losses[0],
            value_loss=losses[1],
            clip_fraction=losses[2],
            grad_norm=losses[3],
            length=mask.sum().item() / len(scores),
            n_evaluations=sum(max(response.n_evaluations, 1) for response in shaped),
        )

    def _update(
        self, batch: TokenBatch, old_logprobs: Tensor, old_values: Tensor, advantages: Tensor, returns: Tensor
    ) -> list[float]:
        """All epochs on one rollout; means over optimizer steps of policy loss, value loss, clip fraction, norm."""
        config, records = self.config, []
        for _ in range(config.epochs):
            order = torch.randperm(config.rollout_size, generator=self._generator).to(old_logprobs.device)
            for rows in order.split(config.minibatch_size):
                part = batch.rows(rows)
                logprobs, values = self.actor_critic(part, config.temperature)
                surrogate, clip_fraction = policy_loss(
                    logprobs, old_logprobs[rows], advantages[rows], part.response_mask, clip_range=config.clip_range
                )
                critic = value_loss(
                    values, old_values[rows], returns[rows], part.response_mask, clip_range=config.value_clip_range
                )
                self._optimizer.zero_grad(set_to_none=True)
                (surrogate + config.value_coef * critic).backward()
                norm = torch.nn.utils.clip_grad_norm_(self.actor_critic.parameters(), config.max_grad_norm)
                record = [surrogate.item(), critic.item(), clip_fraction.item(), norm.item()]
                if not all(math.isfinite(number) for number in record):
                    raise DivergedError(
                        f"A PPO update is not finite: policy loss {record[0]}, value loss {record[1]}, "
                        f"gradient norm {record[3]}."
                    )
                self._optimizer.step()
                records.append(record)
        return torch.tensor(records, dtype=torch.float64).mean(dim=0).tolist()


def pad_rewards(shaped: list[ShapedResponse], response_mask: Tensor) -> Tensor:
    """`b x t` float32 token rewards, zero outside the response."""
    rewards = torch.zeros(response_mask.shape, device=response_mask.device)
    rewards[response_mask] = torch.cat([torch.from_numpy(response.rewards) for response in shaped]).to(rewards)
    return rewards
