import subprocess
import sys

import pytest

from bo_shaping.errors import TrialResultError
from bo_shaping.storage.file_locks import try_hold
from bo_shaping.storage.trial_folder import Event, Job, TrialFolder, Worker
from inner_loop.io.atomic_file import write_atomically
from inner_loop.spec import TrialProgress, TrialSpec
from tests.bo_shaping.closed_form import result_of

SPEC = TrialSpec(weights={"shap": 1.0})
OTHER = TrialSpec(weights={"lime": 1.0})


def job_of(*specs):
    return Job.of("tests.bo_shaping.closed_form:run_trial", list(specs))


@pytest.fixture
def folder(tmp_path):
    folder = TrialFolder(tmp_path / "0003")
    folder.prepare(job_of(SPEC))
    return folder


def test_a_job_is_its_content():
    assert job_of(SPEC).token == job_of(SPEC).token
    assert job_of(SPEC).token != job_of(OTHER).token
    assert job_of(SPEC).token != job_of(SPEC, SPEC).token


def test_results_come_back_as_written(folder):
    folder.write_results(folder.job().token, [result_of(SPEC, 1.5)])
    assert folder.results() == [result_of(SPEC, 1.5)]


def test_preparing_the_same_job_keeps_its_result_and_another_job_removes_it(folder):
    folder.write_results(folder.job().token, [result_of(SPEC, 1.5)])
    folder.prepare(job_of(SPEC))
    assert folder.has_result()
    folder.prepare(job_of(OTHER))
    assert not folder.is_done()
    assert folder.job() == job_of(OTHER)


def test_who_prepares_a_job_late_keeps_what_somebody_else_has_made_of_it(tmp_path):
    other, late = TrialFolder(tmp_path / "0003"), TrialFolder(tmp_path / "0003")
    # As a driver that was stopped after it had seen that there is no job yet.
    other.prepare(job_of(SPEC))
    other.write_results(other.job().token, [result_of(SPEC, 1.5)])
    (tmp_path / "0003" / "spec.json").unlink()
    late.prepare(job_of(SPEC))
    assert late.results() == [result_of(SPEC, 1.5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unusable result"),
        ('{"token": "x", "results": [', "unusable result"),
        ('{"token": "x", "results": []}', "belongs to another trial"),
        (None, "result.json: No such file"),
    ],
)
def test_damaged_missing_or_foreign_results_are_refused(folder, text, message):
    if text is not None:
        write_atomically(folder.path / "result.json", text)
    with pytest.raises(TrialResultError, match=message):
        folder.results()


def test_results_of_another_job_are_refused(folder):
    folder.write_results(job_of(OTHER).token, [result_of(OTHER, 1.5)])
    with pytest.raises(TrialResultError, match="belongs to another trial"):
        folder.results()


@pytest.mark.parametrize("number", ["NaN", "Infinity", '"good"', "null"])
def test_results_that_are_not_finite_numbers_are_refused(folder, number):
    folder.write_results(folder.job().token, [result_of(SPEC, 1.5)])
    file = folder.path / "result.json"
    file.write_text(file.read_text().replace('"mean":1.5,"sem"', f'"mean":{number},"sem"', 1))
    with pytest.raises(TrialResultError, match="results, entry 1, mean: "):
        folder.results()


def test_negative_standard_errors_are_refused(folder):
    folder.write_results(folder.job().token, [result_of(SPEC, 1.5)])
    file = folder.path / "result.json"
    file.write_text(file.read_text().replace('"sem":0.1', '"sem":-0.1', 1))
    with pytest.raises(TrialResultError, match="results, entry 1, sem: must be at least 0"):
        folder.results()


def test_the_last_event_ignores_a_half_written_line(folder):
    assert folder.last_event() is None
    for step in range(300):
        folder.append_event(Event(replicate=0, n_replicates=1, progress=TrialProgress(step=step, n_steps=300)))
    with (folder.path / "progress.jsonl").open("a") as file:
        file.write('{"replicate": 0, "progr')
    assert folder.last_event().progress.step == 299


def test_the_lock_is_seen_by_others_and_dies_with_its_process(folder):
    assert not folder.is_locked()
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom bo_shaping.storage.trial_folder import TrialFolder, Worker\n"
        "with TrialFolder(Path(sys.argv[1])).locked(Worker(pid=4321, started=1.0)) as mine:\n"
        "    print(mine, flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline().strip() == "True"
        assert folder.is_locked()
        assert folder.worker().pid == 4321
        with folder.locked(Worker(pid=1, started=2.0)) as is_mine:
            assert not is_mine
        assert folder.worker().pid == 4321
        holder.kill()
    assert not folder.is_locked()
    assert folder.worker() is None


def test_who_has_let_go_of_the_lock_is_not_taken_for_who_holds_it_next(folder):
    with folder.locked(Worker(pid=4321, started=1.0)):
        assert folder.worker().pid == 4321
    with (folder.path / "worker.lock").open("ab") as file:
        # As a worker that has the lock and has not yet said who it is.
        assert try_hold(file)
        assert folder.is_locked()
        assert folder.worker() is None
