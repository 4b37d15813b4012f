import pytest

from experiments.benchmarks.ppo.jobs import learning_job
from experiments.benchmarks.ppo.learning import TRL, bars, judge, paired, table_of, welch


def test_welch_interval_by_hand():
    # Means 2 and 5, variances 1 and 1 over 3: standard error sqrt(2 / 3), 4 degrees of freedom, t = 2.776445.
    gap = welch([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert gap.value == pytest.approx(-3.0)
    assert (gap.low, gap.high) == pytest.approx((-3.0 - 2.776445 * (2 / 3) ** 0.5, -3.0 + 2.776445 * (2 / 3) ** 0.5))


def test_paired_interval_knows_that_the_seeds_are_shared():
    # Differences 1, 2, 3: standard error 1 / sqrt(3), 2 degrees of freedom, t = 4.302653.
    gap = paired([11.0, 22.0, 33.0], [10.0, 20.0, 30.0])
    assert (gap.low, gap.high) == pytest.approx((2.0 - 4.302653 / 3**0.5, 2.0 + 4.302653 / 3**0.5))
    assert gap.high < welch([11.0, 22.0, 33.0], [10.0, 20.0, 30.0]).high


def test_learning_that_is_worse_beyond_its_seeds_misses_the_bar():
    reward = {"ours, float32": [0.0, 0.1, 0.2], "ours, bfloat16": [1.0, 1.1, 1.3], TRL: [1.0, 1.1, 1.2], "start": [0.0]}
    checked = bars({"reward": reward})
    assert [bar.passed for bar in checked] == [False, True, True]
    kl = {name: [1.0] * len(values) for name, values in reward.items()}
    assert "start" in table_of({"reward": reward, "kl": kl, "steps": 1, "n_prompts": 2, "settings": {}})


def test_a_saved_policy_is_judged_by_its_own_weights(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    job = learning_job([0])
    reward, kl = judge(None, job, 4)
    assert kl == pytest.approx(0.0, abs=1e-4)
    assert judge(job.policy, job, 4) == (reward, kl)
    changed = AutoModelForCausalLM.from_pretrained(job.policy, dtype=torch.float32)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1.02)
    changed.save_pretrained(tmp_path)
    assert judge(str(tmp_path), job, 4)[1] > 0.1
