import os
import stat

import pytest

from inner_loop.io.atomic_file import replacing, write_atomically


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    file = tmp_path / "config.yaml"
    write_atomically(file, "old")
    with replacing(file) as temporary:
        temporary.write_text("ne")
        assert file.read_text() == "old"
        temporary.write_text("new")
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_what_raises_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    file = tmp_path / "config.yaml"
    write_atomically(file, "old")

    def fail():
        with replacing(file) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])


def test_content_then_name_reach_the_disk_in_this_order(tmp_path, monkeypatch):
    """After a power cut there is the old file or the new one, and what was said to be there is."""
    happened = []
    sync, rename = os.fsync, type(tmp_path).replace

    def synced(descriptor):
        happened.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def renamed(source, target):
        happened.append("rename")
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(type(tmp_path), "replace", renamed)
    write_atomically(tmp_path / "config.yaml", "new")
    assert happened == ["file", "rename", "folder"]


def test_two_processes_of_one_number_on_two_hosts_write_files_of_their_own(tmp_path):
    with replacing(tmp_path / "x") as ours, replacing(tmp_path / "x") as theirs:
        assert ours != theirs
        ours.write_text("1")
        theirs.write_text("2")
    assert (tmp_path / "x").read_text() == "1"
