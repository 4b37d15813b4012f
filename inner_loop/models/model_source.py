"""Where a model comes from: the package, a folder or a hub; and what every loading of one shares."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import torch

from inner_loop.errors import TaskError

EMBEDDED = "embedded"
"""Name of the models and prompts that ship with the package."""


def model_source(name: str, field: str) -> str:
    """Where transformers finds model `name`: a folder (embedded or given), or the hub name itself.

    Raises:
        TaskError: If `name` is written as a path and there is no model folder at it.
    """
    if name == EMBEDDED:
        return str(files("inner_loop") / "embedded" / field)
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return str(folder)
    # "org/model" may be a hub name; with a leading . / ~, or inside a folder that is here, it is meant as a path.
    if (folder / "adapter_config.json").is_file():
        raise TaskError(
            f"task.{field}: {name!r} holds a PEFT adapter, not a model; merge it into its base (merge_and_unload, then "
            "save_pretrained) and give the folder that this writes."
        )
    written_as_path = (
        name.startswith((".", "/", "~")) or folder.exists() or (folder.parent != Path() and folder.parent.exists())
    )
    if written_as_path:
        raise TaskError(
            f"task.{field}: there is no model folder at {name!r} (no config.json in it); give a folder written by "
            "save_pretrained, a hub name, or 'embedded'. experiments/fetch_models.py makes local folders."
        )
    return name


class Pretrained(NamedTuple):
    """What was loaded from one source."""

    model: Any
    tokenizer: Any
    missing: str | None
    """A weight that the source does not have: transformers fills it with random numbers, others in every process."""


def load_pretrained(kind: Any, source: str) -> Pretrained:
    """A model in float32 on the CPU, and its tokenizer.

    Args:
        kind: One of transformers' auto classes.
        source: What `model_source` gave.

    Raises:
        OSError, ValueError: If there is nothing to load, or nothing of this kind.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    with without_progress_bars():
        model, loading = kind.from_pretrained(
            source, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
        )
    return Pretrained(model, tokenizer, min(loading["missing_keys"], default=None))


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Transformers draws a bar for every model it loads, even one that takes milliseconds."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def default_device() -> torch.device:
    """The GPU that PyTorch sees, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def why_not_loaded(error: Exception) -> str:
    """Why transformers does not load a model, in one line.

    Every load says `trust_remote_code=False`: otherwise transformers asks the person at the terminal whether to run the
    code that a model brings.
    """
    if "trust_remote_code" in str(error):
        return "it brings code of its own, which is never run here; give a model whose architecture transformers has"
    # Loaders append pages of advice.
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
