"""The Ray cluster that trials run on: one that is there, or one of this study's own on this machine."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pydantic import PositiveInt, ValidationError

from bo_shaping.errors import ExecutorError
from bo_shaping.executors.processes import end_process, is_alive
from bo_shaping.libraries.ray_internals import forget_password
from bo_shaping.storage.process_birth import birth_of
from bo_shaping.storage.trial_folder import Worker
from inner_loop.io.atomic_file import write_atomically
from inner_loop.io.schema import StrictModel

NAMESPACE = "bo-shaping"

REACH_SECONDS = 10.0
"""A cluster that does not answer after this is not there. Ray itself would try for ten minutes."""

LOOPBACK = "127.0.0.1"

START_SECONDS = 120.0
"""A cluster on this machine answers after this, or its start has failed."""


class _Note(StrictModel):
    """Content of `ray.json`."""

    head: Worker
    """The process that ends the whole cluster when it is ended."""
    port: PositiveInt
    token: str
    """Password of the cluster: without one, anybody who reaches the port may run code."""
    folder: str
    """Where Ray keeps its sockets and logs."""


def import_ray() -> Any:
    """The package. It reads its environment when it is imported, and never again.

    Raises:
        ExecutorError: If it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ExecutorError(
            f"executor: ray needs the extra of that name ({error}); install it with: pip install 'bo-shaping[ray]'"
        ) from None
    return ray


def connect(address: str) -> None:
    """Connect this process to the cluster, once.

    Raises:
        ExecutorError: If it does not answer.
    """
    if "ray" in sys.modules and import_ray().is_initialized():
        return
    reach = re.fullmatch(r"(?:ray://)?(?P<host>.+):(?P<port>\d+)", address)
    if reach is None:
        raise ExecutorError(f"workers.address of a Ray cluster looks like 10.0.0.1:6379, got {address!r}.")
    if not _answers(reach["host"], int(reach["port"]), REACH_SECONDS):
        raise ExecutorError(
            f"No Ray cluster answers at {address}; see that it runs (ray status), or leave workers.address out for one "
            "on this machine."
        )
    ray = import_ray()
    named = os.environ.pop("RAY_ADDRESS", None)  # Ray prefers it to the argument
    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        message = " ".join(str(error).split())
        raise ExecutorError(f"The Ray cluster at {address} cannot be used: {message}") from None
    finally:
        if named is not None:
            os.environ["RAY_ADDRESS"] = named


class LocalCluster:
    """A cluster on this machine that outlives the driver, like the trials on it.

    Args:
        note: File that says how to find it again.
    """

    def __init__(self, note: Path) -> None:
        self._file = note

    def address(self) -> str:
        """Where the cluster is; it is started unless it runs.

        Raises:
            ExecutorError: If it does not start.
        """
        if "ray" in sys.modules and os.environ.get("RAY_AUTH_MODE") != "token":
            raise ExecutorError(
                "ray was imported before the study was run, and no longer takes a password for a cluster of its own; "
                "import it afterwards, or set RAY_AUTH_MODE=token before, or give workers.address."
            )
        note = self._note() or self._start()
        os.environ.update(_credentials(note.token))
        if "ray" in sys.modules:
            forget_password()
        return f"{LOOPBACK}:{note.port}"

    def end(self) -> None:
        """End the cluster, with all that runs on it."""
        note = self._note()
        ray = import_ray()
        if ray.is_initialized():
            ray.shutdown()
        if note is not None:
            end_process(note.head, lambda: not is_alive(note.head))
            shutil.rmtree(note.folder, ignore_errors=True)
        self._file.unlink(missing_ok=True)

    def _note(self) -> _Note | None:
        """What is known of the cluster if it runs."""
        try:
            note = _Note.model_validate_json(self._file.read_bytes())
        except (OSError, ValidationError):
            return None
        return note if is_alive(note.head) else None

    def _start(self) -> _Note:
        token, port, folder = secrets.token_hex(32), _free_port(), tempfile.mkdtemp(prefix="bo-shaping-ray-")
        log_file = Path(folder) / "start.log"
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
        command += ["--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}"]
        with log_file.open("ab") as log:
            head = subprocess.Popen(  # noqa: S603 - Ray's own command, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | _credentials(token),
                start_new_session=True,
            )
        worker = Worker(pid=head.pid, started=time.time(), birth=birth_of(head.pid), host=socket.gethostname())
        note = _Note(head=worker, port=port, token=token, folder=folder)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file, note.model_dump_json(), mode=0o600)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(LOOPBACK, port, 1.0):
            if head.poll() is not None or time.monotonic() > deadline:
                raise ExecutorError(f"A Ray cluster could not be started on this machine; see {log_file}.")
            time.sleep(0.1)
        return note


def _credentials(token: str) -> dict[str, str]:
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}


def _answers(host: str, port: int, seconds: float) -> bool:
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
    return port
