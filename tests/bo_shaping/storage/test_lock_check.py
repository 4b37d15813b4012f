"""A file system on which locks mean nothing is found out by trying, before a trial is spent."""

import errno
import fcntl

import pytest

from bo_shaping import Study
from bo_shaping.errors import StorageError
from bo_shaping.storage.lock_check import refuse_without_locks, what_is_wrong_with_locks
from bo_shaping.views.doctor import examine


def test_a_lock_that_is_refused_to_another_process_is_one(tmp_path):
    assert what_is_wrong_with_locks(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_two_processes_have_is_none(tmp_path, monkeypatch, make_config, finished, studies):
    # What such a mount does: it says yes and does nothing.
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)
    message = f"Locks on files mean nothing in {tmp_path}: two processes could drive one study.* BO_SHAPING_STUDIES="
    with pytest.raises(StorageError, match=message):
        refuse_without_locks(tmp_path)
    with pytest.raises(StorageError, match="Locks on files mean nothing"):
        Study.launch(make_config(name="new"))
    assert not (studies / "new").exists()
    [finding] = [finding for finding in examine(finished.folder) if finding.check == "locks"]
    assert (finding.is_ok, finding.text) == (False, f"Locks on files mean nothing in {finished.path}")


def test_a_file_system_that_knows_no_locks_says_so(tmp_path, monkeypatch):
    def unknown(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    assert what_is_wrong_with_locks(tmp_path) == f"Files in {tmp_path} cannot be locked (No locks available)"
