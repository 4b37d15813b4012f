from dataclasses import replace

import pytest

from bo_shaping.surrogate.evidence import evidence_of, task_in_words
from inner_loop.spec import TaskConfig


@pytest.fixture
def best(finished):
    return finished.best()


def test_the_training_parameters_are_those_searched_and_those_set(finished, best):
    changed = replace(best, parameters={"learning_rate": 0.5, "max_units": 7})
    parameters = evidence_of(finished.config, changed).parameters
    ppo = finished.config.ppo
    assert parameters == {
        "gae_lambda": ppo.gae_lambda,
        "kl_coef": ppo.kl_coef,
        "learning_rate": 0.5,
        "max_units": 7.0,
    }


def test_what_a_reader_must_know_is_a_note(finished, best):
    assert evidence_of(finished.config, replace(best, note="Few trials.")).notes == ("Few trials.",)
    assert evidence_of(finished.config, replace(best, note="")).notes == ()


def test_sparse_is_not_compared_with_itself(finished, best):
    assert evidence_of(finished.config, replace(best, prob_better_than_sparse=None)).prob_better_than_sparse is None


def test_a_task_is_told_with_revisions_and_without_folders_of_a_machine():
    task = TaskConfig(
        policy="org/policy", policy_revision="v2", reward_model="/home/ada/judge", prompts="/data/p.jsonl"
    )
    assert task_in_words(task) == (
        "policy org/policy at v2, reward model judge, prompts p.jsonl, responses of up to 20 tokens"
    )
