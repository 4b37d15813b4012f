"""TRL's trainer as a trial needs it: every rollout is measured, and paid by the trial's own shaping."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from inner_loop.integrations.trl_trainer import DenseCreditGRPOTrainer, ScoredRollout
from inner_loop.ppo.clock import PhaseClock
from inner_loop.ppo.token_facts import token_facts
from inner_loop.ppo.tokens import TokenBatch


class RolloutRecorder(Protocol):
    """Who measures the rollouts of a training and pays their tokens; b responses of up to t tokens."""

    @property
    def clock(self) -> PhaseClock:
        """Where the time goes."""

    def reference_logprobs(self, batch: TokenBatch) -> Tensor:
        """`b x t` under the policy as it was at the start."""

    def heard(self, rollout: ScoredRollout, mask: Tensor, logprobs: Tensor, ref_logprobs: Tensor, entropy: Any) -> None:
        """A rollout has been sampled and scored: measure it, and see whether the training goes on."""

    def pay(
        self, prompts: Sequence[str], texts: Sequence[str], token_ends: Sequence[Sequence[int]], facts: Sequence[Any]
    ) -> list[Any]:
        """Credit of the tokens of each response; an empty list if TRL is to pay them."""

    def count(self, n_evaluations: int) -> None:
        """Note what the explanations of this process's part of a rollout took."""


class RecordedTrainer(DenseCreditGRPOTrainer):
    """TRL's trainer with dense credit, whose recorder hears of every rollout before it is paid, and pays it."""

    recorder: RolloutRecorder
    _facts: list[Any]
    _n_evaluations: int

    def _generate(self, prompts: Any) -> Any:
        with self.recorder.clock.phase("sample"):
            return super()._generate(prompts)

    @torch.no_grad()
    def _credit_of(self, rollout: ScoredRollout, batch: dict[str, Any], rows: list[int]) -> Tensor:
        ids = batch["completion_ids"]
        lengths = torch.tensor([len(row) for row in rollout.token_ids], device=ids.device)
        mask = torch.arange(ids.shape[1], device=ids.device) < lengths.unsqueeze(1)
        whole = TokenBatch(batch["prompt_ids"], batch["prompt_mask"].bool(), ids, mask)
        logprobs, entropy, _ = self._get_per_token_logps_and_entropies(
            self.model,
            torch.cat([whole.prompt_ids, ids], dim=1),
            torch.cat([whole.prompt_mask, mask], dim=1).long(),
            ids.shape[1],
            compute_entropy=True,
        )
        logprobs, entropy = logprobs.float().masked_fill(~mask, 0.0), entropy.float().masked_fill(~mask, 0.0)
        ref_logprobs = self.recorder.reference_logprobs(whole)
        self.recorder.heard(rollout, mask, logprobs, ref_logprobs, entropy)
        self._facts, self._n_evaluations = token_facts(mask, logprobs, ref_logprobs, entropy), 0
        credit = super()._credit_of(rollout, batch, rows)
        self.recorder.count(self._n_evaluations)
        return credit

    def _pay(
        self, rows: list[int], prompts: list[str], texts: list[str], scores: list[float], token_ends: list[list[int]]
    ) -> Sequence[Any]:
        shaped = self.recorder.pay(prompts, texts, token_ends, [self._facts[row] for row in rows])
        self._n_evaluations = sum(max(response.n_evaluations, 1) for response in shaped)
        return [response.rewards for response in shaped] or super()._pay(rows, prompts, texts, scores, token_ends)
