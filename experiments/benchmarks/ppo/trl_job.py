"""trl's PPOTrainer on a job of the benchmark, in a Python that has trl 1.9.2: imports nothing of this repository.

    python trl_job.py JOB.json                      a worker of the benchmark: see contenders.py
    python trl_job.py JOB.json --learn FOLDER --steps 20    one training per seed of the job; keeps the policies

What is left as trl has it: float32 (its bf16 switch changes nothing on a CPU), generation by transformers, entropy in
every minibatch, no clipping of gradients (it has none). What is set: gradient checkpointing off, and a constant
learning rate. The critic of a worker is small (2 layers of 256), the one of `--learn` starts as the policy's trunk with
a head of zeros, as ours does.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn


class TextRewardModel(nn.Module):
    """A classifier of texts in the shape of a reward model that reads the policy's tokens.

    trl takes the score from the last hidden state of `base_model_prefix` at the last token: that state is the score.
    """

    base_model_prefix = "backbone"

    def __init__(self, folder: str, policy_tokenizer: Any) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        super().__init__()
        self.classifier = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer, self.policy_tokenizer = AutoTokenizer.from_pretrained(folder), policy_tokenizer
        self.score = nn.Identity()

    @torch.no_grad()
    def score_texts(self, texts: list[str]) -> Tensor:
        """`b` scores."""
        batch = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        batch = {name: batch[name].to(self.classifier.device) for name in ("input_ids", "attention_mask")}
        return self.classifier(**batch).logits[:, 0].float()

    def backbone(self, input_ids: Tensor, **_: Any) -> SimpleNamespace:
        """Stands in for the trunk: `b x t x 1` states, all of them the score of the text."""
        texts = self.policy_tokenizer.batch_decode(
            input_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        scores = self.score_texts(texts)
        return SimpleNamespace(hidden_states=[scores[:, None, None].expand(*input_ids.shape, 1)])


def make_trainer(job: dict[str, Any], folder: str, *, n_steps: int, seed: int, small_critic: bool) -> Any:
    """The trainer of a job."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(job["policy"], padding_side="left")
    if job["never_drawn"] is not None:
        tokenizer.pad_token = job["never_drawn"]
    policy, reference = (AutoModelForCausalLM.from_pretrained(job["policy"], dtype=torch.float32) for _ in range(2))
    dataset = Dataset.from_dict({"input_ids": job["prompts"]})
    config = PPOConfig(
        output_dir=folder,
        seed=seed,
        per_device_train_batch_size=job["batch"],
        gradient_accumulation_steps=1,
        num_mini_batches=1,
        local_rollout_forward_batch_size=job["batch"],
        total_episodes=job["batch"] * n_steps,
        num_ppo_epochs=job["epochs"],
        response_length=job["response_tokens"],
        stop_token=None if job["never_drawn"] is not None else "eos",
        temperature=1.0,
        learning_rate=job["learning_rate"],
        lr_scheduler_type="constant",
        kl_coef=job["kl_coef"],
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        num_sample_generations=0,
        save_strategy="no",
        logging_steps=10**6,
        report_to=[],
        disable_tqdm=True,
    )
    return PPOTrainer(
        config,
        tokenizer,
        policy,
        reference,
        TextRewardModel(job["reward_model"], tokenizer),
        dataset,
        make_critic(job["policy"], tokenizer, small=small_critic),
        eval_dataset=dataset,
    )


def make_critic(policy: str, tokenizer: Any, *, small: bool) -> Any:
    """The value model."""
    from transformers import AutoModelForSequenceClassification, LlamaConfig, LlamaForSequenceClassification

    if not small:
        critic = AutoModelForSequenceClassification.from_pretrained(policy, num_labels=1, dtype=torch.float32)
        nn.init.zeros_(critic.score.weight)
        return critic
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_labels=1,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForSequenceClassification(config)


def serve(job: dict[str, Any], folder: str) -> None:
    """Train for as many steps as are asked for."""
    trainer = make_trainer(job, folder, n_steps=10**4, seed=job["seeds"][0], small_critic=True)
    in_turns(trainer, lambda: job["batch"] * job["response_tokens"])


def in_turns(trainer: Any, tokens_of_step: Callable[[], float], updates: int = 1) -> None:
    """Train for as many steps as are asked for, as contenders.py asks.

    Args:
        trainer: One of trl's.
        tokens_of_step: Response tokens of the step that has just been taken.
        updates: What the trainer calls steps, in one of the benchmark.
    """
    from transformers import TrainerCallback

    asked: dict[str, float] = {}

    def wait() -> None:
        emit(answer() if asked else {})
        line = sys.stdin.readline()
        if not line:
            gpu = {"peak_gpu_mb": torch.cuda.max_memory_allocated() / 2**20} if torch.cuda.is_available() else {}
            emit({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024} | gpu)
            sys.exit()
        asked.update(left=int(line.split()[1]) * updates, tokens=0.0)
        asked.update(cpu=time.process_time(), wall=time.perf_counter())

    def answer() -> dict[str, float]:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = {
            "cpu_seconds": time.process_time() - asked["cpu"],
            "wall_seconds": time.perf_counter() - asked["wall"],
        }
        return seconds | {"tokens": asked["tokens"]}

    class Turns(TrainerCallback):
        """Holds the training up between steps."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            """Loaded."""
            wait()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            """An update is done."""
            asked["left"] -= 1
            if asked["left"] % updates == 0:
                asked["tokens"] += tokens_of_step()
            if not asked["left"]:
                wait()

    trainer.add_callback(Turns())
    trainer.train()


def learn(job: dict[str, Any], folder: Path, n_steps: int) -> None:
    """One training per seed; prints the folder of each trained policy."""
    for seed in job["seeds"]:
        trainer = make_trainer(job, str(folder / "log"), n_steps=n_steps, seed=seed, small_critic=False)
        start = time.process_time()
        trainer.train()
        path = folder / f"seed-{seed}"
        trainer.policy_model.save_pretrained(path)
        emit({"seed": seed, "folder": str(path), "cpu_seconds": time.process_time() - start})


def emit(record: dict[str, Any]) -> None:
    """Print one record, as contenders.py reads it."""
    print("@" + json.dumps(record), flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path)
    parser.add_argument("--learn", type=Path, help="where to keep the trained policies")
    parser.add_argument("--steps", type=int, default=20, help="of a training with --learn")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    job = json.loads(arguments.job.read_text(encoding="utf-8"))
    if arguments.learn is not None:
        learn(job, arguments.learn, arguments.steps)
        return
    with tempfile.TemporaryDirectory() as folder:
        serve(job, folder)


if __name__ == "__main__":
    main()
