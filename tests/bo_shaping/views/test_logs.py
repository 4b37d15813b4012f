import pytest

from bo_shaping.errors import TrialNotFoundError
from bo_shaping.views import logs
from bo_shaping.views.logs import log_lines
from tests.bo_shaping.bare_study import EVIL, EVIL_SHOWN, add_trial, bare_study


@pytest.fixture
def folder(studies):
    folder = bare_study(studies / "toy")
    add_trial(folder, 0, "failed", reason="x")
    folder.trial(0).path.mkdir(exist_ok=True, parents=True)
    return folder


def test_every_line_is_there_and_can_only_be_read(folder):
    folder.trial(0).log_file.write_bytes(f"start\n10 %\r100 %\n\n{EVIL}\n".encode() + b"\xff end")
    assert list(log_lines(folder, 0)) == ["start", "100 %", "", EVIL_SHOWN, "\ufffd end"]


def test_a_long_log_is_not_cut_at_the_pieces_it_is_read_in(folder, monkeypatch):
    monkeypatch.setattr(logs, "_CHUNK_BYTES", 7)
    expected = [f"line {i} é" for i in range(100)]
    folder.trial(0).log_file.write_text("\n".join(expected), encoding="utf-8")
    assert list(log_lines(folder, 0)) == expected


def test_following_goes_on_until_the_trial_has_ended(folder, monkeypatch):
    add_trial(folder, 1, "running")
    trial = folder.trial(1)
    trial.path.mkdir(exist_ok=True, parents=True)
    steps = [
        lambda: trial.log_file.write_text("one\ntw"),
        lambda: trial.log_file.write_text("one\ntwo\n"),
        lambda: (trial.log_file.write_text("one\ntwo\nthree\n"), add_trial(folder, 1, "completed")),
    ]
    monkeypatch.setattr(logs.time, "sleep", lambda _: steps.pop(0)())
    with folder.driver_lock():
        assert list(log_lines(folder, 1, follow=True)) == ["one", "two", "three"]
    assert not steps


def test_a_trial_without_a_log_has_no_lines_and_one_that_is_not_there_is_an_error(folder):
    assert list(log_lines(folder, 0)) == []
    with pytest.raises(TrialNotFoundError, match="Study 'toy' has no trial 3; its trials are 0 to 0"):
        list(log_lines(folder, 3))
