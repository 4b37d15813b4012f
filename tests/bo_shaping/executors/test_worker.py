from contextlib import suppress

import pytest

from bo_shaping.config.inner_loop import import_inner_loop
from bo_shaping.errors import ConfigError
from bo_shaping.executors.worker import main
from bo_shaping.storage.trial_folder import Job, TrialFolder, Worker
from inner_loop.errors import UnreachableRewardModelError
from inner_loop.spec import TrialProgress, TrialSpec
from tests.bo_shaping.closed_form import result_of


def prepare(tmp_path, function, weights=None, module="tests.bo_shaping.closed_form"):
    folder = TrialFolder(tmp_path / "0000")
    specs = [TrialSpec(weights=weights or {"sparse": 1.0}, ppo={"steps": 4}, seed=seed) for seed in (3, 4)]
    folder.prepare(Job.of(f"{module}:{function}", specs))
    return folder


def run_on_from_notes(spec, *, folder):
    """Notes every step in its folder and goes on after the last one noted; in its first life, seed 4 dies at step 2."""
    folder.mkdir(parents=True, exist_ok=True)
    first = len(list(folder.iterdir()))
    for step in range(first, 3):
        if (spec.seed, first, step) == (4, 0, 2):
            raise KeyboardInterrupt
        (folder / str(step)).write_text("done")
        yield TrialProgress(step=step, n_steps=3)
    return result_of(spec, float(first))


def fail_in_its_folder(spec, *, folder):
    folder.mkdir(parents=True)
    yield TrialProgress(step=0, n_steps=1)
    raise ArithmeticError


def test_an_inner_loop_that_takes_a_folder_finds_it_again_after_it_was_killed(tmp_path):
    folder = prepare(tmp_path, "run_on_from_notes", module=__name__)
    with pytest.raises(KeyboardInterrupt):
        main(str(folder.path))
    assert not folder.is_done()
    main(str(folder.path))
    # The first replicate had all of its steps, the second went on after two.
    assert [result.mean for result in folder.results()] == [3.0, 2.0]


@pytest.mark.parametrize("function", ["run_on_from_notes", "fail_in_its_folder"])
def test_nothing_is_kept_of_a_trial_that_is_done(tmp_path, function):
    folder = prepare(tmp_path, function, module=__name__)
    for _ in range(2):
        with suppress(KeyboardInterrupt):
            main(str(folder.path))
    assert folder.is_done()
    assert not (folder.path / "checkpoints").exists()


def lose_the_server_once(spec, *, folder):
    folder.mkdir(parents=True, exist_ok=True)
    is_first = not list(folder.iterdir())
    (folder / "checkpoint").write_text("half way")
    yield TrialProgress(step=0, n_steps=1)
    if is_first:
        raise UnreachableRewardModelError("The reward function could not score texts 0 to 31 of 64")
    return result_of(spec, 1.0)


def test_a_trial_that_could_not_reach_its_reward_server_keeps_its_checkpoint_and_can_be_run_again(tmp_path):
    folder = prepare(tmp_path, "lose_the_server_once", module=__name__)
    main(str(folder.path))
    assert folder.failure_reason() == "The reward function could not score texts 0 to 31 of 64"
    assert (folder.path / "checkpoints" / "0" / "checkpoint").is_file()
    folder.forget_ending()
    main(str(folder.path))
    folder.forget_ending()
    main(str(folder.path))
    assert [result.mean for result in folder.results()] == [1.0, 1.0]
    assert not (folder.path / "checkpoints").exists()


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
    assert "unusable result: mean: nan is not a finite number" in folder.failure_reason()


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
