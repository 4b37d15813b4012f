"""What trained weights are reset to, without a second copy of them in memory."""

from collections.abc import Mapping
from tempfile import TemporaryFile

import torch
from torch import Tensor


class StartWeights:
    """The values of float32 tensors as they are now.

    Where a copy in the reference is equal (always in float32; in bfloat16, if the checkpoint was), that copy is
    remembered. Other values are written to an anonymous temporary file, which is gone with the process however it ends.

    Args:
        tensors: By name.
        copies: Tensors that never change, by the name of what they may be equal to.
    """

    def __init__(self, tensors: Mapping[str, Tensor], copies: Mapping[str, Tensor]) -> None:
        self._copies = {
            name: copies[name]
            for name, tensor in tensors.items()
            if name in copies and torch.equal(copies[name].float(), tensor)
        }
        self._in_file = [name for name in tensors if name not in self._copies]
        self._file = TemporaryFile()  # noqa: SIM115  closed with this object
        for name in self._in_file:
            tensors[name].cpu().numpy().tofile(self._file)

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Write the remembered values into `tensors`, bit for bit."""
        for name, copy in self._copies.items():
            tensors[name].copy_(copy)
        self._file.seek(0)
        for name in self._in_file:
            host = tensors[name].detach().cpu()  # shares memory with a tensor that is on the CPU
            self._file.readinto(host.numpy().data)
            if tensors[name].device != host.device:
                tensors[name].copy_(host)
