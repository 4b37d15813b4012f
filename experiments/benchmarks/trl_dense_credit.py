"""Does credit per token help TRL's GRPO? The embedded task, scalar against dense, seed by seed.

    python -m experiments.benchmarks.trl_dense_credit

Three trainings per seed that differ in the advantage alone: TRL's own `GRPOTrainer`, and `DenseCreditGRPOTrainer` with
Shapley values of units of one token, as reward-to-go and as weights. Prompts, responses per step, optimizer steps and
evaluations are the same, and so is the seed; explaining the responses is the only thing that dense credit costs more.
The policy is judged as everywhere here: the unshaped score on validation prompts with fixed sampling noise.

Reported: the final reward; the reward where the KL to the start first reaches a given number of nats, and the steps to
what the scalar training of the same seed ends with, both read off the curve by straight lines between its points, with
the number of seeds that got there; differences to scalar are paired by seed, with the 95 % interval of Student's t.
Exits with 0 whatever comes out: it is a measurement and has no bars.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from scipy import stats
from tabulate import tabulate
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from experiments.benchmarks.intervals import Interval
from experiments.benchmarks.results_file import environment, installed, save
from inner_loop.evaluation import evaluate
from inner_loop.integrations.policy_and_reference import PolicyAndReference
from inner_loop.integrations.trl_trainer import DenseCreditGRPOTrainer
from inner_loop.models.model_source import without_progress_bars
from inner_loop.models.prompt_sampler import PromptSampler
from inner_loop.models.reward_models import score_responses
from inner_loop.models.task import load_task
from inner_loop.shaping import ShapingFunction
from inner_loop.spec import AttributionConfig, EvaluationConfig, PPOConfig, TaskConfig

OUTPUT = Path(__file__).resolve().parent / "results" / "trl_dense_credit.json"
SCALAR = "scalar"
ARMS: dict[str, dict[str, Any]] = {
    SCALAR: {},
    "reward-to-go": {"advantage": "reward_to_go"},
    "weights": {"advantage": "weights"},
}
SETTINGS: dict[str, Any] = {
    "per_device_train_batch_size": 32,
    "num_generations": 4,
    "num_iterations": 2,
    "learning_rate": 4e-4,
    "beta": 0.02,
    "loss_type": "grpo",
}
ATTRIBUTION = AttributionConfig(units="tokens", budget=64)
RESPONSE_TOKENS, STEPS, EVERY, N_PROMPTS, N_SEEDS = 12, 16, 4, 96, 8
KLS = (1.0, 2.0, 4.0)
"""Nats per response at which rewards are compared."""
LEVEL = 0.95


def train(arm: str, seed: int, *, steps: int = STEPS, every: int = EVERY, n_prompts: int = N_PROMPTS) -> dict[str, Any]:
    """One training: its curve of `step`, `reward` and `kl`, and its CPU seconds without the evaluations."""
    torch.set_num_threads(1)
    evaluation = EvaluationConfig(n_prompts=n_prompts)
    with without_progress_bars():
        task = load_task(TaskConfig(response_tokens=RESPONSE_TOKENS), evaluation)
    judged = PolicyAndReference(task.policy)
    curve: dict[str, list[float]] = {"step": [], "reward": [], "kl": []}
    seconds = {"evaluate": 0.0}

    def judge(step: int) -> None:
        start = time.process_time()
        point = evaluate(
            judged,
            task.tokenizer,
            task.reward_model,
            task.evaluation_prompts,
            evaluation,
            step=step,
            response_tokens=RESPONSE_TOKENS,
            sampling=PPOConfig(),
        ).point
        for name, value in zip(curve, (step, point.mean, point.kl), strict=True):
            curve[name].append(value)
        seconds["evaluate"] += time.process_time() - start

    class Judge(TrainerCallback):
        """Adds a point to the curve."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """An optimizer step is done; those on one rollout are one step."""
            step, rest = divmod(state.global_step, SETTINGS["num_iterations"])
            if not rest and step % every == 0:
                judge(step)

    def score(prompts: list[str], completions: list[str], **_: Any) -> list[float]:
        return score_responses(task.reward_model, prompts, completions)

    n_per_step = SETTINGS["per_device_train_batch_size"] // SETTINGS["num_generations"]
    sampler = PromptSampler(task.train_prompts, torch.Generator().manual_seed(seed))
    rows = Dataset.from_dict({"prompt": [prompt.text for prompt in sampler.draw(n_per_step * steps)]})
    judge(0)
    with TemporaryDirectory() as folder, without_progress_bars():
        config = GRPOConfig(
            output_dir=folder,
            seed=seed,
            max_steps=steps * SETTINGS["num_iterations"],
            max_completion_length=RESPONSE_TOKENS,
            shuffle_dataset=False,
            lr_scheduler_type="constant",
            logging_steps=10**6,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            **SETTINGS,
        )
        common = {"processing_class": task.tokenizer, "callbacks": [Judge()]}
        if arm == SCALAR:
            trainer = GRPOTrainer(task.policy, score, config, rows, **common)
        else:
            shaping = ShapingFunction({"shap": 1.0}, ATTRIBUTION, reward_model=task.reward_model)
            trainer = DenseCreditGRPOTrainer(task.policy, score, config, rows, credit=shaping, **ARMS[arm], **common)
        start, before = time.process_time(), seconds["evaluate"]
        trainer.train()
    spent = time.process_time() - start - (seconds["evaluate"] - before)
    return {"seed": seed, **curve, "cpu_seconds": round(spent, 1)}


def first_reached(x: Sequence[float], y: Sequence[float], level: float) -> float | None:
    """`x` where `y` first reaches `level`, by straight lines between the points; None if it never does."""
    for index, value in enumerate(y):
        if value >= level:
            if index == 0:
                return float(x[0])
            share = (level - y[index - 1]) / (value - y[index - 1])
            return float(x[index - 1] + share * (x[index] - x[index - 1]))
    return None


def read_off(run: dict[str, Any], scalar: dict[str, Any]) -> dict[str, float | None]:
    """The reported numbers of one training; `scalar` is TRL's of the same seed."""
    at_kl = {f"reward at KL {kl:g}": first_reached(run["reward"], run["kl"], kl) for kl in KLS}
    return {
        "final reward": run["reward"][-1],
        "final KL": run["kl"][-1],
        "mean reward over steps": float(np.trapezoid(run["reward"], run["step"]) / run["step"][-1]),
        **at_kl,
        "steps to scalar's final reward": first_reached(run["step"], run["reward"], scalar["reward"][-1]),
    }


def interval(values: Sequence[float]) -> list[float] | None:
    """Mean with its 95 % interval by Student's t, as plain data; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values))
    return Interval(mean, mean - half, mean + half).to_list()


def summary(runs: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One record per arm and number: the interval over seeds, and that of the paired difference to scalar."""
    records = []
    every = {
        arm: [read_off(run, scalar) for run, scalar in zip(rows, runs[SCALAR], strict=True)]
        for arm, rows in runs.items()
    }
    for measure in every[SCALAR][0]:
        for arm, rows in every.items():
            values = [row[measure] for row in rows]
            reached = [value for value in values if value is not None]
            pairs = [
                (value, other[measure])
                for value, other in zip(values, every[SCALAR], strict=True)
                if value is not None and other[measure] is not None
            ]
            record = {"measure": measure, "arm": arm, "seeds": len(reached)}
            record["mean"] = interval(reached)
            if arm != SCALAR:
                record["pairs"] = len(pairs)
                record["less scalar"] = interval([a - b for a, b in pairs])
            records.append(record)
    return records


def table_of(records: Sequence[dict[str, Any]]) -> str:
    """The summary for reading."""
    shown = [
        [
            record["measure"],
            record["arm"],
            record["seeds"],
            _shown(record["mean"]),
            _shown(record.get("less scalar")),
        ]
        for record in records
    ]
    return str(tabulate(shown, headers=["", "advantage", "seeds", "mean [95 %]", "less scalar, paired [95 %]"]))


def _shown(numbers: Sequence[float] | None) -> str:
    return "" if numbers is None else str(Interval(*numbers))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.benchmarks.trl_dense_credit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help=f"trainings per arm ({N_SEEDS})")
    parser.add_argument("--workers", type=int, default=2, help="trainings side by side, one thread each (2)")
    parser.add_argument("--quick", action="store_true", help="two seeds of two steps, to see that it runs")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the JSON file")
    arguments = parser.parse_args()
    size = {"steps": 2, "every": 1, "n_prompts": 8} if arguments.quick else {}
    start, seeds = time.monotonic(), range(2 if arguments.quick else arguments.seeds)
    done: dict[str, dict[int, dict[str, Any]]] = {arm: {} for arm in ARMS}
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        jobs = {pool.submit(train, arm, seed, **size): arm for seed in seeds for arm in ARMS}
        for job in as_completed(jobs):
            arm, run = jobs[job], job.result()
            done[arm][run["seed"]] = run
            print(
                f"{arm}, seed {run['seed']}: reward {run['reward'][-1]:.3f}, KL {run['kl'][-1]:.2f}, "
                f"{run['cpu_seconds']:.0f} s",
                flush=True,
            )
            if run["seed"] not in set.intersection(*(set(rows) for rows in done.values())):
                continue
            # After every seed that all arms have: a run that is ended early leaves what it has.
            whole = sorted(set.intersection(*(set(rows) for rows in done.values())))
            runs = {arm: [rows[seed] for seed in whole] for arm, rows in done.items()}
            records = summary(runs)
            settings = {
                **SETTINGS,
                "attribution": ATTRIBUTION.model_dump(exclude_defaults=True),
                "steps": STEPS,
                "every": EVERY,
                "n_prompts": N_PROMPTS,
                "response_tokens": RESPONSE_TOKENS,
            }
            record = {
                "environment": environment(installed(["trl", "accelerate"])),
                "quick": arguments.quick,
                "minutes": round((time.monotonic() - start) / 60, 1),
                "settings": settings | size,
                "summary": records,
                "runs": runs,
            }
            save(arguments.output, "trl_dense_credit", record)
    print(table_of(records))


if __name__ == "__main__":
    main()
