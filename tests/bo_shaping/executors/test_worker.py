import pytest

from bo_shaping.errors import ConfigError
from bo_shaping.executors.folder import Job, TrialFolder, Worker
from bo_shaping.executors.worker import import_inner_loop, main
from inner_loop.spec import TrialSpec


def prepare(tmp_path, function, weights=None, **settings):
    folder = TrialFolder(tmp_path / "0000")
    specs = [TrialSpec(weights=weights or {"sparse": 1.0}, ppo={"steps": 4}, seed=seed) for seed in (3, 4)]
    folder.prepare(Job.of(f"tests.bo_shaping.closed_form:{function}", specs, threads=1))
    return folder


def test_every_replicate_is_run_and_reported(tmp_path):
    folder = prepare(tmp_path, "run_trial")
    main(str(folder.path))
    assert [result.seed for result in folder.results()] == [3, 4]
    event = folder.last_event()
    assert (event.replicate, event.n_replicates, event.progress.step) == (1, 2, 4)


def test_an_exception_becomes_a_reason_of_one_line_and_a_traceback(tmp_path, capfd):
    folder = prepare(tmp_path, "fail_without_sparse", weights={"shap": 1.0})
    main(str(folder.path))
    assert not folder.has_result()
    assert folder.failure_reason() == "ArithmeticError: the [bold]policy[/bold] diverged in step 3"
    assert "Traceback" in capfd.readouterr().err


def test_a_result_that_is_not_finite_never_becomes_a_result_that_can_be_read(tmp_path):
    folder = prepare(tmp_path, "fail_without_sparse", weights={"lime": 1.0})
    main(str(folder.path))
    assert not folder.has_result()
    assert "unusable result: mean: Input should be a finite number" in folder.failure_reason()


def test_a_trial_that_is_done_or_taken_is_not_run_again(tmp_path):
    folder = prepare(tmp_path, "run_trial")
    with folder.locked(Worker(pid=1, started=0.0)):
        main(str(folder.path))
        assert not folder.is_done()
    main(str(folder.path))
    folder.write_results(folder.job().token, folder.results()[:1] * 2)
    main(str(folder.path))
    assert [result.seed for result in folder.results()] == [3, 3]


@pytest.mark.parametrize("entry_point", ["no_such_module:run", "math:no_such_function", "math:pi"])
def test_an_inner_loop_that_is_no_function_is_named(entry_point):
    with pytest.raises(ConfigError, match=entry_point):
        import_inner_loop(entry_point)
