"""Which worker has which GPU: one lock file per GPU, held by the worker that has it and freed by the kernel with it.

So a GPU is free again however its worker ended, and the studies of one user on one machine never share one.
"""

import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from bo_shaping.errors import ConfigError, ExecutorError
from bo_shaping.storage.file_locks import try_hold

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_devices() -> list[str]:
    """The GPUs that this process may use, by index or UUID, as `CUDA_VISIBLE_DEVICES` names them."""
    named = os.environ.get(VISIBLE)
    if named is None:
        import torch

        return [str(index) for index in range(torch.cuda.device_count())]
    devices = []
    for device in named.split(","):
        # As CUDA reads it: nothing after the first invalid entry is visible.
        if device.strip() in ("", "-1"):
            break
        devices.append(device.strip())
    return devices


class GpuSlots:
    """The GPUs of this machine that trials may have.

    Args:
        per_trial: GPUs that each trial gets.
        devices: Their names.

    Raises:
        ConfigError: If a trial needs more than there are.
    """

    def __init__(self, per_trial: int, devices: Sequence[str]) -> None:
        if per_trial > len(devices):
            raise ConfigError(
                f"workers.gpus_per_trial is {per_trial}, but {len(devices)} GPUs are visible on this machine"
                f"{f' ({VISIBLE}={os.environ[VISIBLE]})' if VISIBLE in os.environ else ''}."
            )
        self._per_trial = per_trial
        self._devices = tuple(devices)

    def take(self) -> "HeldGpus | None":
        """GPUs for one worker, or None if too few are free.

        Raises:
            ExecutorError: If the folder of their locks is another user's.
        """
        folder, held = _lock_folder(), HeldGpus({})
        for device in self._devices:
            if len(held) == self._per_trial:
                break
            file = (folder / f"gpu-{device.replace('/', '_')}.lock").open("ab")
            if try_hold(file, attempts=1):  # nobody only asks for these
                held.files[device] = file
            else:
                file.close()
        if len(held) < self._per_trial:
            held.let_go()
            return None
        return held


class HeldGpus:
    """GPUs that are held until every process that was given their files has ended or closed them."""

    def __init__(self, files: dict[str, IO[bytes]]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    @property
    def names(self) -> str:
        """Value of `CUDA_VISIBLE_DEVICES`."""
        return ",".join(self.files)

    @property
    def descriptors(self) -> list[int]:
        """Open files to hand to the worker."""
        return [file.fileno() for file in self.files.values()]

    def let_go(self) -> None:
        """Close this process's files; a worker that was given them has the GPUs now."""
        for file in self.files.values():
            file.close()


def _lock_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"bo-shaping-gpus-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    # Anybody can foresee the name, and make the folder first.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ExecutorError(
            f"{folder}, where GPUs are reserved, is not a folder that only its owner, this user, can open; see who "
            "made it and remove it, or set TMPDIR to a folder of your own."
        )
    return folder
