"""TRL's GRPO with credit per token: `DenseCreditGRPOTrainer` is `GRPOTrainer` with one more argument, `credit`.

    trainer = DenseCreditGRPOTrainer(
        model, reward_funcs, GRPOConfig(...), dataset, credit=ShapingFunction({"shap": 1.0}, reward_model=my_model)
    )
    trainer.train()

TRL gives every token of a response the same advantage. Here each has its own, `b x t`, in one of the two ways of
`inner_loop.integrations.core`, chosen by `advantage`:

* `weights`: TRL's advantage times a factor per token, of mean one over the response. What a `ShapingFunction` gives to
  `sparse` is that share of TRL's own advantage; all of it is TRL itself;
* `reward_to_go`: the credit that is still to come at a token, less what the group had there; `decay` below one looks
  less far ahead.

`experiments/benchmarks/trl_dense_credit.py` sets both beside TRL's own: `weights` learned fastest, and at equal KL no
difference could be shown.

The outcome stays TRL's total reward: all reward functions with their weights. What it holds beyond the credit, a length
penalty say, counts at every token alike, and so does, with `weights`, the reward model's score of an empty response. A
response that no reward function scored gets zero. Generation, groups, KL, clipping and logging are TRL's.

Leave-one-out advantages (RLOO) are `GRPOConfig(scale_rewards="none")` with `leave_one_out=True`.

Credit is explained on the text that the sampled tokens decode to without special tokens, the tool results in it
included; only tokens that TRL trains on are paid. Prompts that are lists of messages reach the credit as a
`Conversation`, and no token of the chat template is paid.

Logged beside TRL's metrics: `credit/sum` and `credit/spread` (mean over responses of the sum, and of the deviation over
tokens, of the credit; score units), `credit/beyond` (mean size of the outcome less that sum), `credit/advantage_spread`
(mean over responses of the deviation of the advantage over tokens). TRL's table of completions has the advantage of
every token in its column `advantage`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer
from trl import __version__ as trl_version

from inner_loop.integrations.core import advantage_weights, token_advantages
from inner_loop.integrations.sampled_tokens import decode_sampled
from inner_loop.libraries.trl_internals import takes_token_advantages
from inner_loop.models.conversation import Conversation
from inner_loop.ppo.critic_free import GRPO_EPS, Groups
from inner_loop.shaping import ShapingFunction
from inner_loop.spec import SPARSE

AdvantageKind = Literal["weights", "reward_to_go"]
"""How credit becomes an advantage."""

LOSS_TYPES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo")
"""Losses of TRL that are sums over tokens, in which each may have its own advantage."""


class Credit(Protocol):
    """What says how much each token of a response earned, in score units."""

    def __call__(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        scores: Sequence[float],
        *,
        token_ends: Sequence[Sequence[int]],
    ) -> Sequence[Sequence[float] | Any]:
        """For each response as many numbers as it has `token_ends`.

        Args:
            prompts: `b` prompts; one that was a list of messages is a `Conversation`.
            completions: `b` responses as text, without special tokens.
            scores: `b` total rewards.
            token_ends: Where the tokens of each response end, in characters of it.
        """


@dataclass(frozen=True)
class ScoredRollout:
    """What of a rollout TRL's batch does not hold: its texts, and what the reward functions said."""

    prompts: list[str]
    """`b` prompts of this process; a `Conversation` where TRL had messages."""
    token_ids: list[list[int]]
    """`b` responses of this process, as sampled."""
    outcomes: Tensor
    """Total rewards of all processes' responses; NaN where no function scored one."""
    own: slice
    """This process's among them."""
    group_size: int
    """Responses to one prompt, which are neighbours."""

    @property
    def groups(self) -> Tensor:
        """Which prompt each of all processes' responses belongs to."""
        return torch.arange(len(self.outcomes), device=self.outcomes.device) // self.group_size


class DenseCreditGRPOTrainer(GRPOTrainer):
    """`GRPOTrainer` in which every token has an advantage of its own; the module says how.

    Args:
        model: As in `GRPOTrainer`, and so are all arguments that are not named here.
        reward_funcs: As in `GRPOTrainer`.
        args: As in `GRPOTrainer`.
        credit: A `ShapingFunction`, or any callable like `Credit`.
        advantage: How credit becomes an advantage.
        leave_one_out: Compare a response with the others of its group alone.
        decay: With `reward_to_go`, how much less each further token ahead counts.

    Raises:
        ValueError: If TRL, or what `args` asks for, has no place for an advantage per token.
    """

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: GRPOConfig | None = None,
        *others: Any,
        credit: ShapingFunction | Credit,
        advantage: AdvantageKind = "weights",
        leave_one_out: bool = False,
        decay: float = 1.0,
        **named: Any,
    ) -> None:
        check_config(args, advantage=advantage, leave_one_out=leave_one_out, decay=decay)
        self._dense_share = 1.0
        if isinstance(credit, ShapingFunction):
            credit, self._dense_share = _prepared(credit, advantage)
        self.credit, self.advantage, self.leave_one_out, self.decay = credit, advantage, leave_one_out, decay
        self._rollout: ScoredRollout | None = None
        super().__init__(model, reward_funcs, args, *others, **named)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Tensor:
        """TRL's rewards, `n x functions` of all processes; keeps what the credit needs."""
        rewards: Tensor = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        outcomes = (rewards * self.reward_weights.to(rewards.device)).nansum(dim=1)
        first = self.accelerator.process_index * len(prompts)
        self._rollout = ScoredRollout(
            prompts=[as_text(prompt) for prompt in prompts],
            token_ids=[list(ids) for ids in completion_ids_list],
            outcomes=outcomes.masked_fill(rewards.isnan().all(dim=1), torch.nan),
            own=slice(first, first + len(prompts)),
            group_size=int((self.num_generations if self.model.training else self.num_generations_eval) or 1),
        )
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        """TRL's batch with `advantages` of `b x t`."""
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        assert self._rollout is not None  # noqa: S101  _calculate_rewards has run
        rollout, self._rollout = self._rollout, None
        mask = batch["completion_mask"].bool()
        if "tool_mask" in batch:
            mask = mask & batch["tool_mask"].bool()
        is_paid = mask.any(dim=1) & ~rollout.outcomes[rollout.own].isnan()
        credit = self._credit_of(rollout, batch, is_paid.nonzero().squeeze(1).tolist()).masked_fill(~mask, 0.0)
        advantages = self._advantages_of(credit, mask, batch["advantages"], rollout)
        self._log_credit(credit, advantages, mask & is_paid.unsqueeze(1), rollout)
        return batch | {"advantages": advantages}

    def _credit_of(self, rollout: ScoredRollout, batch: dict[str, Any], rows: list[int]) -> Tensor:
        """`b x t` credit of the responses at `rows`, zero for the others."""
        texts, ends = decode_sampled(self._tokenizer, [rollout.token_ids[row] for row in rows])
        prompts, scores = [rollout.prompts[row] for row in rows], rollout.outcomes[rollout.own][rows].tolist()
        values = self._pay(rows, prompts, texts, scores, ends) if rows else []
        return place(values, rows, [len(row) for row in ends], batch["completion_mask"])

    def _pay(
        self,
        rows: list[int],
        prompts: list[str],
        texts: list[str],
        scores: list[float],
        token_ends: list[list[int]],
    ) -> Sequence[Sequence[float] | Any]:
        """The credit of each of these responses; they are `rows` of the batch."""
        if isinstance(self.credit, ShapingFunction):
            # With the model's own scores: what the total reward holds beyond them belongs to no token.
            return [shaped.rewards for shaped in self.credit(prompts, texts, token_ends=token_ends)]
        return self.credit(prompts, texts, scores, token_ends=token_ends)

    def _advantages_of(self, credit: Tensor, mask: Tensor, scalar: Tensor, rollout: ScoredRollout) -> Tensor:
        """`b x t` advantages of this process's tokens; `scalar` is TRL's advantage, `b`."""
        if self.advantage == "weights":
            if self.leave_one_out:
                # R - mean of the others = (R - mean) n / (n - 1).
                n_scored = Groups(rollout.groups).sums((~rollout.outcomes.isnan()).float())[rollout.own]
                scalar = scalar * n_scored / (n_scored - 1).clamp(min=1)
            weights = advantage_weights(credit, mask, scalar)
            return scalar.unsqueeze(1) * torch.lerp(mask.float(), weights, self._dense_share)
        # A group may lie on several processes, whose batches are not equally wide.
        every = [
            self.accelerator.gather(self.accelerator.pad_across_processes(rows.float(), dim=1))
            for rows in (credit, mask)
        ]
        kinds = {"group": "grpo", "batch": "dr_grpo", "none": "rloo" if self.leave_one_out else "dr_grpo"}
        advantages = token_advantages(
            every[0],
            every[1].bool(),
            rollout.groups,
            kind=kinds[self.scale_rewards],  # type: ignore[arg-type]
            outcomes=rollout.outcomes,
            gae_lambda=self.decay,
        )
        if self.scale_rewards == "batch":
            scored = rollout.outcomes[~rollout.outcomes.isnan()]
            advantages = advantages / (scored.std() + GRPO_EPS) if len(scored) > 1 else advantages
        return advantages[rollout.own, : credit.shape[1]]

    def _log_credit(self, credit: Tensor, advantages: Tensor, mask: Tensor, rollout: ScoredRollout) -> None:
        """The metrics that the module names, and the advantages of tokens in TRL's table."""
        paid = mask.any(dim=1)
        sums = credit.sum(dim=1)
        columns = {
            "credit/sum": sums,
            "credit/spread": _deviation(credit, mask),
            "credit/beyond": (rollout.outcomes[rollout.own].nan_to_num() - sums).abs(),
            "credit/advantage_spread": _deviation(advantages, mask),
        }
        totals = torch.stack([*(column[paid].sum() for column in columns.values()), paid.sum()])
        *sums_of_all, count = self.accelerator.reduce(totals, reduction="sum").tolist()
        metrics = self._metrics["train" if self.model.training else "eval"]
        for name, total in zip(columns, sums_of_all, strict=True):
            metrics[name].append(total / max(count, 1))
        own = [
            TokenNumbers(row[: len(ids)])
            for row, ids in zip(advantages.float().tolist(), rollout.token_ids, strict=True)
        ]
        every = gather_object(own)
        table: Any = self._logs["advantages"]
        for _ in range(min(len(every), len(table))):
            table.pop()
        table.extend(every)


class TokenNumbers(list[float]):
    """One number per token. Formatted as a number, as TRL prints an advantage, it is their mean."""

    def __format__(self, spec: str) -> str:
        return format(sum(self) / max(len(self), 1), spec)


def check_config(
    args: GRPOConfig | None, *, advantage: str = "weights", leave_one_out: bool = False, decay: float = 1.0
) -> None:
    """Raise `ValueError` unless TRL, and what `args` asks of it, has a place for an advantage per token."""
    if not takes_token_advantages(GRPOTrainer):
        raise ValueError(
            f"The installed trl {trl_version} does not take one advantage per token; install a version from 1.16 on "
            "whose GRPO loss does."
        )
    if advantage not in ("weights", "reward_to_go"):
        raise ValueError(f"advantage is 'weights' or 'reward_to_go', got {advantage!r}.")
    if not 0.0 <= decay <= 1.0 or (decay != 1.0 and advantage == "weights"):
        raise ValueError(f"decay is for advantage='reward_to_go' and in 0..1, got {decay} with {advantage!r}.")
    if args is not None and not isinstance(args, GRPOConfig):
        raise ValueError(
            f"{type(args).__name__} belongs to a trainer with one advantage per response; for leave-one-out advantages "
            'use GRPOConfig(scale_rewards="none") and leave_one_out=True.'
        )
    asked = GRPOConfig if args is None else args  # a dataclass has its defaults as attributes
    if asked.loss_type not in LOSS_TYPES:
        raise ValueError(
            f"loss_type {asked.loss_type!r} weighs whole responses by one advantage each; use one of "
            f"{', '.join(LOSS_TYPES)}."
        )
    if asked.importance_sampling_level != "token":
        raise ValueError(
            f"importance_sampling_level {asked.importance_sampling_level!r} clips whole responses by one advantage "
            "each; use 'token'."
        )
    if asked.use_liger_kernel:
        raise ValueError("use_liger_kernel computes a loss of one advantage per response; leave it out.")
    if asked.off_policy_mask_threshold is not None:
        raise ValueError(
            "off_policy_mask_threshold masks whole responses by the sign of one advantage each; leave it out."
        )
    if asked.multi_objective_aggregation != "sum_then_normalize" and (advantage == "reward_to_go" or leave_one_out):
        raise ValueError(
            f"multi_objective_aggregation {asked.multi_objective_aggregation!r} leaves no total reward in the units of "
            "credit; use 'sum_then_normalize', or advantage='weights' without leave_one_out."
        )
    if leave_one_out and asked.scale_rewards != "none":
        raise ValueError(f"leave_one_out needs scale_rewards='none', got {asked.scale_rewards!r}.")


def as_text(prompt: Any) -> str:
    """A prompt of TRL, text or a list of messages, as what reward models here read."""
    if isinstance(prompt, str):
        return prompt
    return Conversation([{**message, "content": _content(message.get("content"))} for message in prompt])


def place(values: Sequence[Any], rows: Sequence[int], lengths: Sequence[int], like: Tensor) -> Tensor:
    """`b x t` float32 of one list of numbers for each of `rows`.

    Args:
        values: Credit of the responses at `rows`.
        rows: Which of the `b` they are.
        lengths: How many tokens each of them has.
        like: `b x t`, for shape and device.

    Raises:
        ValueError: If there is not one finite number for each token.
    """
    if len(values) != len(rows):
        raise ValueError(f"The credit has rows for {len(values)} responses, and {len(rows)} were asked for.")
    credit = torch.zeros(like.shape)
    for index, (row, numbers, length) in enumerate(zip(rows, values, lengths, strict=True)):
        own = torch.as_tensor(numbers, dtype=torch.float32)
        if own.shape != (length,):
            raise ValueError(
                f"The credit of response {index} has the shape {tuple(own.shape)}, and the response {length} tokens: "
                "return one number per entry of token_ends."
            )
        credit[row, :length] = own
    if not credit.isfinite().all():
        raise ValueError("The credit holds a number that is not finite; return zeros where nothing was earned.")
    return credit.to(like.device)


def _prepared(credit: ShapingFunction, advantage: str) -> tuple[ShapingFunction | Credit, float]:
    """The function as it is asked, and the share of the advantage that it moves between tokens."""
    if credit.gamma != 1.0:
        raise ValueError(f"TRL does not discount: the ShapingFunction needs gamma 1, got {credit.gamma:g}.")
    if advantage == "reward_to_go":
        return credit, 1.0
    dense = {name: weight for name, weight in credit.weights.items() if name != SPARSE and weight > 0}
    share = sum(dense.values())
    if not dense:
        return _no_credit, 0.0
    attribution = credit.attribution
    if attribution.base_value == "last":
        # No token earned it, the last one no more than others.
        attribution = attribution.model_copy(update={"base_value": "uniform"})
    weights = {name: weight / share for name, weight in dense.items()}
    return replace(credit, weights=weights, attribution=attribution), min(share, 1.0)


def _no_credit(
    prompts: Sequence[str],
    completions: Sequence[str],
    scores: Sequence[float],
    *,
    token_ends: Sequence[Sequence[int]],
) -> Sequence[Sequence[float]]:
    return [[0.0] * len(ends) for ends in token_ends]


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _deviation(x: Tensor, mask: Tensor) -> Tensor:
    """`b` deviations over the tokens of `b x t`."""
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    centred = (x - (x * mask).sum(dim=1, keepdim=True) / count).masked_fill(~mask, 0.0)
    return (centred**2).sum(dim=1).div(count.squeeze(1)).sqrt()
