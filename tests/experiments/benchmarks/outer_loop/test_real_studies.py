import numpy as np
import pytest

from experiments.benchmarks.outer_loop import fresh_seeds, real_studies
from experiments.benchmarks.outer_loop.fresh_seeds import PAPERS, SPARSE, UNTUNED
from experiments.benchmarks.outer_loop.real_studies import N_STUDIES, arm_of, fresh, measure, table_of
from experiments.benchmarks.outer_loop.train_wide_surface import STEPS

SECONDS = {"sample": 5.0, "attribute": 3.0, "update": 2.0}


def rising(end, kl=5.0):
    """A learning curve on a straight line from 0 to `end`, within the budget."""
    return [[step, end * step / STEPS, kl * step / STEPS] for step in range(0, STEPS + 1, 4)]


def found(study, gae_lambda=0.7):
    return {
        "study": study,
        "weights": {"shap": 0.75, "sparse": 0.25},
        "parameters": {"max_units": 20.0, "gae_lambda": gae_lambda, "learning_rate": 7e-4, "kl_coef": 0.1},
        "prob_better_than_sparse": 0.95,
        "simplest": None,
        "trial_seconds": [10.0, None],
    }


@pytest.fixture
def others(monkeypatch):
    """Sparse ends at 1 plus a part of the seed's own, the guess at 1.5."""
    sparse = PAPERS | {"w_shap": 0.0, "w_sparse": 1.0}
    monkeypatch.setattr(fresh_seeds, "settings", lambda runs: {SPARSE: sparse, "guess": UNTUNED})
    return [
        {"setting": name, "arm": arm, "seed": seed, "curve": rising(end + luck(seed))}
        for name, arm, end in ((SPARSE, sparse, 1.0), ("guess", UNTUNED, 1.5))
        for seed in fresh_seeds.SEEDS
    ]


def luck(seed):
    return 0.1 * (seed - np.mean(fresh_seeds.SEEDS))


def judged(study, end):
    return [
        {"study": study, "seed": seed, "curve": rising(end + luck(seed)), "seconds": SECONDS} for seed in fresh(study)
    ]


def test_every_fresh_seed_judges_as_many_studies():
    seeds = [seed for study in range(N_STUDIES) for seed in fresh(study)]
    assert sorted(seeds) == sorted(list(fresh_seeds.SEEDS) * real_studies.N_FRESH)
    assert all(len(set(fresh(study))) == real_studies.N_FRESH for study in range(N_STUDIES))


def test_the_recommendation_is_trained_with_what_it_searched_and_one_lambda():
    arm = arm_of(found(0))
    assert (arm["w_shap"], arm["w_sparse"], arm["w_gradient"]) == (0.75, 0.25, 0.0)
    assert (arm["max_units"], arm["gae_lambda"], arm["critic_lambda"]) == (20.0, 0.7, 0.7)
    assert arm["sharpness"] == PAPERS["sharpness"]


def test_gains_are_paired_by_seed_and_steps_are_those_to_where_sparse_ends(others):
    # Twice as high as sparse: where sparse ends is reached half way. The luck of a seed cancels out of the gains.
    runs = [row for study in range(4) for row in (found(study), *judged(study, 2.0))]
    unfinished = [found(9), *judged(9, 50.0)[:2]]
    record = measure([*runs, *unfinished], others)
    assert [study["study"] for study in record["studies"]] == [0, 1, 2, 3]
    beside = {row["beside"]: row for row in record["beside"]}
    assert beside[SPARSE]["at_the_budget"] == pytest.approx([1.0, 1.0, 1.0])
    assert beside["guess"]["at_the_budget"] == pytest.approx([0.5, 0.5, 0.5])
    assert beside[SPARSE]["ahead"] == 4
    assert record["target"] == pytest.approx(1.0)
    value, low, high = record["steps_to_sparse"]
    assert low <= value <= high
    assert value == pytest.approx(0.5, abs=0.06)
    assert record["seconds_per_step"] == pytest.approx(0.5)
    assert "4 studies of 24 trials" in table_of(record)


def test_a_study_that_never_gets_there_counts_as_never(others):
    record = measure([row for study in range(3) for row in (found(study), *judged(study, 0.2))], others)
    assert record["steps_to_sparse"][0] == np.inf
    assert "never" in table_of(record)
