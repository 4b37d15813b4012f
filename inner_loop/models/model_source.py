"""Where a model comes from: the package, a folder or a hub; and what every loading of one shares."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import torch

from inner_loop.errors import TaskError
from inner_loop.models.adapters import Adapter, find_adapter, held_shapes, merge_adapter, n_labels

EMBEDDED = "embedded"
"""Name of the models and prompts that ship with the package."""


class ModelSource(NamedTuple):
    """Where transformers finds a model."""

    weights: str
    """A folder, or a hub name: of the base, if there is an adapter."""
    revision: str | None = None
    """Of a hub."""
    adapter: Adapter | None = None
    """What is merged into the weights."""

    def from_pretrained(self, kind: Any, **options: Any) -> Any:
        """What one of transformers' auto classes loads from it; never code that comes with it.

        Raises:
            OSError, ValueError: If there is nothing to load, or nothing of this kind.
        """
        with without_progress_bars():
            return kind.from_pretrained(self.weights, revision=self.revision, trust_remote_code=False, **options)

    def tokenizer(self) -> Any:
        """The tokenizer: an adapter may bring its own.

        Raises:
            OSError, ValueError: If there is none.
        """
        from transformers import AutoTokenizer

        if self.adapter is not None and self.adapter.has_tokenizer:
            with without_progress_bars():
                return AutoTokenizer.from_pretrained(
                    self.adapter.folder, revision=self.adapter.revision, trust_remote_code=False
                )
        return self.from_pretrained(AutoTokenizer)


def model_source(name: str, field: str, revision: str | None = None) -> ModelSource:
    """Where transformers finds model `name`.

    Args:
        name: `embedded`, a folder, or a hub name.
        field: Of the task, for messages: `policy` or `reward_model`.
        revision: Branch, tag or commit, on a hub.

    Raises:
        TaskError: If `name` is written as a path and there is no model folder at it, or it is an adapter that cannot be
            used.
    """
    if name == EMBEDDED:
        return ModelSource(str(files("inner_loop") / "embedded" / field))
    folder = Path(name).expanduser()
    is_path = is_written_as_path(name)
    if folder.is_dir() or not is_path:
        try:
            adapter = find_adapter(str(folder) if is_path else name, field, revision)
        except OSError as error:
            raise TaskError(f"task.{field} {name!r} could not be found: {why_not_loaded(error)}") from error
        if adapter is not None:
            return ModelSource(adapter.base, adapter.base_revision, adapter)
    if (folder / "config.json").is_file():
        return ModelSource(str(folder))
    if is_path:
        raise TaskError(
            f"task.{field}: there is no model folder at {name!r} (no config.json in it); give a folder written by "
            "save_pretrained, a hub name, or 'embedded'. experiments/fetch_models.py makes local folders."
        )
    return ModelSource(name, revision)


def is_written_as_path(name: str) -> bool:
    """Whether a name means a place in the file system, where "org/model" may also be a hub name.

    It does if it begins with . / or ~, or names something in a folder that is here.
    """
    path = Path(name).expanduser()
    return name.startswith((".", "/", "~")) or path.exists() or (path.parent != Path() and path.parent.exists())


class Pretrained(NamedTuple):
    """What was loaded from one source."""

    model: Any
    tokenizer: Any
    missing: str | None
    """A weight that the source does not have: transformers fills it with random numbers, others in every process."""


def load_pretrained(kind: Any, source: ModelSource) -> Pretrained:
    """A model and its tokenizer; see `load_model`."""
    tokenizer = source.tokenizer()
    model, missing = load_model(kind, source)
    return Pretrained(model, tokenizer, missing)


def load_model(kind: Any, source: ModelSource) -> tuple[Any, str | None]:
    """A model in float32 on the CPU, with its adapter merged into it unless a weight is missing, and that weight.

    Args:
        kind: One of transformers' auto classes.
        source: What `model_source` gave.

    Raises:
        OSError, ValueError: If there is nothing to load, or nothing of this kind.
        TaskError: If the adapter does not fit.
    """
    held = held_shapes(source.adapter) if source.adapter is not None else {}
    model, loading = source.from_pretrained(kind, dtype=torch.float32, output_loading_info=True, **n_labels(held))
    missing = set(loading["missing_keys"]) - held.keys()
    if source.adapter is not None and not missing:
        model = merge_adapter(model, source.adapter)
    return model, min(missing, default=None)


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
