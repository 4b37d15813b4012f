"""Which prompts a step trains on."""

from collections.abc import Sequence

import torch

from inner_loop.models.prompts import Prompt


class PromptSampler:
    """Draws prompts without end: every prompt once, in random order, before any comes again.

    Args:
        prompts: The training prompts.
        generator: Source of the order, on the CPU.
    """

    def __init__(self, prompts: Sequence[Prompt], generator: torch.Generator) -> None:
        self._prompts, self._generator = prompts, generator
        self.queue: list[int] = []
        """Indices of the prompts that come next; with the generator's state, all that a checkpoint needs."""

    def draw(self, count: int) -> list[Prompt]:
        """The next `count` prompts."""
        while len(self.queue) < count:
            self.queue += torch.randperm(len(self._prompts), generator=self._generator).tolist()
        drawn, self.queue = self.queue[:count], self.queue[count:]
        return [self._prompts[index] for index in drawn]
