"""Judge a policy: the unshaped score on fixed prompts with fixed sampling noise, and its distance from the reference.

| metric | definition |
|---|---|
| `mean` | mean reward-model score of prompt + response over the evaluation prompts |
| `sem` | sample standard deviation of those scores / sqrt(number of prompts); one training, so without seed noise |
| `kl` | k1: mean over responses of the sum over tokens of log pi - log ref, in nats |
| `kl_k3` | k3: the same with ref/pi - 1 - log(ref/pi) per token |
| `entropy` | mean over tokens of the entropy of the sampling distribution, in nats |
| `length` | mean number of response tokens, the end-of-sequence token included |
| `distinct_2` | distinct bigrams over all bigrams of white-space separated words of all responses |

Sampling noise depends only on `EvaluationConfig.seed` and the prompt's place, so two policies are compared under common
random numbers: use paired differences of `scores`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from inner_loop.ppo.actor_critic import token_outputs
from inner_loop.ppo.kl import kl_k1, kl_k3
from inner_loop.ppo.rollout import Rollout, sample_rollout
from inner_loop.reward_models import RewardModel, score_responses
from inner_loop.spec import CurvePoint, EvaluationConfig
from inner_loop.task import Prompt

BATCH_SIZE = 64
"""Prompts decoded side by side; part of the definition of a result, since batch shapes change float32 rounding."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: the point of the learning curve and what it was computed from."""

    point: CurvePoint
    scores: list[float]
    """Score per prompt."""
    rollouts: list[Rollout]
    """The responses, in batches of `BATCH_SIZE`."""


def evaluate(
    policy: Any,
    reference: Any,
    tokenizer: Any,
    reward_model: RewardModel,
    prompts: Sequence[Prompt],
    config: EvaluationConfig,
    *,
    step: int,
    response_tokens: int,
    temperature: float,
) -> Evaluation:
    """Sample one response per prompt and judge them; see the table above for the metrics."""
    generator = torch.Generator().manual_seed(config.seed)
    rollouts = [
        sample_rollout(
            policy,
            tokenizer,
            prompts[start : start + BATCH_SIZE],
            max_new_tokens=response_tokens,
            temperature=temperature,
            generator=generator,
        )
        for start in range(0, len(prompts), BATCH_SIZE)
    ]
    scores = score_responses(
        reward_model,
        [prompt for rollout in rollouts for prompt in rollout.prompts],
        [response for rollout in rollouts for response in rollout.responses],
    )
    k1, k3, entropy, n_tokens = 0.0, 0.0, 0.0, 0
    for rollout in rollouts:
        mask = rollout.batch.response_mask
        with torch.inference_mode():
            ref_logprobs = token_outputs(reference, rollout.batch, temperature).logprobs
        k1 += kl_k1(rollout.logprobs, ref_logprobs)[mask].sum().item()
        k3 += kl_k3(rollout.logprobs, ref_logprobs)[mask].sum().item()
        entropy += rollout.entropy.sum().item()
        n_tokens += int(mask.sum())
    point = CurvePoint(
        step=step,
        mean=float(np.mean(scores)),
        sem=float(np.std(scores, ddof=1) / math.sqrt(len(scores))) if len(scores) > 1 else 0.0,
        kl=k1 / len(scores),
        kl_k3=max(k3 / len(scores), 0.0),
        entropy=entropy / n_tokens,
        length=n_tokens / len(scores),
        distinct_2=distinct_bigrams([response for rollout in rollouts for response in rollout.responses]),
    )
    return Evaluation(point, scores, rollouts)


def distinct_bigrams(responses: Sequence[str]) -> float:
    """Distinct bigrams of words over all bigrams, 1 if there are none.

    >>> distinct_bigrams(["a good film", "a good day"])
    0.75
    """
    bigrams = [pair for response in responses for pair in pairwise(response.split())]
    return len(set(bigrams)) / len(bigrams) if bigrams else 1.0
