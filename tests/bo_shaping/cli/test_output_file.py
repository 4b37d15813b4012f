import os
import threading

import pytest

from bo_shaping.cli.output_file import write_output
from bo_shaping.errors import OutputError


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    target, link = tmp_path / "real.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    write_output(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pipe_is_written_into(tmp_path):
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_output(pipe, "text")
    reader.join(timeout=10)
    assert read == ["text"]
    assert pipe.is_fifo()


def test_a_folder_that_is_not_there_is_named_and_not_made(tmp_path):
    with pytest.raises(OutputError, match=f"There is no folder {tmp_path / 'typo'}; create it first"):
        write_output(tmp_path / "typo" / "x.csv", "text")
    assert not (tmp_path / "typo").exists()


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_output(tmp_path, "text")
