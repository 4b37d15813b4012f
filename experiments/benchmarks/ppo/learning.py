"""Does it learn as much? Rewards after the same number of steps on the embedded task, sparse, ours and trl's.

Everything is judged by our evaluation: the unshaped score on 256 validation prompts with fixed sampling noise, in
float32. Seeds of ours and of trl's have nothing in common, so their difference has Welch's interval; precisions of ours
share seeds, prompts and noise, so theirs is paired. A bar asks whether the interval's upper end reaches zero: it can
show that learning is worse, and a wide interval that it is not known.

The job is the same in prompts, lengths, temperature, batch, epochs, clipping, KL (k1, in the reward), GAE, whitening,
value loss, and Adam (betas, epsilon, constant learning rate, no weight decay). What differs is left as each has it:
trl's critic has a trunk of its own, its score lands on the padding after the last token, its gradients are not clipped.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from scipy import stats
from tabulate import tabulate

from experiments.benchmarks.bars import Bar
from experiments.benchmarks.intervals import Interval
from experiments.benchmarks.ppo.contenders import MARK, ContenderError, environment, trl
from experiments.benchmarks.ppo.jobs import Job, learning_job
from inner_loop import TrialSpec, result_of, run_trial
from inner_loop.evaluation import Evaluation, evaluate
from inner_loop.models.model_source import without_progress_bars
from inner_loop.models.task import load_task
from inner_loop.ppo.loaded_models import make_actor_critic
from inner_loop.spec import EvaluationConfig, PPOConfig, TaskConfig

TRL = "trl 1.9.2"
START = "start"
PRECISIONS = ("float32", "bfloat16")
N_STEPS, N_SEEDS, N_PROMPTS = 20, 10, 256
LEVEL = 0.95


def measure(
    trl_python: str | None, *, steps: int = N_STEPS, seeds: int = N_SEEDS, n_prompts: int = N_PROMPTS
) -> dict[str, Any]:
    """Final reward and KL by trainer, one entry per seed."""
    job = learning_job(range(seeds))
    rewards: dict[str, list[float]] = {}
    kls: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        trainings: dict[str, Callable[[], list[str | None]]] = {START: lambda: [None]}
        for precision in PRECISIONS:
            trainings[f"ours, {precision}"] = partial(train_ours, job, precision, Path(folder), steps)
        if trl_python is not None:
            trainings[TRL] = partial(train_trl, trl_python, job, Path(folder), steps)
        for name, train in trainings.items():
            judged = [judge(weights, job, n_prompts) for weights in train()]
            rewards[name], kls[name] = [reward for reward, _ in judged], [kl for _, kl in judged]
            print(f"{name}: reward {np.mean(rewards[name]):.3f}", flush=True)
    settings = {"learning_rate": job.learning_rate, "kl_coef": job.kl_coef, "epochs": job.epochs, "batch": job.batch}
    return {
        "steps": steps,
        "n_prompts": n_prompts,
        "response_tokens": job.response_tokens,
        "settings": settings,
        "reward": rewards,
        "kl": kls,
    }


def train_ours(job: Job, precision: str, folder: Path, steps: int) -> list[str | None]:
    """The folders of our trained policies, one per seed."""
    folders: list[str | None] = []
    for seed in job.seeds:
        spec = TrialSpec.model_validate(
            {
                "weights": {"sparse": 1.0},
                "task": TaskConfig(response_tokens=job.response_tokens),
                "ppo": {
                    "steps": steps,
                    "rollout_size": job.batch,
                    "minibatch_size": job.batch,
                    "epochs": job.epochs,
                    "learning_rate": job.learning_rate,
                    "kl_coef": job.kl_coef,
                    "precision": precision,
                },
                "evaluation": EvaluationConfig(n_prompts=2, every=steps),
                "seed": seed,
                "n_samples": 0,
            }
        )
        folders.append(str(folder / f"{precision}-{seed}"))
        with without_progress_bars():
            result_of(run_trial(spec, save_policy=folders[-1]))
    return folders


def train_trl(python: str, job: Job, folder: Path, steps: int) -> list[str | None]:
    """The folders of trl's trained policies, one per seed.

    Raises:
        ContenderError: If it does not end well.
    """
    command = [*trl(python, job.write(folder / "job.json")), "--learn", str(folder), "--steps", str(steps)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment())
    if run.returncode:
        raise ContenderError(f"trl ended with code {run.returncode}:\n{run.stderr[-1000:]}")
    return [json.loads(line.removeprefix(MARK))["folder"] for line in run.stdout.splitlines() if line.startswith(MARK)]


def judge(weights: str | None, job: Job, n_prompts: int) -> tuple[float, float]:
    """`(reward, KL)` of the policy saved in a folder, or of the start policy, in float32; KL to the start policy."""
    from transformers import AutoModelForCausalLM

    config = PPOConfig(precision="float32")
    evaluation = EvaluationConfig(n_prompts=n_prompts)
    task = load_task(TaskConfig(response_tokens=job.response_tokens), evaluation)
    actor_critic = make_actor_critic(task, config)
    if weights is not None:
        # In float32 the weights that are trained are those that sample; the reference keeps its own.
        with without_progress_bars():
            trained = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32)
        actor_critic.policy.load_state_dict(trained.state_dict())
    judged: Evaluation = evaluate(
        actor_critic,
        task.tokenizer,
        task.reward_model,
        task.evaluation_prompts,
        evaluation,
        step=0,
        response_tokens=job.response_tokens,
        sampling=config,
    )
    return judged.point.mean, judged.point.kl


def welch(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Mean of `ours` minus mean of `theirs` with its 95 % interval, for independent seeds of unequal variance."""
    test = stats.ttest_ind(ours, theirs, equal_var=False)
    low, high = test.confidence_interval(LEVEL)
    return Interval(float(np.mean(ours) - np.mean(theirs)), float(low), float(high))


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Mean of the differences, seed by seed, with its 95 % interval."""
    low, high = stats.ttest_rel(ours, theirs).confidence_interval(LEVEL)
    return Interval(float(np.mean(np.subtract(ours, theirs))), float(low), float(high))


def bars(result: dict[str, Any]) -> list[Bar]:
    """A bar's value is the upper end of the interval of a difference; the note has the difference."""
    reward = result["reward"]
    gaps = {}
    if TRL in reward:
        gaps = {f"ours ({name}) - trl": welch(reward[f"ours, {name}"], reward[TRL]) for name in PRECISIONS}
    gaps["bfloat16 - float32, paired"] = paired(reward["ours, bfloat16"], reward["ours, float32"])
    return [
        Bar(f"reward, upper end of 95 %: {name}", gap.high, ">=", 0.0, note=f"difference {gap}")
        for name, gap in gaps.items()
    ]


def table_of(result: dict[str, Any]) -> str:
    """One row per trainer."""
    rows = [
        [
            name,
            f"{np.mean(values):.3f}",
            f"{np.std(values, ddof=1):.3f}" if len(values) > 1 else "",
            f"{np.mean(result['kl'][name]):.2f}",
            ", ".join(f"{value:.2f}" for value in values),
        ]
        for name, values in result["reward"].items()
    ]
    headers = ["trainer", "reward", "std over seeds", "KL", "by seed"]
    table = tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)
    return f"after {result['steps']} steps, on {result['n_prompts']} prompts, {result['settings']}\n{table}"
