"""Two processes of accelerate on a CPU (gloo): a group that lies on both has the advantages it has on one."""

import json
import os
import socket
import subprocess
import sys

import pytest

from inner_loop.integrations.core import token_advantages

SCRIPT = """
import json, sys
import torch
from datasets import Dataset

from inner_loop.integrations.trl_trainer import DenseCreditGRPOTrainer
from inner_loop.models.model_source import model_source
from tests.inner_loop.conftest import PROMPTS, make_tiny_policy
from tests.inner_loop.integrations.trl_parts import as_config, letters, rising_credit

folder, way, out = sys.argv[1:]
tokenizer = model_source("embedded", "policy").tokenizer()


class Watched(DenseCreditGRPOTrainer):
    def _generate_and_score_completions(self, inputs):
        batch = super()._generate_and_score_completions(inputs)
        rank, mask = self.accelerator.process_index, batch["completion_mask"].bool()
        seen = {
            "texts": tokenizer.batch_decode(batch["completion_ids"], skip_special_tokens=True),
            "advantages": [row[own].tolist() for row, own in zip(batch["advantages"], mask)],
            "table": [list(row) for row in self._logs["advantages"]],
        }
        open(f"{out}-{rank}.json", "w").write(json.dumps(seen))
        return batch


TEXTS = [[" a good film", " film"], [" good", " a bad but very slow film"]]


def rollout(prompts, trainer):
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS[trainer.accelerator.process_index]]
    prompt_ids = [tokenizer(prompt)["input_ids"] for prompt in prompts]
    return {"prompt_ids": prompt_ids, "completion_ids": ids, "logprobs": [[0.0] * len(row) for row in ids]}


# Two responses a process of groups of four: every group lies on both.
config = as_config(folder, per_device_train_batch_size=2, max_steps=1, scale_rewards="none", save_only_model=True)
rows = Dataset.from_dict({"prompt": PROMPTS})
trainer = Watched(make_tiny_policy(tokenizer), letters, config, rows, processing_class=tokenizer,
                  credit=rising_credit, advantage=way)
trainer.rollout_func = rollout
trainer.train()
total = sum(weight.double().sum() for weight in trainer.accelerator.unwrap_model(trainer.model).parameters())
open(f"{out}-weights-{trainer.accelerator.process_index}.json", "w").write(json.dumps(total.item()))
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_two(script, *arguments):
    """Run a script in two processes, as `torchrun` or `accelerate launch` would."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    shared |= {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors[0][-2000:]


@pytest.mark.parametrize("way", ["reward_to_go", "weights"])
def test_a_group_on_two_processes_is_one_group(tmp_path, way):
    run_two(SCRIPT, tmp_path / "log", way, tmp_path / "out")
    seen = [json.loads((tmp_path / f"out-{rank}.json").read_text()) for rank in range(2)]
    texts = seen[0]["texts"] + seen[1]["texts"]
    rows = seen[0]["advantages"] + seen[1]["advantages"]
    outcomes = [len(set(text)) - 0.25 * text.count("e") for text in texts]
    assert len(texts) == 4
    assert max(map(len, rows[:2])) < max(map(len, rows[2:]))  # the batches differ in width
    if way == "weights":
        mean = sum(outcomes) / 4
        assert [sum(row) / len(row) for row in rows] == pytest.approx([x - mean for x in outcomes], abs=1e-5)
    else:
        expected = one_process(outcomes, [len(row) for row in rows])
        assert [x for row in rows for x in row] == pytest.approx([x for row in expected for x in row], abs=1e-4)
    # Both know the whole table, and what each response's tokens had.
    assert seen[0]["table"] == seen[1]["table"] == rows
    weights = [json.loads((tmp_path / f"out-weights-{rank}.json").read_text()) for rank in range(2)]
    assert weights[0] == weights[1]


def one_process(outcomes, lengths):
    import torch

    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    scores = torch.tensor(outcomes)
    credit = scores.unsqueeze(1) * torch.arange(1.0, max(lengths) + 1) * mask
    advantages = token_advantages(credit, mask, torch.zeros(4, dtype=torch.long), kind="dr_grpo", outcomes=scores)
    return [row[:length].tolist() for row, length in zip(advantages, lengths, strict=True)]
