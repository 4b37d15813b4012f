import pytest

from bo_shaping.views.report import Landmarks
from bo_shaping.views.report.verdict import judge
from tests.bo_shaping.views.report.made_up import make_best, make_result, make_trials

THREE = ("shap", "lime", "sparse")
NOTHING = Landmarks(chosen=None, why="", corners={})


def verdict(best=None, *, n_finished=12, n_failed=0, results=None, landmarks=NOTHING):
    trials = make_trials(THREE, n_finished, n_failed)
    return judge(trials, results or {}, best, landmarks)


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.97, "beats the sparse"),
        (0.85, "probably beats"),
        (0.6, "cannot be told apart"),
        (0.1, "cannot be told apart"),
    ],
)
def test_the_headline_claims_what_the_probability_carries(probability, words):
    assert words in verdict(make_best(THREE, prob_better_than_sparse=probability)).headline


def test_the_headline_names_the_mixture():
    assert verdict(make_best(THREE)).headline.startswith("0.75 shap + 0.25 sparse")


def test_a_sparse_winner_is_not_compared_with_itself():
    best = make_best(THREE, weights={"shap": 0.0, "lime": 0.0, "sparse": 1.0}, prob_better_than_sparse=None)
    assert verdict(best).headline.startswith("The sparse reward itself")


def test_few_trials_and_failures_are_said():
    few = verdict(make_best(THREE), n_finished=5, n_failed=2)
    assert any(note.startswith("Only 5 trials") for note in few.notes)
    assert any(note.startswith("2 of 7 trials failed") for note in few.notes)
    assert verdict(make_best(THREE), n_finished=12).notes == []


def test_the_note_of_the_recommendation_comes_first():
    best = make_best(THREE, note="shap and lime cannot be told apart.")
    assert verdict(best, n_failed=1).notes[0] == "shap and lime cannot be told apart."


def test_the_measured_difference_is_paired():
    # Differences 1, -1, 3: mean 1, standard deviation 2, standard error 2 / sqrt(3) = 1.15.
    ours = make_result(2.0, 6.0).model_copy(update={"scores": [1.0, 1.0, 4.0]})
    theirs = make_result(1.0, 5.0).model_copy(update={"scores": [0.0, 2.0, 1.0]})
    landmarks = Landmarks(chosen=3, why="best trial so far", corners={"sparse": 2})
    [note] = verdict(make_best(THREE), results={3: [ours], 2: [theirs]}, landmarks=landmarks).notes
    assert "same 3 prompts, trial #3 (best trial so far) scores +1.00 ± 1.15 against the best sparse trial #2" in note
    assert "KL 6.0 against 5.0" in note


def test_the_measured_difference_of_several_seeds_is_that_of_their_means():
    ours = [make_result(2.0, kl).model_copy(update={"scores": [2.0, kl]}) for kl in (2.0, 6.0)]
    theirs = [make_result(1.0, 5.0).model_copy(update={"scores": [0.0, 2.0]})]
    landmarks = Landmarks(chosen=3, why="best trial so far", corners={"sparse": 2})
    [note] = verdict(make_best(THREE), results={3: ours, 2: theirs}, landmarks=landmarks).notes
    # Prompt by prompt 2 - 0 and (2 + 6) / 2 - 2.
    assert "scores +2.00 ± 0.00" in note
    assert "KL 4.0 against 5.0" in note


@pytest.mark.parametrize(
    ("n_finished", "n_failed", "headline"), [(0, 0, "No trial"), (0, 3, "No trial"), (2, 0, "Too few")]
)
def test_a_study_without_recommendation_says_why(n_finished, n_failed, headline):
    assert verdict(None, n_finished=n_finished, n_failed=n_failed).headline.startswith(headline)
