import errno
import os
import subprocess
import sys

import pytest

from bo_shaping.errors import FencedError, StorageError
from bo_shaping.storage.journal import CANCELLED, Journal
from bo_shaping.storage.records import Entry, TrialRecord
from bo_shaping.surrogate.outcomes import Observation

ARM = {"w_shap": 0.1 + 0.2, "w_sparse": 0.7, "epochs": 4}


def entry(index=0, **settings):
    record = TrialRecord(
        index=index, weights={"shap": 0.3, "sparse": 0.7}, parameters={}, **{"status": "running", **settings}
    )
    return Entry(record=record, arm=ARM, data=(Observation(metric="reward", mean=1 / 3, sem=0.1),))


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", "rebuild it")
    journal.open(1, "process 1")
    journal.append("config", {"name": "alpha"})
    return journal


def again(journal):
    """What another process sees."""
    return Journal(journal.path, "rebuild it")


def test_what_was_written_is_read_to_the_last_digit_and_type(journal):
    journal.write(entry(0))
    journal.write(entry(1, status="failed", reason="λ diverged\n"))
    journal.write(entry(0, status="completed", mean=0.1 + 0.2))
    for reader in (journal, again(journal)):
        assert reader.entries() == {
            0: entry(0, status="completed", mean=0.1 + 0.2),
            1: entry(1, status="failed", reason="λ diverged\n"),
        }
        assert type(reader.entries()[0].arm["epochs"]) is int
        assert reader.config == {"name": "alpha"}


def test_a_reader_takes_in_only_what_is_new(journal):
    reader = again(journal)
    assert reader.entries() == {}
    before = reader.position
    journal.write(entry(0))
    assert reader.entries() == {0: entry(0)}
    assert reader.position > before


def test_a_torn_last_line_does_not_count_and_is_never_cut_off(journal):
    journal.write(entry(0))
    journal.write(entry(1))
    torn = journal.path.read_bytes()[:-20]
    journal.path.write_bytes(torn)
    assert list(again(journal).entries()) == [0]
    assert journal.path.read_bytes() == torn
    successor = again(journal)
    successor.open(2, "process 2")
    successor.write(entry(1))
    assert list(again(journal).entries()) == [0, 1]
    assert journal.path.read_bytes().startswith(torn + CANCELLED)


def test_a_driver_that_slept_while_it_opened_the_journal_cuts_nothing_off(journal):
    journal.write(entry(0))
    sleeper = again(journal)
    sleeper.read()
    successor = again(journal)
    successor.open(3, "process 3")
    successor.write(entry(1))
    with pytest.raises(FencedError):
        sleeper.open(2, "process 2")
    assert list(again(journal).entries()) == [0, 1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace(b"0.3333333333333333", b"0.4333333333333333"),
        lambda line: b"{" + line,
        lambda line: b"\0" * (len(line) - 1) + b"\n",
        lambda line: b"[]\n",
    ],
    ids=["a digit", "no JSON", "zeros", "another shape"],
)
def test_a_damaged_line_is_named_with_the_remedy(journal, damage):
    journal.write(entry(0))
    journal.write(entry(1))
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join([*lines[:2], damage(lines[2]), *lines[3:]]))
    reader = again(journal)
    for _ in range(2):
        with pytest.raises(StorageError, match=r"journal\.jsonl is damaged in line 3; rebuild it"):
            reader.entries()
    assert list(Journal(journal.path, is_tolerant=True).entries()) == [1]


def test_a_missing_journal_is_named_with_the_remedy(tmp_path):
    with pytest.raises(StorageError, match=r"journal\.jsonl is missing; rebuild it"):
        Journal(tmp_path / "journal.jsonl", "rebuild it").entries()


def test_a_driver_that_was_replaced_is_told_and_what_it_wrote_does_not_count(journal):
    journal.write(entry(0))
    successor = again(journal)
    successor.open(2, "process 2 on there")
    with pytest.raises(FencedError, match="taken over by process 2 on there"):
        journal.write(entry(0, status="failed"))
    assert successor.entries()[0].record.status == "running"
    assert again(journal).entries()[0].record.status == "running"
    with pytest.raises(FencedError):
        journal.check()
    successor.write(entry(0, status="completed"))
    assert again(journal).entries()[0].record.status == "completed"


def test_a_line_is_on_the_disk_before_write_returns(journal, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal.write(entry(0))
    assert synced == [journal.path.stat().st_size]


def test_what_a_full_disk_has_taken_of_a_line_does_not_count(journal, monkeypatch):
    journal.write(entry(0))
    write = os.write

    def takes_half(descriptor, line):
        if line.startswith(b"{"):
            return write(descriptor, line[: len(line) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", takes_half)
    with pytest.raises(StorageError, match=r"journal\.jsonl cannot be written \(No space left on device\); nothing is"):
        journal.write(entry(1))
    monkeypatch.undo()
    assert list(again(journal).entries()) == [0]
    journal.write(entry(1))
    assert list(again(journal).entries()) == [0, 1]


def test_1500_lines_are_read_fast_and_without_ax_sql_or_torch(journal, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for index in range(500):
        for status in ("running", "running", "completed"):
            journal.write(entry(index, status=status))
    program = """
import sys, time
from pathlib import Path
from bo_shaping.storage.study_folder import StudyFolder
began = time.perf_counter()
records = StudyFolder(Path(sys.argv[1])).records()
seconds = time.perf_counter() - began
print(len(records), seconds, [name for name in ("ax", "torch", "sqlalchemy", "pandas") if name in sys.modules])
"""
    command = [sys.executable, "-c", program, str(journal.path.parent)]
    n_records, seconds, loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(
        " ", 2
    )
    assert (int(n_records), loaded.strip()) == (500, "[]")
    # A tenth of it on a quiet machine.
    assert float(seconds) < 1.0
