"""The table of the embedded task: credit and the advantages made of it, against Monte-Carlo advantages.

Two policies, the start and one that was trained for some steps, answer the same held-out prompts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.credit_truth import agreement
from experiments.benchmarks.credit_truth.estimators import CRITICS, LAMBDAS, Moments, moments_of, quality
from experiments.benchmarks.credit_truth.sample_files import read_samples, write_samples
from experiments.benchmarks.credit_truth.sampled import Key, Sample, keys, sample_responses
from experiments.benchmarks.intervals import N_RESAMPLES
from inner_loop import result_of, run_trial
from inner_loop.models.task import Task, load_task
from inner_loop.spec import AttributionConfig, EvaluationConfig, PPOConfig, TaskConfig, TrialSpec

POLICIES = ("start", "trained")
N_RESPONSES = 24
N_SCORED = 64
N_EXPLAINED = 2
TRAINED_STEPS = 10
SEED = 0


def training(steps: int, n_prompts: int) -> TrialSpec:
    """Shapley credit of single tokens, lambda 0.7: what learns well without any study."""
    return TrialSpec(
        weights={"shap": 1.0},
        attribution=AttributionConfig(units="tokens", budget=64),
        ppo=PPOConfig(steps=steps, epochs=2, gae_lambda=0.7, learning_rate=8e-4, kl_coef=0.2, precision="float32"),
        evaluation=EvaluationConfig(n_prompts=n_prompts, every=max(steps, 1), split="heldout"),
        seed=SEED,
        n_samples=0,
    )


def measure(
    policy: str,
    folder: Path,
    *,
    n_responses: int = N_RESPONSES,
    n_scored: int = N_SCORED,
    n_explained: int = N_EXPLAINED,
    steps: int = TRAINED_STEPS,
) -> dict[str, Any]:
    """Plain data of one policy; what is sampled is kept in `folder`."""
    sizes = {"n_scored": n_scored, "n_explained": n_explained, "seed": SEED}
    settings = {"policy": policy, "n_responses": n_responses, "steps": steps if policy == "trained" else 0, **sizes}
    file = folder / f"{policy}.npz"
    kept = read_samples(file, settings)
    if kept is None:
        task, trained = load(policy, n_responses=n_responses, steps=steps)
        samples = sample_responses(task, task.policy, response_tokens=TaskConfig().response_tokens, **sizes)
        made_with = settings | trained
        write_samples(file, samples, made_with)
    else:
        samples, made_with = kept
    return {"made_with": made_with, **agreement.describe(samples), "estimates": estimates(samples)}


def load(policy: str, *, n_responses: int, steps: int) -> tuple[Task, dict[str, Any]]:
    """The task with the policy as it starts or as it was trained, and what the training reached."""
    evaluation = EvaluationConfig(n_prompts=n_responses, split="heldout")
    if policy == "start":
        return load_task(TaskConfig(), evaluation), {}
    spec = training(steps, n_responses)
    with tempfile.TemporaryDirectory() as folder:
        result = result_of(run_trial(spec, save_policy=folder))
        task = load_task(TaskConfig(policy=folder), evaluation)
    return task, {"reward": result.mean, "kl": result.kl, "training": spec.model_dump(exclude_defaults=True)}


def estimates(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """A row per component, critic and lambda: `Quality` with 95 % bootstrap intervals over responses.

    `beside_sparse` is the error over that of the sparse reward at lambda 1 and the same critic.
    """
    found = {
        (key, critic, value): [moments_of(sample.scores, sample.credit[key], critic, value) for sample in samples]
        for key in keys()
        for critic in CRITICS
        for value in LAMBDAS
    }
    rng = np.random.default_rng(SEED)
    picks = rng.multinomial(len(samples), np.full(len(samples), 1 / len(samples)), size=N_RESAMPLES)
    sparse: Key = ("sparse", "")
    return [
        {
            "component": key[0],
            "units": key[1],
            "critic": critic,
            "lambda": value,
            **_with_intervals(moments, found[sparse, critic, 1.0], picks),
        }
        for (key, critic, value), moments in found.items()
    ]


def _with_intervals(
    moments: Sequence[Moments], of_sparse: Sequence[Moments], picks: np.ndarray
) -> dict[str, list[float]]:
    def numbers(weights: np.ndarray | None) -> dict[str, Any]:
        ours = quality(moments, weights)
        return {**asdict(ours), "beside_sparse": ours.error / quality(of_sparse, weights).error}

    resampled = numbers(picks)
    return {
        name: [float(value), *np.nanquantile(resampled[name], [0.025, 0.975]).tolist()]
        for name, value in numbers(None).items()
    }
