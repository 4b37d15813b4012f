"""A generator from a function that calls back: what a library's own training loop tells, event by event.

The function runs in a thread of its own, but never at the same time as whoever asks for the next event: one of the two
always waits for the other. Closing the generator ends the function where it last called back. Each of the two has the
global random numbers (Python's, NumPy's, PyTorch's) to itself, as if the other were not there.
"""

import random
from collections.abc import Callable, Generator
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch

Event = TypeVar("Event")
Result = TypeVar("Result")
Emit = Callable[[Event], None]


class ClosedError(BaseException):
    """Raised where the function calls back once nobody asks any more; no `except Exception` on the way stops it."""


def generator_of(work: Callable[[Emit[Event]], Result]) -> Generator[Event, None, Result]:
    """Run `work(emit)`; yields what it emits and returns what it returns.

    Args:
        work: Called once, in another thread, when the first event is asked for.

    Raises:
        Exception: Whatever `work` raises.
    """
    told: SimpleQueue[_Message[Event, Result]] = SimpleQueue()
    may_go_on: SimpleQueue[bool] = SimpleQueue()
    device = torch.cuda.current_device() if torch.cuda.is_available() else None
    outside = _GlobalRandomState.now()

    def emit(event: Event) -> None:
        own = _GlobalRandomState.now()
        told.put(_Message(event=event))
        if not may_go_on.get():
            raise ClosedError
        own.restore()

    def run() -> None:
        try:
            if device is not None:
                torch.cuda.set_device(device)
            told.put(_Message(result=work(emit), is_done=True))
        except BaseException as error:
            told.put(_Message(error=error))

    # A process that ends does not wait for the next event.
    thread = Thread(target=run, name="training", daemon=True)
    thread.start()
    try:
        while True:
            message = told.get()
            outside.restore()
            if message.error is not None:
                raise message.error
            if message.is_done:
                return message.result  # type: ignore[return-value]
            yield message.event  # type: ignore[misc]
            outside = _GlobalRandomState.now()
            may_go_on.put(True)
    finally:
        may_go_on.put(False)
        thread.join()
        outside.restore()


class _Message(NamedTuple, Generic[Event, Result]):
    event: Event | None = None
    result: Result | None = None
    is_done: bool = False
    error: BaseException | None = None


class _GlobalRandomState(NamedTuple):
    python: Any
    numpy: Any
    torch_cpu: torch.Tensor
    torch_gpus: list[torch.Tensor]

    @classmethod
    def now(cls) -> "_GlobalRandomState":
        gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), gpus)  # noqa: NPY002

    def restore(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002
        torch.set_rng_state(self.torch_cpu)
        if self.torch_gpus:
            torch.cuda.set_rng_state_all(self.torch_gpus)
