"""What both trainings share: the learning-rate schedule, a loop with a wall-clock report, half-precision saving."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from inner_loop.models.matrix_products import has_fast_bfloat16

Batch = TypeVar("Batch")

WARMUP = 0.05
"""Share of the steps in which the learning rate rises."""

BETAS = (0.9, 0.98)
MAX_GRAD_NORM = 1.0


def learning_rate_factor(progress: float) -> float:
    """Linear warm-up, then a cosine to zero; `progress` goes from 0 to 1."""
    if progress < WARMUP:
        return progress / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP)))


def train(
    model: nn.Module,
    batches: Iterable[tuple[float, Batch]],
    loss_of: Callable[[Batch], Tensor],
    *,
    learning_rate: float,
    weight_decay: float = 0.01,
    report_every: int = 200,
) -> float:
    """AdamW with gradient clipping, forward passes in bfloat16 autocast where the processor has instructions for it.

    Args:
        model: Trained in place; left in evaluation mode.
        batches: Pairs of progress (0 to 1, for the schedule) and whatever `loss_of` takes.
        loss_of: The scalar loss of one batch.
        learning_rate: At the top of the schedule.
        weight_decay: For matrices; vectors get none.
        report_every: Steps between two printed lines.

    Returns:
        Minutes it took.
    """
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=BETAS, fused=True)
    model.train()
    start, losses = time.monotonic(), []
    for step, (progress, batch) in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * learning_rate_factor(progress)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bfloat16(torch.device("cpu"))):
            loss = loss_of(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if step % report_every == 0:
            minutes = (time.monotonic() - start) / 60
            recent = sum(losses[-report_every:]) / report_every
            print(f"step {step}  {progress:.0%}  loss {recent:.4f}  {minutes:.1f} min", flush=True)
    model.eval()
    return (time.monotonic() - start) / 60


def save_in_half_precision(model: PreTrainedModel, folder: Path) -> None:
    """Saves a model with float16 tensors and a config that says float32, so that it loads ready for a CPU."""
    model.save_pretrained(folder)
    path = folder / "model.safetensors"
    tensors = {name: tensor.half() for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)  # written for its owner only, but it is package data
