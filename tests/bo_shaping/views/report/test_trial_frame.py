import numpy as np
import pytest

from bo_shaping.views.report.trial_frame import component_names, extra_parameters, find_landmarks, finished_trials
from tests.bo_shaping.views.report.made_up import make_trials, stop_early


def test_columns_tell_components_from_other_parameters():
    trials = make_trials(("shap", "sparse"), 3, 0)
    assert component_names(trials) == ["shap", "sparse"]
    assert extra_parameters(trials) == ["gae_lambda"]


def test_only_trials_with_a_finite_reward_are_finished():
    trials = make_trials(("shap", "sparse"), 3, 2)
    trials.loc[1, "mean"] = np.inf
    assert list(finished_trials(trials).index) == [0, 2]


def test_a_corner_is_represented_by_its_best_trial_within_the_budget():
    trials = make_trials(("shap", "lime", "sparse"), 5, 0)
    trials[["w_shap", "w_lime", "w_sparse"]] = [0.0, 0.0, 1.0]  # rewards 0..4 at KL 0, 2, 4, 6, 8
    assert find_landmarks(trials, None, kl_budget=6.0).corners == {"sparse": 3}
    assert find_landmarks(trials, None, kl_budget=None).corners == {"sparse": 4}


def test_with_every_trial_over_budget_the_corner_is_the_one_of_least_kl():
    trials = make_trials(("shap", "lime", "sparse"), 3, 0)
    trials["kl"] = [30.0, 20.0, 25.0]
    assert find_landmarks(trials, None, kl_budget=8.0).chosen == 1


@pytest.mark.parametrize(
    ("nearest", "chosen", "why"), [(1, 1, "nearest"), (None, 4, "best trial"), (99, 4, "best trial")]
)
def test_the_chosen_trial_is_the_nearest_to_the_recommendation_if_there_is_one(nearest, chosen, why):
    landmarks = find_landmarks(make_trials(("shap", "lime", "sparse"), 5, 1), nearest, kl_budget=8.0)
    assert landmarks.chosen == chosen
    assert landmarks.why.startswith(why)


def test_a_stopped_trial_is_never_the_one_to_look_at_nor_a_baseline():
    trials = stop_early(make_trials(("shap", "lime", "sparse"), 3, 0), 2)
    landmarks = find_landmarks(trials, None, kl_budget=None)
    assert (landmarks.chosen, landmarks.corners) == (1, {"shap": 0, "lime": 1})


@pytest.mark.parametrize("n_failed", [0, 2])
def test_without_a_finished_trial_there_is_nothing_to_name(n_failed):
    landmarks = find_landmarks(make_trials(("shap", "lime", "sparse"), 0, n_failed), None, 8.0)
    assert (landmarks.chosen, landmarks.corners) == (None, {})
