"""The GRPO of the trl that is installed here on a job of the benchmark, as a worker.

    python -m experiments.benchmarks.ppo.grpo_job JOB.json

Batch, lengths, epochs (iterations), KL price, learning rate and reward model are the job's. What is left as trl has it:
generation by transformers, clipping of gradients, the loss. Forward passes are in bfloat16 on a GPU, as ours are there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from experiments.benchmarks.ppo.trl_job import TextRewardModel, in_turns


class Reward:
    """The job's reward model as a function of trl's, which counts the tokens that it is shown."""

    __name__ = "reward"

    def __init__(self, folder: str, tokenizer: Any, device: str) -> None:
        self._model = TextRewardModel(folder, tokenizer).to(device)
        self.n_tokens = 0

    def __call__(self, prompts: list[str], completions: list[str], **known: Any) -> list[float]:
        """One score per response to its prompt."""
        self.n_tokens = sum(map(len, known["completion_ids"]))
        texts = [prompt + completion for prompt, completion in zip(prompts, completions, strict=True)]
        return self._model.score_texts(texts).tolist()


def make_trainer(job: dict[str, Any], folder: str) -> tuple[Any, Reward]:
    """The trainer of a job, and its reward function."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    torch.manual_seed(job["seeds"][0])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(job["policy"], padding_side="left")
    policy = AutoModelForCausalLM.from_pretrained(job["policy"], dtype=torch.float32)
    if job["never_drawn"] is not None:
        tokenizer.pad_token = tokenizer.eos_token = job["never_drawn"]
        policy.generation_config.eos_token_id = tokenizer.eos_token_id
    reward = Reward(job["reward_model"], tokenizer, device)
    config = GRPOConfig(
        output_dir=folder,
        seed=job["seeds"][0],
        per_device_train_batch_size=job["batch"],
        steps_per_generation=1,
        num_iterations=job["epochs"],
        num_generations=job["group"],
        max_completion_length=job["response_tokens"],
        temperature=1.0,
        top_k=0,
        beta=job["kl_coef"],
        learning_rate=job["learning_rate"],
        lr_scheduler_type="constant",
        max_steps=10**6,
        gradient_checkpointing=False,
        bf16=device == "cuda",
        use_cpu=device == "cpu",
        save_strategy="no",
        logging_steps=10**6,
        report_to="none",
        disable_tqdm=True,
    )
    dataset = Dataset.from_dict({"prompt": job["texts"]})
    return GRPOTrainer(policy, reward, config, dataset, processing_class=tokenizer), reward


def main() -> None:
    """The worker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path)
    job = json.loads(parser.parse_args().job.read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        trainer, reward = make_trainer(job, folder)
        in_turns(trainer, lambda: reward.n_tokens, updates=job["epochs"])


if __name__ == "__main__":
    main()
