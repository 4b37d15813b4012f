"""What the driver of a study holds to feed its trackers; nothing of a tracker costs a trial or stops a study."""

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bo_shaping.config import StudyConfig
from bo_shaping.config.trackers import refuse_missing_packages
from bo_shaping.errors import ConfigError
from bo_shaping.storage.records import Entry
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.tracking.follower import Follower

FLUSH_SECONDS = 30.0
"""How long the end of a run waits for its trackers, all of them together."""


class TrackingWarning(UserWarning):
    """A tracker that does not get all of a study."""


class Feed:
    """The trackers of one study, while one process drives it.

    Args:
        folder: The study.
        config: Its configuration, whose `tracking` names them.
    """

    def __init__(self, folder: StudyFolder, config: StudyConfig) -> None:
        self._handle = folder.handle
        self._warned: set[str] = set()
        self._seen: dict[int, Entry] = {}
        self._followers = []
        for name, options in config.tracking.items():
            try:
                refuse_missing_packages({name: options})
            except ConfigError as error:
                self._warn(name, str(error))
            else:
                self._followers.append(Follower(name, folder, config))

    def look(self, entries: Mapping[int, Entry]) -> None:
        """Say how the trials stand; returns at once."""
        if not self._followers:
            return
        is_new = entries != self._seen
        if is_new:
            self._seen = dict(entries)
        for follower in self._followers:
            follower.look(self._seen, is_new)
            self._warn_of(follower)

    def close(self) -> None:
        """Let the trackers write what is left, for at most `FLUSH_SECONDS`."""
        deadline = time.monotonic() + FLUSH_SECONDS
        for follower in self._followers:
            follower.begin_to_close()
        for follower in self._followers:
            if not follower.has_ended(deadline - time.monotonic()):
                self._warn(follower.name, f"did not answer for {FLUSH_SECONDS:g} s")
            self._warn_of(follower)

    def _warn_of(self, follower: Follower) -> None:
        if follower.trouble is not None:
            self._warn(follower.name, follower.trouble)

    def _warn(self, name: str, trouble: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            warnings.warn(
                f"The tracker {name} does not get all of the study, which goes on without it: {trouble.rstrip('.')}. "
                f"What it lacks follows with: bo-shaping resume {self._handle}",
                TrackingWarning,
                stacklevel=2,
            )


@contextmanager
def feeding(folder: StudyFolder, config: StudyConfig) -> Iterator[Feed]:
    """A feed that is closed at the end, however that comes."""
    feed = Feed(folder, config)
    try:
        yield feed
    finally:
        feed.close()
