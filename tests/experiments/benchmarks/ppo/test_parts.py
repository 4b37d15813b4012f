"""The parts that are small enough to be run, and the command line."""

from experiments.benchmarks.ppo import checkpoints, parallel, setup, shaping
from experiments.benchmarks.ppo.__main__ import tasks
from experiments.benchmarks.ppo.jobs import EMBEDDED, SMOLLM2, speed_job


def test_set_up_is_that_of_later_trials_in_steps():
    runs = [{"setup": 9.0, "step": 1.0}, {"setup": 0.02, "step": 1.0}, {"setup": 0.1, "step": 1.0}]
    [bar] = setup.bars({"wall_seconds": runs})
    assert (bar.low, bar.high) == (0.02, 0.1)
    assert not bar.passed
    assert "9.00" in bar.note


def test_a_second_trial_does_not_load_again():
    result = setup.measure(trials=2, steps=1, batch=2, response_tokens=2)
    first, second = result["wall_seconds"]
    assert second["setup"] < first["setup"] / 3
    assert "later" in setup.table_of(result)


def test_shaping_is_measured_part_by_part_without_evaluating_the_reward_model():
    result = shaping.measure(job=speed_job(EMBEDDED).shortened(), steps=1, repeats=3)
    parts = result["shaping_cpu_seconds"]
    assert set(parts) == {"mix", "place", "normalise", "advantages", "whiten"}
    assert all(len(times) == 3 for times in parts.values())
    assert sum(map(sum, parts.values())) < 3 * min(result["step_cpu_seconds"])
    [bar] = shaping.bars(
        {"step_cpu_seconds": [1.0], "shaping_cpu_seconds": {"mix": [0.01, 0.02], "place": [0.01, 0.01]}}
    )
    assert (bar.value, bar.low, bar.high) == (0.025, 0.02, 0.03)


def test_a_checkpoint_is_counted_in_the_steps_between_two():
    times = {"step": [2.0, 4.0, 9.0], "checkpoint": [1.0, 1.0, 7.0]}
    job = {part: [{"cpu": seconds, "wall": 2 * seconds**2} for seconds in values] for part, values in times.items()}
    assert checkpoints.share(job, "cpu") == 1 / 40
    assert checkpoints.share(job, "wall") == 2 / 320


def test_a_checkpoint_has_the_weights_and_both_moments_of_the_embedded_policy():
    result = checkpoints.measure(steps=1, repeats=2, quick=True)
    assert 4 * 3 * 4.2 < result[EMBEDDED]["megabytes"] < 4 * 3 * 4.3
    assert len(result[EMBEDDED]["checkpoint"]) == 2
    assert "a checkpoint of 51 MB every 10 steps" in checkpoints.table_of(result)


def test_speedups_are_taken_round_by_round():
    result = {
        "wall_seconds": {"in_turns": [2.0, 4.0, 4.0], "together": [1.0, 4.0, 2.5]},
        "load_average_before": [0.3, 0, 0],
        "cpus": 2,
        "steps": 1,
    }
    [bar] = parallel.bars(result)
    assert (bar.value, bar.low, bar.high, bar.passed) == (1.6, 1.0, 2.0, False)


def test_only_speed_is_run_job_by_job():
    assert tasks(["speed", "setup"], [EMBEDDED]) == [("speed", EMBEDDED), ("setup", "")]
    assert tasks(["memory"], [EMBEDDED]) == [("memory", SMOLLM2)]
