"""Several processes that train one policy together, each on its share of every rollout.

    torchrun --nproc-per-node 4 train.py        # or, on GPUs: accelerate launch --multi_gpu --num_processes 4 train.py

where every process of `train.py` runs `run_trial(spec)` to its end, with a `folder`, if any, that all of them see. A
response's noise is drawn with all others' and does not depend on who samples it, losses are means over all tokens of a
minibatch, and gradients are added up: the training is that of one process on the joint batch, whatever their number, up
to the rounding of sums. All processes yield the same events and return the same result (times and memory are those of
the first one, which alone writes files).

Each holds a whole copy of the models; only the work is divided. A minibatch smaller than the rollout is drawn from all
of it, so that a process may have more of it than another, or nothing: with several processes, prefer
`minibatch_size` = `rollout_size`. If one process fails, the others wait for it until its launcher ends them.

In a single process, everything here does nothing.
"""

import atexit
import os
from typing import TypeVar

import torch
from torch import Tensor, distributed

Item = TypeVar("Item")


def join_processes() -> None:
    """Meet the processes that `torchrun` or `accelerate launch` started beside this one, if they did and it has not."""
    if distributed.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) == 1 or "MASTER_ADDR" not in os.environ:
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    atexit.register(_leave)


def n_processes() -> int:
    """How many train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def process_index() -> int:
    """Which one this is; 0 writes the files."""
    return distributed.get_rank() if n_processes() > 1 else 0


def share_of(count: int) -> slice:
    """Which of `count` rows are this process's: as many as any other's, give or take one."""
    own, all_ = process_index(), n_processes()
    return slice(own * count // all_, (own + 1) * count // all_)


def own_among(rows: Tensor, count: int) -> Tensor:
    """Of some of `count` rows, those that are this process's, counted from the first that is."""
    own = share_of(count)
    return rows[(rows >= own.start) & (rows < own.stop)] - own.start


def total(x: Tensor) -> Tensor:
    """The sum of a tensor over the processes, bit for bit the same in all of them."""
    if n_processes() == 1:
        return x
    summed = x.detach().clone().to(_device())
    distributed.all_reduce(summed)
    return summed.to(x.device)


def joined(items: list[Item]) -> list[Item]:
    """The items of all processes, the first one's first; plain data."""
    if n_processes() == 1:
        return items
    parts: list[list[Item]] = [[] for _ in range(n_processes())]
    distributed.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def of_the_first(item: Item) -> Item:
    """What the first process has; plain data. All wait for it."""
    if n_processes() == 1:
        return item
    items = [item]
    distributed.broadcast_object_list(items, src=0)
    return items[0]


def _device() -> str:
    """Where tensors must be to be added up."""
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
