import pytest

from bo_shaping.errors import TrialNotFoundError
from bo_shaping.storage.trial_folder import Event, Job
from bo_shaping.views import logs
from bo_shaping.views.logs import log_lines, why_silent
from inner_loop.spec import TrialProgress, TrialSpec
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


def test_a_silent_trial_says_how_it_stands_and_where_to_look(folder, studies):
    add_trial(folder, 0, "failed", reason=EVIL)
    place = folder.trial(0).path
    assert why_silent(folder, 0) == (
        f"Trial 0 has printed nothing; it is failed: {EVIL_SHOWN}; its files, progress.jsonl with the newest events "
        f"among them, are in {place}."
    )
    add_trial(folder, 1, "running")
    trial = folder.trial(1)
    trial.prepare(Job.of("a:b", [TrialSpec(weights={"sparse": 1.0})]))
    trial.append_event(Event(replicate=0, n_replicates=1, progress=TrialProgress(step=5, n_steps=20)))
    with folder.driver_lock():
        assert "it is running, at step 5 of 20" in why_silent(folder, 1)
    trial.cluster_job_file.write_text("17")
    assert f"see {trial.cluster_job_file}" in why_silent(folder, 1)
    add_trial(folder, 2, "asked")
    assert "whoever asked for it" in why_silent(folder, 2)
    inline = bare_study(studies / "inline", executor="inline")
    add_trial(inline, 0, "completed")
    assert "trials print where the driver does" in why_silent(inline, 0)
    with pytest.raises(TrialNotFoundError):
        why_silent(folder, 9)
