"""What is learned: the policy, the reward model and the prompts, by name."""

from pathlib import Path

from pydantic import PositiveInt

from inner_loop.io.schema import StrictModel


class TaskConfig(StrictModel):
    """What is learned: the policy, the reward model, and the prompts."""

    policy: str = "embedded"
    """`embedded`, a hub name, or a folder with a transformers causal language model."""
    reward_model: str = "embedded"
    """`embedded`, a hub name or folder of a transformers sequence classifier, or `module:function` for a callable
    that maps a list of texts to a list of floats."""
    chat_template: bool = False
    """Whether a transformers reward model reads prompt and response as a user's and an assistant's message, in its
    tokenizer's chat template; otherwise it reads them joined, as they are."""
    prompts: str = "embedded"
    """`embedded`, or a folder with `train.jsonl`, `validation.jsonl` (and `heldout.jsonl`): `{"prompt": ...}` lines."""
    max_prompt_tokens: PositiveInt = 16
    """Longest prompt allowed, in policy tokens; a longer one is an error, never cut quietly."""
    response_tokens: PositiveInt = 20
    """Most tokens sampled per response."""


def is_function(name: str) -> bool:
    """Whether the name of a reward model or parser means `module:function`, and not a folder, hub name or pipeline."""
    return ":" in name and not name.startswith("spacy:") and not Path(name).exists()
