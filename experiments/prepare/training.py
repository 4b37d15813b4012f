"""What both trainings share: they go on where an interrupted one ended, and leave a whole folder or none."""

from __future__ import annotations

import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inner_loop.models.model_source import without_progress_bars

SMALL = 30_000_000
"""Parameters below which a model takes a larger learning rate."""

CHECKPOINTS = 4
"""Per training: no more than a quarter of one is lost with an interruption."""


@dataclass(frozen=True)
class Settings:
    """How one model is trained."""

    epochs: float
    batch_size: int
    """Examples per optimizer step."""
    learning_rate: float | None
    """At the top of the schedule; None takes what is usual for the model's size."""
    seed: int


def is_small(model: Any) -> bool:
    """Whether a model is of the size of the embedded ones."""
    return sum(parameter.numel() for parameter in model.parameters()) < SMALL


def arguments(
    settings: Settings, model: Any, n_examples: int, work: Path, usual: tuple[float, float]
) -> dict[str, Any]:
    """What both trainers of trl are told.

    Args:
        settings: How it is trained.
        model: What is trained.
        n_examples: Examples in an epoch.
        work: Folder of the checkpoints.
        usual: Learning rates of a small and a large model.
    """
    n_steps = max(1, round(settings.epochs * -(-n_examples // settings.batch_size)))
    return {
        "output_dir": str(work),
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch_size,
        "per_device_eval_batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate or usual[0 if is_small(model) else 1],
        "lr_scheduler_type": "cosine",
        "warmup_steps": max(1, n_steps // 20),
        "seed": settings.seed,
        "bf16": torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        "gradient_checkpointing": not is_small(model) and torch.cuda.is_available(),
        "save_steps": -(-n_steps // CHECKPOINTS),
        "save_total_limit": 1,
        "logging_steps": max(1, n_steps // 20),
        "report_to": "none",
        "disable_tqdm": True,
        "log_level": "error",
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def whole_checkpoint(work: Path) -> Path | None:
    """The last whole checkpoint in a folder; one that was being written when its training was killed is removed."""
    checkpoints = sorted(work.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in checkpoints:
        if not (path / "trainer_state.json").is_file():  # written last
            shutil.rmtree(path)
    whole = [path for path in checkpoints if path.is_dir()]
    return whole[-1] if whole else None


def made(folder: Path, work: Path, make: Callable[[Path], None]) -> None:
    """Make a model folder unless it is there: whole or not at all. Its checkpoints go when it is there.

    Args:
        folder: What is made.
        work: A folder beside it, for what an interrupted training leaves.
        make: Trains, going on from what is in `work`, and saves into the folder that it is given.
    """
    if not folder.is_dir():
        unfinished = work / "model"
        shutil.rmtree(unfinished, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        make(unfinished)
        unfinished.rename(folder)
    shutil.rmtree(work, ignore_errors=True)


def train(trainer: Any, work: Path, what: str) -> None:
    """Let one of trl's trainers train, going on from the last whole checkpoint in `work`; tells how far it is."""
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_progress(what))
    checkpoint = whole_checkpoint(work)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


def _progress(what: str) -> Any:
    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if "loss" in (logs or {}):
                step, loss = state.global_step, float(logs["loss"])
                print(f"{what}: step {step} of {state.max_steps}, loss {loss:.3f}", flush=True)

    return Progress()


@contextmanager
def quiet() -> Iterator[None]:
    """Without the bars and warnings of the libraries, which say nothing about somebody's files."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings(), without_progress_bars():
            warnings.simplefilter("ignore", FutureWarning)  # trl sets options that transformers has renamed
            yield
    finally:
        logging.set_verbosity(verbosity)


@contextmanager
def own_randomness() -> Iterator[None]:
    """Trainers seed the whole process; afterwards every generator is where it was."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  it is that one which they seed
    devices = range(torch.cuda.device_count())
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
