"""What is left of dense rewards once the credit is known: mixing, placing, normalising, advantages.

The credit of one real rollout is computed once; then everything from there to whitened advantages is repeated with it.
The step it is compared with is ours on the sparse reward, the cheapest there is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from experiments.benchmarks.bars import Bar
from experiments.benchmarks.ppo.jobs import EMBEDDED, Job, speed_job
from experiments.benchmarks.ppo.our_job import Training
from inner_loop.ppo.advantages import estimate_advantages, whiten
from inner_loop.ppo.reward_scale import RunningScale
from inner_loop.ppo.rewards import pad_rewards
from inner_loop.ppo.rollout import sample_rollout

LIMIT = 0.01
WEIGHTS = {"shap": 0.4, "lime": 0.3, "sparse": 0.3}
N_STEPS, N_REPEATS = 5, 30
EXPLAIN = "inner_loop.shaping.explain_responses"


def measure(*, job: Job | None = None, steps: int = N_STEPS, repeats: int = N_REPEATS) -> dict[str, Any]:
    """CPU seconds of a sparse step and of every part of shaping, entry by entry."""
    job = job or speed_job(EMBEDDED)
    training = Training(job, precision="bfloat16")
    training.step()
    step_seconds = [timed(training.step) for _ in range(steps)]
    parts = shaping_seconds(Training(job, precision="bfloat16", weights=WEIGHTS), job, repeats)
    return {"weights": WEIGHTS, "responses": job.batch, "step_cpu_seconds": step_seconds, "shaping_cpu_seconds": parts}


@torch.no_grad()
def shaping_seconds(training: Training, job: Job, repeats: int) -> dict[str, list[float]]:
    """CPU seconds per part, one entry per repeat."""
    from inner_loop.shaping import explain_responses

    trainer, config = training.trainer, training.config
    rollout = sample_rollout(
        trainer.actor_critic.sampler,
        trainer.task.tokenizer,
        training.prompts.draw(config.prompts_per_step),
        max_new_tokens=job.response_tokens,
        temperature=1.0,
        generator=torch.Generator().manual_seed(0),
    )
    credits_: list[Any] = []

    def explain(*arguments: Any, **keywords: Any) -> list[Any]:
        credits_.extend(explain_responses(*arguments, **keywords))
        return credits_

    with patch(EXPLAIN, explain):
        shaped = training.shaping(rollout.prompts, rollout.responses, token_ends=rollout.token_ends)
    mask, scale = rollout.batch.response_mask, RunningScale()
    rewards = pad_rewards(shaped, mask)
    values = torch.randn(rewards.shape, generator=torch.Generator().manual_seed(0))
    parts: dict[str, Callable[[], object]] = {
        "mix": lambda: training.shaping(rollout.prompts, rollout.responses, token_ends=rollout.token_ends),
        "place": lambda: pad_rewards(shaped, mask),
        "normalise": lambda: scale(rewards),
        "advantages": lambda: estimate_advantages(values, rewards, mask),
        "whiten": lambda: whiten(values, mask),
    }
    with patch(EXPLAIN, lambda *_, **__: credits_):
        return {name: [timed(part) for _ in range(repeats)] for name, part in parts.items()}


def timed(call: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def bars(result: dict[str, Any]) -> list[Bar]:
    """The interval is that of the fastest and the slowest repeat, each in units of the median step."""
    step = median(result["step_cpu_seconds"])
    totals = [sum(parts) / step for parts in zip(*result["shaping_cpu_seconds"].values(), strict=True)]
    name = "mixing, placing, normalising and advantages, in steps"
    return [Bar(name, median(totals), "<=", LIMIT, min(totals), max(totals))]


def table_of(result: dict[str, Any]) -> str:
    """One line."""
    parts = ", ".join(f"{name} {1e3 * median(times):.2f}" for name, times in result["shaping_cpu_seconds"].items())
    step = median(result["step_cpu_seconds"])
    return f"CPU ms for {result['responses']} responses: {parts}; a sparse step takes {1e3 * step:.0f}"
