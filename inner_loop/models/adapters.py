"""PEFT adapters as models: found by their configuration, and merged into the base that it names.

A policy then starts as base *with* adapter, and that is its reference: the base alone would be a reference from which
the policy is far away before its first step.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from inner_loop.errors import TaskError

HEADS = ("score", "classifier", "out_proj")
"""Names of the last layer of a classifier."""


class Adapter(NamedTuple):
    """An adapter and the base it belongs to."""

    folder: str
    """A folder, or a hub name."""
    revision: str | None
    base: str
    """A folder, or a hub name."""
    base_revision: str | None
    field: str
    """Of the task, for messages."""

    @property
    def has_tokenizer(self) -> bool:
        """Whether the adapter brings a tokenizer."""
        from transformers.utils import cached_file

        name = cached_file(
            self.folder,
            "tokenizer_config.json",
            revision=self.revision,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        return name is not None


def find_adapter(name: str, field: str, revision: str | None) -> Adapter | None:
    """The adapter at `name`; None if that is none.

    Args:
        name: A folder or a hub name.
        field: Of the task, for messages.
        revision: Of a hub name.

    Raises:
        TaskError: If the adapter does not say what its base is, or cannot become part of it.
    """
    from transformers.utils.peft_utils import find_adapter_config_file

    file = find_adapter_config_file(name, revision=revision)
    if file is None:
        return None
    config = json.loads(Path(file).read_text(encoding="utf-8"))
    base = config.get("base_model_name_or_path")
    if not base:
        raise TaskError(
            f"task.{field}: the adapter {name!r} does not say what its base is (base_model_name_or_path in "
            "adapter_config.json); write it there."
        )
    if config.get("peft_type") in ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "MULTITASK_PROMPT_TUNING"):
        raise TaskError(
            f"task.{field}: {name!r} tunes a prompt ({config['peft_type']}), which cannot be merged into a model; give "
            "an adapter of weights, such as LoRA, or a model."
        )
    beside = Path(file).parent / base
    found = str(beside) if not Path(base).exists() and beside.exists() else base
    return Adapter(name, revision, found, config.get("revision"), field)


def held_shapes(adapter: Adapter) -> dict[str, Sequence[int]]:
    """Names, in the model, and shapes of what the adapter holds: weights of its own, and some in place of the base's.

    Raises:
        TaskError: If the `peft` package is not installed.
    """
    try:
        from peft import load_peft_weights
    except ImportError as error:
        raise TaskError(
            f"task.{adapter.field}: {adapter.folder!r} is an adapter, which needs the peft package: pip install "
            '"bo-shaping[lora]".'
        ) from error
    weights = load_peft_weights(adapter.folder, device="cpu", revision=adapter.revision)
    return {name.removeprefix("base_model.model."): weight.shape for name, weight in weights.items()}


def n_labels(held: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """`{"num_labels": n}` if an adapter holds the head of a classifier, since its base then has none of that size."""
    sizes = [shape[0] for name, shape in held.items() if name.endswith(".weight") and name.split(".")[-2] in HEADS]
    return {"num_labels": sizes[0]} if sizes else {}


def merge_adapter(model: Any, adapter: Adapter) -> Any:
    """`model` with the adapter in its weights.

    Raises:
        TaskError: If it belongs to another model.
    """
    from peft import PeftModel

    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            adapted = PeftModel.from_pretrained(
                model, adapter.folder, revision=adapter.revision, torch_device=str(model.device)
            )
        # Otherwise layers that the adapter does not know would stay as they are, and nobody would be told.
        if any("missing adapter keys" in str(warning.message) for warning in said):
            raise ValueError
        merged = adapted.merge_and_unload()
    except (RuntimeError, ValueError, NotImplementedError, AttributeError) as error:
        raise TaskError(
            f"task.{adapter.field}: the adapter {adapter.folder!r} does not fit its base {adapter.base!r}; merge it "
            "where it was trained (merge_and_unload, then save_pretrained) and give the folder that this writes."
        ) from error
    return merged.requires_grad_(True)
