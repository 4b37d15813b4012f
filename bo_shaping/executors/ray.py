"""Trials on a Ray cluster: one detached actor per trial, named by the trial's token, with CPUs and GPUs of its own.

Ray refuses a second actor of the same name, so that a trial cannot run twice; the actor outlives the driver, and the
next driver finds it by its name. Actors are given strings only (a path, an environment), so that nothing of the user's
is pickled. The folder of the study must be on a file system that all nodes share under the same path, and the package
must be installed on them.
"""

import os
import time
import traceback
from pathlib import Path
from typing import Any

from bo_shaping.executors import TrialState
from bo_shaping.executors.observer import Observer
from bo_shaping.executors.processes import end_worker
from bo_shaping.executors.ray_cluster import NAMESPACE, LocalCluster, connect, import_ray
from bo_shaping.executors.worker import main, output_to, thread_limits
from bo_shaping.storage.trial_folder import TrialFolder

GONE_SECONDS = 30.0
"""A killed actor, a stopped one too, has let go of its trial after this; Ray itself takes about 5."""


CLOSE_SECONDS = 10.0
"""How long `close` waits for the actors of finished trials."""


class TrialActor:
    """Runs one trial and ends."""

    def __init__(self, path: str, environment: dict[str, str]) -> None:
        os.environ.update(environment)
        self._path = path
        # Called by the actor itself, the call lives as long as the actor, whatever becomes of the driver.
        import_ray().get_runtime_context().current_actor.run.remote()

    def run(self) -> None:
        """Work on the trial to its end."""
        with output_to(Path(self._path) / "worker.log"):
            try:
                main(self._path)
            except Exception:  # a damaged job, a full disk
                traceback.print_exc()
        import_ray().actor.exit_actor()


class RayExecutor:
    """Starts trials as actors.

    Args:
        path: The folder of the study's workers: a cluster that is started on this machine is noted there.
        observer: Says how trials stand.
        address: Address of the cluster, `host:port`; None for what the environment variable RAY_ADDRESS names, or else
            for one on this machine, which is started unless it runs, and ended by `close`.
        threads: CPUs of a trial.
        gpus: GPUs of a trial; Ray sets `CUDA_VISIBLE_DEVICES`.

    Raises:
        ExecutorError: If there is no such cluster.
    """

    def __init__(self, path: Path, observer: Observer, *, address: str | None, threads: int, gpus: int) -> None:
        self._observer = observer
        address = address or os.environ.get("RAY_ADDRESS")
        self._cluster = None
        if address is None:
            self._cluster = LocalCluster(path / "ray.json")
            address = self._cluster.address()
        connect(address)
        self._ray = import_ray()
        self._environment = thread_limits(threads)
        self._resources = {"num_cpus": threads, "num_gpus": gpus}

    def start(self, folder: TrialFolder) -> None:
        """Create the trial's actor; it waits until the cluster has room for it."""
        if folder.is_done() or folder.is_locked() or self._actor(folder) is not None:
            return
        self._observer.starts(folder)
        actor_class = self._ray.remote(TrialActor).options(
            name=_name(folder),
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=0,
            **self._resources,
        )
        actor_class.remote(str(folder.path.resolve()), self._environment)

    def state(self, folder: TrialFolder) -> TrialState:
        """How the trial stands, whoever started it."""
        return self._observer.state(folder, lambda: self._actor(folder) is not None)

    def reason(self, folder: TrialFolder) -> str:
        """Why the trial is failed, hung or dead."""
        return self._observer.reason(folder)

    def stop(self, folder: TrialFolder) -> None:
        """Kill the trial's actor, on whatever node it is."""
        actor = self._actor(folder)
        if actor is not None:
            self._ray.kill(actor)
        deadline = time.monotonic() + GONE_SECONDS
        while folder.is_locked() or self._actor(folder) is not None:
            if time.monotonic() > deadline:
                end_worker(folder)
                return
            time.sleep(0.05)

    def close(self) -> None:
        """End the cluster if it was started for this study and no trial runs on it."""
        if self._cluster is None:
            return
        deadline = time.monotonic() + CLOSE_SECONDS
        while actors := self._ray.util.list_named_actors(all_namespaces=True):
            # The actor of a trial that is done is about to end.
            if any(not _trial_of(actor["name"]).is_done() for actor in actors) or time.monotonic() > deadline:
                return
            time.sleep(0.05)
        self._cluster.end()

    def _actor(self, folder: TrialFolder) -> Any:
        """The trial's actor, waiting or running, or None."""
        try:
            return self._ray.get_actor(_name(folder), namespace=NAMESPACE)
        except ValueError:
            return None


def _name(folder: TrialFolder) -> str:
    # The path too: two studies of the same configuration have trials of the same token.
    return f"{folder.path.resolve()} {folder.job().token}"


def _trial_of(name: str) -> TrialFolder:
    return TrialFolder(Path(name.rpartition(" ")[0]))
