"""What the training of a trial printed, line by line and safe for a terminal."""

import time
from collections.abc import Iterator
from pathlib import Path

from bo_shaping.errors import TrialNotFoundError
from bo_shaping.storage.study_folder import StudyFolder
from bo_shaping.text.hidden_characters import visible_lines, visible_text
from bo_shaping.views.status import study_status

FOLLOW_SECONDS = 0.5
"""How often a log that is followed is looked at."""

_CHUNK_BYTES = 1 << 16


def log_lines(folder: StudyFolder, index: int, *, follow: bool = False) -> Iterator[str]:
    """The lines of a trial's log; control characters, which a model or a library may have written, are spelt out.

    Args:
        folder: The study.
        index: The trial.
        follow: Whether to wait for more until the trial has ended.

    Raises:
        TrialNotFoundError: If there is no such trial.
    """
    _refuse_unknown(folder, index)
    file = folder.trial(index).log_file
    rest, position = b"", 0
    while True:
        # Asked first: what was printed before the end is shown.
        goes_on = follow and _is_running(folder, index)
        for chunk in _read_from(file, position):
            position += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(_shown, lines)
        if not goes_on:
            break
        time.sleep(FOLLOW_SECONDS)
    if rest:
        yield _shown(rest)


def why_silent(folder: StudyFolder, index: int) -> str:
    """What is known of a trial that has printed nothing, and where to look, in a sentence.

    Raises:
        TrialNotFoundError: If there is no such trial.
    """
    _refuse_unknown(folder, index)
    trial = next(trial for trial in study_status(folder).trials if trial.record.index == index)
    files = folder.trial(index)
    parts = [f"Trial {index} has printed nothing", f"it is {trial.status}"]
    if trial.progress is not None:
        parts[-1] += f", at step {trial.progress.step} of {trial.progress.n_steps}"
    if trial.record.reason:
        parts[-1] += f": {visible_text(trial.record.reason)}"
    if folder.config().executor == "inline":
        parts.append("with the inline executor, trials print where the driver does")
    elif trial.status == "asked":
        parts.append("whoever asked for it trains it, and knows what it prints")
    elif files.cluster_job_file.exists():
        parts.append(f"the logs of its cluster job are with the cluster, see {files.cluster_job_file}")
    elif files.path.is_dir():
        parts.append(f"its files, progress.jsonl with the newest events among them, are in {files.path}")
    return f"{'; '.join(parts)}."


def _read_from(file: Path, position: int) -> Iterator[bytes]:
    try:
        with file.open("rb") as stream:
            stream.seek(position)
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk
    except FileNotFoundError:
        return


def _shown(line: bytes) -> str:
    return visible_lines(line.decode("utf-8", errors="replace"))


def _is_running(folder: StudyFolder, index: int) -> bool:
    return any(trial.record.index == index and trial.status == "running" for trial in study_status(folder).trials)


def _refuse_unknown(folder: StudyFolder, index: int) -> None:
    known = [record.index for record in folder.records()]
    if index not in known:
        there = f"its trials are 0 to {max(known)}" if known else "it has none yet"
        raise TrialNotFoundError(f"Study {folder.path.name!r} has no trial {index}; {there}.")
