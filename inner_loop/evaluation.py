"""Judge a policy: the unshaped score on fixed prompts with fixed sampling noise, and its distance from the reference.

| metric | definition |
|---|---|
| `mean` | mean reward-model score of prompt + response over the evaluation prompts |
| `sem` | sample standard deviation of those scores / sqrt(number of prompts); one training, so without seed noise |
| `kl` | k1: mean over responses of the sum over tokens of log pi - log ref, nats; 0 at the start, may be negative |
| `kl_k3` | k3: the same with ref/pi - 1 - log(ref/pi) per token; never negative, less noisy |
| `entropy` | mean over tokens of the entropy of the sampling distribution, in nats |
| `length` | mean number of response tokens, the end-of-sequence token included |
| `distinct_1` | distinct words over all words (at white space) of all responses; low when the policy repeats itself |
| `distinct_2` | the same for pairs of neighbouring words of one response |
| `gold` | mean score by each reward model that judges only; see `inner_loop.models.gold` |
| `TrialResult.auc` | area under `mean` over the steps of the curve, per step |
| `paired_difference` | mean, standard error and 95 % interval of the score differences of two runs, prompt by prompt |

pi is the distribution that was sampled from. With top-k or top-p both distributions are those of
`inner_loop.ppo.sampling`: restricted to the same tokens.

Sampling noise depends only on `EvaluationConfig.seed` and the prompt's place, so two policies are compared under common
random numbers: their scores differ less than two independent samples would, which paired differences use.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from inner_loop.components import TokenFacts
from inner_loop.models.gold import gold_scores
from inner_loop.models.prompts import Prompt
from inner_loop.models.reward_models import RewardModel, score_responses
from inner_loop.ppo.kl import check_kl, kl_estimate
from inner_loop.ppo.rollout import Rollout, sample_rollout
from inner_loop.ppo.token_facts import token_facts
from inner_loop.ppo.tokens import PreparedBatch, TokenBatch
from inner_loop.processes import joined, share_of, total
from inner_loop.spec import CurvePoint, EvaluationConfig, PPOConfig

BATCH_SIZE = 64
"""Prompts decoded side by side; part of the definition of a result, since batch shapes change float32 rounding."""

Z_95 = 1.959964
"""97.5 % quantile of the standard normal distribution."""


class JudgedPolicy(Protocol):
    """A policy and its reference, as far as judging them goes: an `ActorCritic`, or whatever another trainer trains."""

    @property
    def sampler(self) -> Any:
        """The causal language model to decode with."""

    def prepare(self, batch: TokenBatch) -> PreparedBatch:
        """What the passes over these sequences share."""

    def __call__(self, prepared: PreparedBatch, temperature: float) -> tuple[Tensor, Any]:
        """`b x t` log-probabilities of response tokens under the policy, zero outside the response; and what else."""

    def reference_logprobs(self, prepared: PreparedBatch, temperature: float) -> Tensor:
        """The same under the reference."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: the point of the learning curve and what it was computed from."""

    point: CurvePoint
    prompts: list[str]
    """The prompts' texts."""
    responses: list[str]
    """One response per prompt."""
    token_ends: list[list[int]]
    """Per response, the end of each of its tokens in characters."""
    scores: list[float]
    """Score per prompt."""
    token_facts: list[TokenFacts]
    """Per response, what the policy knew of its tokens."""


class PairedDifference(NamedTuple):
    """How much better one run scored than another on the same prompts, in score units."""

    mean: float
    sem: float
    """Standard error over prompts; the variance between training seeds is not in it."""
    interval: tuple[float, float]
    """95 % interval of the mean, by the normal distribution."""


@torch.no_grad()
def evaluate(
    actor_critic: JudgedPolicy,
    tokenizer: Any,
    reward_model: RewardModel,
    prompts: Sequence[Prompt],
    config: EvaluationConfig,
    *,
    step: int,
    response_tokens: int,
    sampling: PPOConfig,
    gold: Mapping[str, RewardModel] | None = None,
) -> Evaluation:
    """Sample one response per prompt, at the temperature and truncation of `sampling`; the metrics are defined above.

    `gold` are reward models that judge the responses too.

    Raises:
        DivergedError: If the KL is over `sampling.max_kl`, or not a number.
    """
    generator = torch.Generator().manual_seed(config.seed)
    rollouts, indices = list[Rollout](), list[int]()
    for start in range(0, len(prompts), BATCH_SIZE):
        batch = prompts[start : start + BATCH_SIZE]
        rows = share_of(len(batch))
        if rows.start == rows.stop:  # more processes than prompts: the noise is drawn all the same
            torch.rand(len(batch), response_tokens, generator=generator)
            continue
        indices += range(start + rows.start, start + rows.stop)
        rollouts.append(
            sample_rollout(
                actor_critic.sampler,
                tokenizer,
                batch,
                max_new_tokens=response_tokens,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                generator=generator,
                rows=rows,
            )
        )
    texts = [text for rollout in rollouts for text in rollout.prompts]
    responses = [response for rollout in rollouts for response in rollout.responses]
    token_ends = [ends for rollout in rollouts for ends in rollout.token_ends]
    scores = score_responses(reward_model, texts, responses)
    by_gold = gold_scores(gold or {}, texts, responses)
    of_each = [dict(zip(by_gold, row, strict=True)) for row in zip(*by_gold.values(), strict=True)] or [{}] * len(texts)
    facts = list[TokenFacts]()
    sums = torch.zeros(4, dtype=torch.float64)
    for rollout in rollouts:
        mask = rollout.batch.response_mask
        # Both by one pass over whole responses: decoding rounds otherwise, and a policy would differ from itself.
        prepared = actor_critic.prepare(rollout.batch)
        logprobs, _ = actor_critic(prepared, sampling.temperature)
        ref_logprobs = actor_critic.reference_logprobs(prepared, sampling.temperature)
        facts += token_facts(mask, logprobs, ref_logprobs, rollout.entropy)
        kls = [kl_estimate(logprobs, ref_logprobs, kind)[mask].sum().item() for kind in ("k1", "k3")]
        sums += torch.tensor([*kls, rollout.entropy.sum().item(), mask.sum().item()], dtype=torch.float64)
    k1, k3, entropy, n_tokens = total(sums).tolist()
    of_prompts = zip(indices, texts, responses, token_ends, scores, facts, of_each, strict=True)
    judged = sorted(joined(list(of_prompts)), key=lambda row: row[0])
    _, texts, responses, token_ends, scores, facts, of_each = map(list, zip(*judged, strict=True))
    check_kl(k1 / len(scores), sampling.max_kl)
    point = CurvePoint(
        step=step,
        mean=float(np.mean(scores)),
        sem=standard_error(scores),
        kl=k1 / len(scores),
        kl_k3=max(k3 / len(scores), 0.0),
        entropy=entropy / n_tokens,
        length=n_tokens / len(scores),
        distinct_1=distinct_ngrams(responses, 1),
        distinct_2=distinct_ngrams(responses, 2),
        gold={name: float(np.mean([row[name] for row in of_each])) for name in gold or {}},
    )
    return Evaluation(point, texts, responses, token_ends, scores, facts)


def paired_difference(scores: Sequence[float], reference_scores: Sequence[float]) -> PairedDifference:
    """How much better `scores` are than those of a reference run, prompt by prompt.

    >>> paired_difference([1.0, 2.0, 6.0], [0.0, 0.0, 3.0])
    PairedDifference(mean=2.0, sem=0.5773502691896258, interval=(0.8684142566593302, 3.13158574334067))

    Raises:
        ValueError: If the runs were not judged on equally many prompts.
    """
    if len(scores) != len(reference_scores):
        raise ValueError(f"Runs share their prompts, got {len(scores)} and {len(reference_scores)} scores.")
    differences = np.subtract(scores, reference_scores)
    mean, sem = float(differences.mean()), standard_error(differences)
    return PairedDifference(mean, sem, (mean - Z_95 * sem, mean + Z_95 * sem))


def standard_error(values: Sequence[float] | np.ndarray) -> float:
    """Sample standard deviation over the root of the number of values; 0 for a single one."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def distinct_ngrams(responses: Sequence[str], n: int) -> float:
    """Distinct n-grams of words over all n-grams, 1 if there are none.

    >>> distinct_ngrams(["a good film", "a good day"], 2)
    0.75
    """
    sentences = [response.split() for response in responses]
    ngrams = [tuple(words[i : i + n]) for words in sentences for i in range(len(words) - n + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else 1.0
