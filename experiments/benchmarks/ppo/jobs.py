"""Jobs: what both sides are given, as plain JSON, since they run in processes, and maybe Pythons, of their own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from inner_loop.models.model_source import model_source
from inner_loop.models.prompt_source import PromptSource
from inner_loop.models.prompts import Prompt, prepare_prompts
from inner_loop.spec import TaskConfig

EMBEDDED, SMOLLM2 = "embedded", "SmolLM2-135M"
SMOLLM2_FOLDER = Path("models/SmolLM2-135M-Instruct")
PROMPT_TOKENS = 8


@dataclass(frozen=True)
class Job:
    """One training on the sparse reward of the embedded reward model."""

    policy: str
    """Folder of the policy."""
    reward_model: str
    """Folder of the reward model."""
    prompts: list[list[int]]
    """Prompts as policy tokens."""
    texts: list[str]
    """The same prompts as text."""
    batch: int
    """Responses per step."""
    response_tokens: int = 24
    epochs: int = 4
    learning_rate: float = 1e-4
    kl_coef: float = 0.05
    never_drawn: str | None = None
    """A special token that is taken for the end-of-sequence token (and for padding), so that every response has
    `response_tokens` tokens; None lets responses end."""
    seeds: tuple[int, ...] = (0,)
    group: int = 4
    """Responses to one prompt, for trainers without a critic."""

    def write(self, path: Path) -> Path:
        """Save it as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Job:
        """What `write` saved."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def shortened(self) -> Job:
        """A small version, to see that everything runs."""
        return replace(self, batch=4, response_tokens=4, epochs=1)


def speed_job(name: str) -> Job:
    """The job of the bars on speed and memory: 8 tokens of real reviews, then exactly 24 sampled ones."""
    from transformers import AutoTokenizer

    policy = model_source(EMBEDDED if name == EMBEDDED else str(SMOLLM2_FOLDER), "policy").weights
    batch = 32 if name == EMBEDDED else 16
    tokenizer = AutoTokenizer.from_pretrained(policy)
    prompts = pieces(tokenizer, embedded_texts(), PROMPT_TOKENS, 8 * batch)
    return Job(
        policy=policy,
        reward_model=model_source(EMBEDDED, "reward_model").weights,
        prompts=prompts,
        texts=tokenizer.batch_decode(prompts),
        batch=batch,
        never_drawn="<pad>" if name == EMBEDDED else "<repo_name>",
    )


def learning_job(seeds: Iterable[int]) -> Job:
    """The embedded task as it ships, with the learning rate, KL price and epochs of `experiments/quickstart.yaml`."""
    from transformers import AutoTokenizer

    policy = model_source(EMBEDDED, "policy").weights
    task = TaskConfig()
    prompts = prepare_prompts(PromptSource(task).split("train"), task, AutoTokenizer.from_pretrained(policy)).prompts
    return Job(
        policy=policy,
        reward_model=model_source(EMBEDDED, "reward_model").weights,
        prompts=[prompt.ids for prompt in prompts],
        texts=[prompt.text for prompt in prompts],
        batch=32,
        epochs=2,
        learning_rate=4e-4,
        kl_coef=0.2,
        seeds=tuple(seeds),
    )


def embedded_texts() -> list[str]:
    """The training prompts that ship with the package."""
    path = files("inner_loop") / "embedded" / "prompts" / "train.jsonl"
    return [json.loads(line)["prompt"] for line in path.read_text("utf-8").splitlines()]


def pieces(tokenizer: Any, texts: list[str], length: int, count: int) -> list[list[int]]:
    """The first `count` pieces of `length` tokens of the texts one after the other."""
    ids: list[int] = []
    for text in texts:
        ids += tokenizer(" " + text, add_special_tokens=False)["input_ids"]
        if len(ids) >= length * count:
            break
    return [ids[start : start + length] for start in range(0, length * count, length)]


def as_prompts(job: Job) -> list[Prompt]:
    """The job's prompts as our trainer takes them."""
    return [Prompt(text, ids) for text, ids in zip(job.texts, job.prompts, strict=True)]
