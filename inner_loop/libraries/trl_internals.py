"""What the trainers over TRL lean on beyond its documented interface (`trl` 1.16)."""

import inspect
from typing import Any

TAKES_TOKENS = "advantages.dim() == 1"
"""How the loss tells one advantage per response (which it spreads over the tokens) from one per token."""

METHODS = (
    "_generate",
    "_generate_and_score_completions",
    "_calculate_rewards",
    "_compute_loss",
    "_get_per_token_logps_and_entropies",
)
"""Methods of the trainer that are overridden or called."""

KEYS = ("completion_ids", "completion_mask", "advantages")
"""What a scored batch always has. With tools there is `tool_mask` besides."""


def takes_token_advantages(trainer_class: Any) -> bool:
    """Whether the trainer has the methods that we build on, and its loss takes one advantage per token."""
    if not all(hasattr(trainer_class, name) for name in METHODS):
        return False
    return TAKES_TOKENS in inspect.getsource(trainer_class._compute_loss)
