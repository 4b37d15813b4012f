import math

import pytest

from bo_shaping.storage.mean_curve import mean_curve
from inner_loop.spec import CurvePoint


def point(step, mean, kl=1.0, distinct_1=None):
    fields = {"sem": 0.3, "kl_k3": kl, "entropy": 2.0, "length": 8.0, "distinct_2": 0.5}
    return CurvePoint(step=step, mean=mean, kl=kl, distinct_1=distinct_1, **fields)


def test_one_seed_is_its_own_mean():
    curve = [point(0, 1.0), point(2, 2.0)]
    assert mean_curve([curve]) == curve
    assert mean_curve([]) == []


def test_several_seeds_are_averaged_step_by_step_with_the_error_between_them():
    first, second = mean_curve([[point(0, 1.0), point(2, 2.0, kl=3.0)], [point(0, 1.0), point(2, 4.0, kl=5.0)]])
    assert (first.step, first.mean, first.sem) == (0, 1.0, 0.0)
    assert (second.step, second.mean, second.kl) == (2, 3.0, 4.0)
    assert second.sem == pytest.approx(math.sqrt(2) / math.sqrt(2))  # sd of 2 and 4, over two seeds
    assert second.distinct_1 is None


def test_a_seed_that_ended_early_counts_as_far_as_it_went():
    curve = mean_curve([[point(0, 1.0), point(2, 2.0)], [point(0, 3.0, distinct_1=0.4)]])
    assert [(p.step, p.mean) for p in curve] == [(0, 2.0), (2, 2.0)]
    assert curve[0].distinct_1 == 0.4
    assert curve[1].sem == 0.3


def test_scores_of_gold_reward_models_are_averaged_by_name():
    ends = [point(2, 1.0).model_copy(update={"gold": {"minilm": score, "lexicon": 0.5}}) for score in (1.0, 2.0)]
    [mean] = mean_curve([[ends[0]], [ends[1]]])
    assert mean.gold == {"minilm": 1.5, "lexicon": 0.5}
