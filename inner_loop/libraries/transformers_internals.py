"""Private names of transformers that a training cannot do without (`transformers` 5.23)."""

from typing import Any


def attention_implementation(model: Any) -> str:
    """Which attention the model runs: `set_attn_implementation` is public, what it was set to is not."""
    name: str = model.config._attn_implementation
    return name


def is_recurrent(model_class: Any) -> bool:
    """Whether models of the class carry a state that is no cache of keys and values (Mamba, RWKV and hybrids)."""
    return bool(model_class._is_stateful)
