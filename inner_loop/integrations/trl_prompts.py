"""The prompts of a trial as TRL reads them."""

from typing import Any

import torch
from datasets import Dataset

from inner_loop.models.conversation import Conversation
from inner_loop.models.prompt_sampler import PromptSampler
from inner_loop.models.prompts import Prompt
from inner_loop.models.task import Task
from inner_loop.spec import TrialSpec


def prompt_rows(task: Task, spec: TrialSpec) -> tuple[Dataset, dict[str, str]]:
    """The prompts of all steps as TRL reads them, drawn as ours are; and the task's own by their text."""
    sampler = PromptSampler(task.train_prompts, torch.Generator().manual_seed(spec.seed))
    drawn = sampler.draw(max(spec.ppo.steps, 1) * spec.ppo.prompts_per_step)
    rows = Dataset.from_list([{"prompt": _as_trl_reads(prompt, spec)} for prompt in drawn])
    return rows, {str(prompt.text): prompt.text for prompt in task.train_prompts}


def _as_trl_reads(prompt: Prompt, spec: TrialSpec) -> Any:
    if isinstance(prompt.text, Conversation) and spec.task.policy_chat_template is not False:
        return [dict(message) for message in prompt.text.messages]
    return str(prompt.text)
