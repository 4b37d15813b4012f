"""What is learned: the policy, the reward model and the prompts, by name."""

from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from inner_loop.spec.scoring_config import ScoringConfig


class TaskConfig(ScoringConfig):
    """What is learned: the policy, the reward model, and the prompts."""

    policy: str = "embedded"
    """`embedded`, a hub name, or a folder with a transformers causal language model or a PEFT adapter of one. An
    adapter is merged into its base: base with adapter is where the training starts, and its reference."""
    policy_revision: str | None = None
    """Branch, tag or commit of a policy from the hub."""
    policy_chat_template: bool | None = None
    """Whether the policy reads a prompt in its tokenizer's chat template, plain text as a user's message. If it is left
    out: conversations are, plain text is not."""
    reward_model: str = "embedded"
    """`embedded`, a hub name or folder of a transformers sequence classifier or a PEFT adapter of one, or
    `module:function` for a callable that maps a list of texts to a list of floats."""
    prompts: str = "embedded"
    """`embedded`; a folder with files `train`, `validation` (and `heldout`) that end in `.jsonl`, `.csv` or `.parquet`;
    one such file; a folder that `datasets` saved; or a dataset's hub name. What has no validation prompts of its own is
    divided: a fifth for validation and a fifth held out, at most 1024 each."""
    prompts_column: str | None = None
    """The column of the prompts: texts, or conversations as lists of messages, of which a last answer is left out.
    If it is left out: `prompt`, else `messages`, else the only one."""
    prompts_split: str | None = None
    """The split of a dataset that is divided. If it is left out: `train`, or the only one."""
    prompts_revision: str | None = None
    """Branch, tag or commit of a dataset from the hub."""
    prompts_size: PositiveInt | None = None
    """Most prompts that are taken of what is divided, or of those to train on; None takes all."""
    prompts_seed: NonNegativeInt = 0
    """Seed by which prompts are divided, and taken."""
    max_prompt_tokens: PositiveInt = 16
    """Longest prompt allowed, in policy tokens, its template included."""
    long_prompts: Literal["error", "drop", "truncate"] = "error"
    """What happens to a longer one: the study does not start, it is left out, or it loses its beginning (a conversation
    its oldest turns first, never its system message)."""
    response_tokens: PositiveInt = 20
    """Most tokens sampled per response."""

    @property
    def scoring(self) -> ScoringConfig:
        """How the reward model reads a response, apart from the rest."""
        return ScoringConfig(**{name: getattr(self, name) for name in ScoringConfig.model_fields})


def is_function(name: str) -> bool:
    """Whether the name of a reward model or parser means `module:function`, and not a folder, hub name or pipeline."""
    return ":" in name and not name.startswith("spacy:") and not Path(name).exists()
