"""Our trainer on a job, as a worker of the benchmark.

python -m experiments.benchmarks.ppo.our_job JOB.json --precision bfloat16 --trainable-layers 10
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch

from experiments.benchmarks.ppo.contenders import serve
from experiments.benchmarks.ppo.jobs import Job, as_prompts
from inner_loop.models.prompt_sampler import PromptSampler
from inner_loop.models.task import load_task
from inner_loop.ppo.clock import PhaseClock
from inner_loop.ppo.loaded_models import make_actor_critic
from inner_loop.ppo.training import PPOTrainer
from inner_loop.shaping import ShapingFunction
from inner_loop.spec import EvaluationConfig, PPOConfig, TaskConfig
from inner_loop.trial import peak_memory_mb

DENSE = {"shap": 0.6, "sparse": 0.4}
"""Mixing weights with `--dense`."""


class Training:
    """The trainer of a job and where its prompts come from.

    Args:
        job: What to train.
        precision: As `PPOConfig.precision`.
        trainable_layers: As `PPOConfig.trainable_layers`.
        weights: Mixing weights; None for the sparse reward.
        algorithm: As `PPOConfig.algorithm`; without a critic, with the job's group.
    """

    def __init__(
        self,
        job: Job,
        *,
        precision: str = "float32",
        trainable_layers: int | None = None,
        weights: dict[str, float] | None = None,
        algorithm: str = "ppo",
    ) -> None:
        self.config = PPOConfig.model_validate(
            {
                "rollout_size": job.batch,
                "minibatch_size": job.batch,
                "epochs": job.epochs,
                "learning_rate": job.learning_rate,
                "kl_coef": job.kl_coef,
                "precision": precision,
                "trainable_layers": trainable_layers,
                "algorithm": algorithm,
                "samples_per_prompt": 1 if algorithm == "ppo" else job.group,
            }
        )
        task_config = TaskConfig(policy=job.policy, reward_model=job.reward_model, max_prompt_tokens=100)
        task = replace(load_task(task_config, EvaluationConfig(n_prompts=1)), train_prompts=as_prompts(job))
        if job.never_drawn is not None:
            task.tokenizer.eos_token = task.tokenizer.pad_token = job.never_drawn
        generator = torch.Generator().manual_seed(job.seeds[0])
        self.prompts = PromptSampler(task.train_prompts, generator)
        self.shaping = ShapingFunction(weights or {"sparse": 1.0}, reward_model=task.reward_model)
        self.trainer = PPOTrainer(
            task,
            make_actor_critic(task, self.config),
            self.shaping,
            self.config,
            response_tokens=job.response_tokens,
            generator=generator,
            clock=PhaseClock(),
        )

    def step(self) -> float:
        """One step; returns its response tokens."""
        return self.trainer.step(self.prompts.draw(self.config.prompts_per_step)).length * self.config.rollout_size


def main() -> None:
    """The worker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--trainable-layers", type=int)
    parser.add_argument("--dense", action="store_true", help="with credit")
    parser.add_argument("--algorithm", default="ppo")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    training = Training(
        Job.read(arguments.job),
        precision=arguments.precision,
        trainable_layers=arguments.trainable_layers,
        weights=DENSE if arguments.dense else None,
        algorithm=arguments.algorithm,
    )
    seconds = training.trainer.clock.seconds
    serve(
        training.step,
        lambda: (time.process_time(), time.perf_counter()),
        peak_memory_mb,
        lambda: dict(seconds),
    )


if __name__ == "__main__":
    main()
