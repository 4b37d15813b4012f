"""One step on dense rewards, from prompts to updated weights: `collect` a rollout, then `update` on it.

Of several processes (`inner_loop.processes`) each has its share of the rollout; every mean is one over all of them.

The rewards are whatever the `ShapingFunction` gives: the sparse reward is one corner of the simplex, on the same path,
and PPO, RLOO and GRPO differ in their advantages alone. `inner_loop.spec.StepStats` defines what is measured.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from inner_loop.errors import DivergedError, TaskError
from inner_loop.models.prompts import Prompt
from inner_loop.models.task import Task
from inner_loop.ppo.actor_critic import ActorCritic
from inner_loop.ppo.advantages import estimate_advantages, explained_variance, masked_mean, whiten
from inner_loop.ppo.centring import TokenWorth, centred_worth
from inner_loop.ppo.clock import PhaseClock
from inner_loop.ppo.critic_free import grpo_advantages, rloo_advantages
from inner_loop.ppo.kl import check_kl, kl_estimate
from inner_loop.ppo.kl_controller import adapted_kl_coef
from inner_loop.ppo.losses import policy_loss, value_loss
from inner_loop.ppo.reward_scale import RunningScale
from inner_loop.ppo.rewards import charge_cut_responses, pad_rewards
from inner_loop.ppo.rollout import Rollout, sample_rollout
from inner_loop.ppo.token_facts import token_facts
from inner_loop.ppo.tokens import PreparedBatch, TokenBatch
from inner_loop.processes import n_processes, own_among, share_of, total
from inner_loop.shaping import ShapingFunction
from inner_loop.spec import SPARSE, PPOConfig, StepStats

WORTH_TOTALS = "token_worth.totals"
"""Name in a checkpoint."""


@dataclass(frozen=True)
class Experience:
    """A rollout and all that its update needs; nothing here carries a gradient."""

    prepared: PreparedBatch
    response_mask: Tensor
    """`b x t`."""
    old_logprobs: Tensor
    """`b x t`, recomputed by the code that the update runs, so that its first ratio is exactly one."""
    old_values: Tensor
    """`b x t`."""
    advantages: Tensor
    """`b x t`."""
    returns: Tensor
    """`b x t`."""
    kl: float
    """Mean KL (k1) to the reference, in nats per response."""
    measured: dict[str, Any]
    """The fields of `StepStats` that are known before the update."""


class PPOTrainer:
    """Trains an actor-critic in place; everything random comes from one generator.

    Args:
        task: Tokenizer and reward model.
        actor_critic: The policy, its critic and its reference.
        shaping: Turns responses into token rewards.
        config: Hyper-parameters.
        response_tokens: Most tokens sampled per response.
        generator: Source of sampling noise and minibatch order, on the CPU; the same in all processes.
        clock: Where the time of each phase is added up.

    Raises:
        TaskError: If the prompts of a rollout cannot be divided among the processes.
    """

    def __init__(
        self,
        task: Task,
        actor_critic: ActorCritic,
        shaping: ShapingFunction,
        config: PPOConfig,
        *,
        response_tokens: int,
        generator: torch.Generator,
        clock: PhaseClock,
    ) -> None:
        if config.prompts_per_step % n_processes():
            raise TaskError(
                f"A rollout of {config.prompts_per_step} prompts (ppo.rollout_size / ppo.samples_per_prompt) cannot be "
                f"divided among {n_processes()} processes."
            )
        self.task, self.actor_critic, self.shaping, self.config, self.clock = task, actor_critic, shaping, config, clock
        self.kl_coef, self.scale = config.kl_coef, RunningScale()
        self._response_tokens, self._generator = response_tokens, generator
        self._optimizer = actor_critic.make_optimizer(config.learning_rate)
        size, device = actor_critic.sampler.get_output_embeddings().weight.shape[0], actor_critic.sampler.device
        self._worth = TokenWorth(size, device) if config.centre_credit else None

    def step(self, prompts: list[Prompt], progress: float = 0.0) -> StepStats:
        """One rollout and its update; see `collect` and `update`."""
        return self.update(self.collect(prompts, progress))

    @torch.no_grad()
    def collect(self, prompts: list[Prompt], progress: float = 0.0) -> Experience:
        """Sample `samples_per_prompt` responses to every prompt, score them and estimate their advantages.

        Args:
            prompts: Those of all processes; the experience is this one's.
            progress: How far the training is, 0 at its first step and 1 at its last: what `to_sparse` goes by.

        Raises:
            DivergedError: If the KL leaves `max_kl`; the weights are then useless.
        """
        config, clock = self.config, self.clock
        with clock.phase("sample"):  # 1. sample; the responses to one prompt are neighbours
            rollout = sample_rollout(
                self.actor_critic.sampler,
                self.task.tokenizer,
                [prompt for prompt in prompts for _ in range(config.samples_per_prompt)],
                max_new_tokens=self._response_tokens,
                temperature=config.temperature,
                top_k=config.top_k,
                top_p=config.top_p,
                generator=self._generator,
                worths=self._worth.worths if self._worth else None,
                rows=share_of(config.rollout_size),
            )
        batch, mask = rollout.batch, rollout.batch.response_mask
        with clock.phase("update"):  # 2. log-probabilities and values, b x t, as the update will see them
            prepared = self.actor_critic.prepare(batch)
            old_logprobs, old_values = self.actor_critic(prepared, config.temperature)
            ref_logprobs = self.actor_critic.reference_logprobs(prepared, config.temperature)
            kl, kl_k3, price = (
                kl_estimate(old_logprobs, ref_logprobs, kind).masked_fill(~mask, 0.0)
                for kind in ("k1", "k3", config.kl_estimator)
            )
            mean_kl = total(kl.sum()).item() / config.rollout_size
        check_kl(mean_kl, config.max_kl)
        with clock.phase("attribute"):  # 3. scores, b, and token rewards, b x t
            values = old_values if config.algorithm == "ppo" else None
            shaped = self.shaping(
                rollout.prompts,
                rollout.responses,
                token_ends=rollout.token_ends,
                token_facts=token_facts(mask, old_logprobs, ref_logprobs, rollout.entropy, values),
                to_sparse=(to_sparse := config.to_sparse * progress),
            )
            scores = [response.score for response in shaped]
            rewards = self._settle_cut_responses(pad_rewards(shaped, mask), rollout, scores, to_sparse)
            if config.reward_scale == "running":
                rewards = self.scale(rewards)
            centred = self._centred(rewards, rollout)
            rewards = rewards - self.kl_coef * price
        with clock.phase("update"):  # 4. advantages, b x t
            advantages, returns = self._advantages(old_values, rewards, centred, rollout)
        sums = {
            "score": sum(scores),
            "reward": rewards.sum().item(),
            "kl_k3": kl_k3.sum().item(),
            "length": mask.sum().item(),
            "finished": rollout.finished.sum().item(),
            "entropy": rollout.entropy.sum().item(),
            "n_evaluations": sum(max(response.n_evaluations, 1) for response in shaped),
        }
        means = total(torch.tensor([*sums.values()], dtype=torch.float64)) / config.rollout_size
        measured: dict[str, Any] = dict(zip(sums, means.tolist(), strict=True))
        measured |= {
            "kl": mean_kl,
            "kl_coef": self.kl_coef,
            "entropy": measured["entropy"] / measured["length"],  # per token
            "n_evaluations": round(measured["n_evaluations"] * config.rollout_size),
        }
        if config.algorithm == "ppo":
            measured["explained_variance"] = explained_variance(old_values, returns, mask)
        return Experience(prepared, mask, old_logprobs, old_values, advantages, returns, mean_kl, measured)

    def update(self, experience: Experience) -> StepStats:
        """All epochs of clipped updates on one rollout.

        Raises:
            DivergedError: If a loss or gradient is not finite; the weights are then useless.
        """
        with self.clock.phase("update"):
            records = self._update(experience)
        names = ("policy_loss", "value_loss", "clip_fraction", "policy_kl", "grad_norm")
        means = torch.tensor(records, dtype=torch.float64).mean(dim=0).tolist()
        if self.config.adaptive_kl is not None:
            self.kl_coef = adapted_kl_coef(
                self.kl_coef,
                experience.kl,
                target=self.config.adaptive_kl,
                horizon=self.config.adaptive_kl_horizon,
                n_responses=self.config.rollout_size,
            )
        return StepStats(**experience.measured, **dict(zip(names, means, strict=True)), optimizer_steps=len(records))

    def numbers(self) -> dict[str, float]:
        """What a checkpoint needs beyond the actor-critic's state and the generator's."""
        return {"kl_coef": self.kl_coef, **asdict(self.scale)}

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint needs beyond that in tensors."""
        return {} if self._worth is None else {WORTH_TOTALS: self._worth.totals}

    def load(self, numbers: dict[str, float], tensors: dict[str, Tensor]) -> None:
        """Continue from what `numbers` and `tensors` returned; takes its own out of `tensors`."""
        self.kl_coef = numbers["kl_coef"]
        self.scale = RunningScale(int(numbers["count"]), numbers["mean"], numbers["squares"])
        if self._worth is not None:
            self._worth.totals.copy_(tensors.pop(WORTH_TOTALS))

    def _settle_cut_responses(self, rewards: Tensor, rollout: Rollout, scores: list[float], to_sparse: float) -> Tensor:
        """Token rewards once `missing_eos` has been applied to responses that were cut."""
        mask, finished = rollout.batch.response_mask, rollout.finished
        if self.config.missing_eos == "penalty":
            return charge_cut_responses(rewards, mask, finished, self.config.missing_eos_penalty)
        if self.config.missing_eos == "bootstrap":
            # The sparse reward is paid when a response ends. Dense credit has been earned by the tokens that are there.
            weight = self.shaping.weights.get(SPARSE, 0.0)
            unpaid = (weight + to_sparse * (1 - weight)) * torch.tensor(scores)
            return charge_cut_responses(rewards, mask, finished, unpaid)
        return rewards

    def _centred(self, rewards: Tensor, rollout: Rollout) -> Tensor:
        """`b x t` m_t of `centring`, zero if it is off; then the worths take in these rewards."""
        if self._worth is None or rollout.expected_worth is None:
            return torch.zeros_like(rewards)
        ids, mask = rollout.batch.response_ids, rollout.batch.response_mask
        centred = centred_worth(self._worth.worths, ids, rollout.expected_worth, mask)
        self._worth.update(ids, rewards, mask)
        return centred

    def _advantages(self, values: Tensor, rewards: Tensor, centred: Tensor, rollout: Rollout) -> tuple[Tensor, Tensor]:
        """`(advantages, returns)`, `b x t`; there are no returns to learn without a critic."""
        config, mask = self.config, rollout.batch.response_mask
        rewards = rewards - centred
        if config.algorithm != "ppo":
            estimate = rloo_advantages if config.algorithm == "rloo" else grpo_advantages
            decay = config.gamma * config.gae_lambda
            groups = torch.arange(len(rewards), device=rewards.device) // config.samples_per_prompt
            advantages = estimate(rewards, mask, groups=groups, decay=decay) + centred
            return advantages, torch.zeros_like(advantages)
        bootstrap = self._values_at_the_cut(rollout) if config.missing_eos == "bootstrap" else None
        advantages, returns = estimate_advantages(
            values,
            rewards,
            mask,
            gamma=config.gamma,
            gae_lambda=config.gae_lambda,
            critic_lambda=config.critic_lambda,
            bootstrap_values=bootstrap,
        )
        return whiten(advantages + centred, mask), returns

    def _values_at_the_cut(self, rollout: Rollout) -> Tensor:
        """`b` values of the state after the last token of responses that were cut; zero for those that ended."""
        is_cut = ~rollout.finished
        values = torch.zeros(is_cut.shape, device=is_cut.device)
        if is_cut.any():
            longer = one_token_longer(rollout.batch.rows(is_cut.nonzero().squeeze(1)))
            prepared = self.actor_critic.prepare(longer)
            values[is_cut] = self.actor_critic(prepared, self.config.temperature)[1][:, -1]
        return values

    def _update(self, experience: Experience) -> list[list[float]]:
        """One record per optimizer step; see `_optimizer_step`."""
        config, records = self.config, list[list[float]]()
        for _ in range(config.epochs):
            order = torch.randperm(config.rollout_size, generator=self._generator)
            for minibatch in order.split(config.minibatch_size):
                rows = own_among(minibatch, config.rollout_size).to(experience.response_mask.device)
                record = self._backward(experience, rows)
                if config.target_kl is not None and record[3] > config.target_kl:
                    return records
                record.append(float(self._optimizer.clip(config.max_grad_norm)))
                if not all(math.isfinite(number) for number in record):
                    raise DivergedError(
                        f"A PPO update is not finite: policy loss {record[0]}, value loss {record[1]}, "
                        f"gradient norm {record[4]}; take a smaller ppo.learning_rate."
                    )
                self._optimizer.step()
                records.append(record)
        return records

    def _backward(self, experience: Experience, minibatch: Tensor) -> list[float]:
        """The gradient of one minibatch, part by part, and its policy loss, value loss, clip fraction and policy KL.

        Every part counts as much as it has tokens, so the gradient is that of the mean over the minibatch's tokens.
        Of a minibatch that several processes share, the numbers are the whole's, and the gradient is this one's part.
        """
        config, records = self.config, [torch.zeros(4, device=minibatch.device)]
        n_tokens = total(experience.response_mask[minibatch].sum())
        self._optimizer.zero_grad()
        for rows in minibatch.chunk(config.accumulate) if len(minibatch) else ():
            mask, old_logprobs = experience.response_mask[rows], experience.old_logprobs[rows]
            logprobs, values = self.actor_critic(experience.prepared.rows(rows), config.temperature)
            loss, clip_fraction = policy_loss(
                logprobs, old_logprobs, experience.advantages[rows], mask, clip_range=config.clip_range
            )
            critic_loss = torch.zeros_like(loss)
            if config.algorithm == "ppo":
                old_values, returns = experience.old_values[rows], experience.returns[rows]
                critic_loss = value_loss(values, old_values, returns, mask, clip_range=config.value_clip_range)
            policy_kl = masked_mean(kl_estimate(old_logprobs, logprobs.detach(), "k3"), mask)
            share = mask.sum() / n_tokens
            (share * (loss + config.value_coef * critic_loss)).backward()
            records.append(share * torch.stack([loss, critic_loss, clip_fraction, policy_kl]).detach())
        totals: list[float] = total(torch.stack(records).sum(dim=0)).tolist()
        return totals


def one_token_longer(batch: TokenBatch) -> TokenBatch:
    """Responses that fill all of `t`, and a token of no meaning, which is predicted from the state after the last."""
    b, t = batch.response_ids.shape
    ids = torch.cat([batch.response_ids, batch.response_ids[:, -1:]], dim=1)
    mask = torch.ones(b, t + 1, dtype=torch.bool, device=ids.device)
    return TokenBatch(batch.prompt_ids, batch.prompt_mask, ids, mask)
