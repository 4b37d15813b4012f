from experiments.benchmarks.ppo.jobs import EMBEDDED, SMOLLM2
from experiments.benchmarks.ppo.speed import TRL, memory_bars, speed_bars, table_of


def measured(cpu, peak):
    return {"cpu_seconds": cpu, "wall_seconds": cpu, "tokens": [768] * len(cpu), "peak_mb": peak}


def test_gains_are_taken_turn_by_turn():
    # 4 / 1, 8 / 4 and 6 / 1: the middle one is 4; the ratio of the medians would be 6.
    jobs = {EMBEDDED: {"bfloat16": measured([1.0, 4.0, 1.0], 100.0), TRL: measured([4.0, 8.0, 6.0], 200.0)}}
    [bar] = speed_bars({"jobs": jobs})
    assert (bar.value, bar.low, bar.high, bar.limit) == (4.0, 2.0, 6.0, 3.0)
    assert memory_bars({"jobs": jobs}) == []
    assert "| 4.00x" in table_of({"jobs": jobs})


def test_memory_is_a_share_of_trls():
    jobs = {SMOLLM2: {"bfloat16": measured([1.0], 950.0), TRL: measured([3.0], 1000.0)}}
    [bar] = memory_bars({"jobs": jobs})
    assert bar.value == 0.95
    assert not bar.passed


def test_without_trl_there_is_a_table_and_no_bar():
    jobs = {EMBEDDED: {"bfloat16": measured([2.0], 100.0)}}
    assert speed_bars({"jobs": jobs}) == []
    assert "384.0" in table_of({"jobs": jobs})
