import pytest

from bo_shaping.views.report import Landmarks, curves_figure
from bo_shaping.views.report.verdict import judge
from inner_loop.spec import CurvePoint
from tests.bo_shaping.views.report.made_up import make_best, make_result, make_trials

THREE = ("shap", "lime", "sparse")
NOTHING = Landmarks(chosen=None, why="", corners={})


def verdict(best=None, *, n_finished=12, n_failed=0, results=None, landmarks=NOTHING):
    trials = make_trials(THREE, n_finished, n_failed)
    return judge(trials, results or {}, best, landmarks)


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.97, "has more reward with probability 97 % than the sparse reward; at equal KL they were not compared"),
        (0.85, "probably has more reward with probability 85 %"),
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


def test_sparse_that_cannot_be_had_alone_is_no_winner():
    best = make_best(THREE, weights={"shap": 1.0, "lime": 0.0, "sparse": 0.0}, prob_better_than_sparse=None)
    assert verdict(best).headline == (
        "pure shap is recommended; the sparse reward alone is not searched, so that nothing is said of it"
    )


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
    note = verdict(make_best(THREE), results={3: [ours], 2: [theirs]}, landmarks=landmarks).notes[-1]
    assert "same 3 prompts, trial #3 (best trial so far) ends at +1.00 ± 1.15 against the best sparse trial #2" in note
    assert "KL 6.0 against 5.0" in note


def test_the_measured_difference_of_several_seeds_is_that_of_their_means():
    ours = [make_result(2.0, kl).model_copy(update={"scores": [2.0, kl]}) for kl in (2.0, 6.0)]
    theirs = [make_result(1.0, 5.0).model_copy(update={"scores": [0.0, 2.0]})]
    landmarks = Landmarks(chosen=3, why="best trial so far", corners={"sparse": 2})
    note = verdict(make_best(THREE), results={3: ours, 2: theirs}, landmarks=landmarks).notes[-1]
    # Prompt by prompt 2 - 0 and (2 + 6) / 2 - 2.
    assert "ends at +2.00 ± 0.00" in note
    assert "KL 4.0 against 5.0" in note


@pytest.mark.parametrize(
    ("n_finished", "n_failed", "headline"),
    [(0, 0, "No trial"), (0, 3, "No trial"), (2, 0, "There is no recommendation yet")],
)
def test_a_study_without_recommendation_says_why(n_finished, n_failed, headline):
    assert verdict(None, n_finished=n_finished, n_failed=n_failed).headline.startswith(headline)


BESIDE_SPARSE = Landmarks(chosen=3, why="best trial so far", corners={"sparse": 2})


def curve(*points, sem=0.0):
    """Of (step, reward, KL)."""
    return [
        CurvePoint(step=step, mean=mean, sem=sem, kl=kl, kl_k3=1, entropy=2, length=9, distinct_2=1)
        for step, mean, kl in points
    ]


def judged(ours, theirs, probability=0.97):
    best = make_best(THREE, prob_better_than_sparse=probability)
    return judge(make_trials(THREE, 12, 0), {}, best, BESIDE_SPARSE, curves={3: ours, 2: theirs})


def test_what_is_only_sooner_at_the_same_point_is_faster_and_not_better():
    # The same reward at every KL, in a quarter of the steps.
    ours = curve((0, 0.0, 0.0), (5, 2.0, 4.0), sem=0.1)
    theirs = curve((0, 0.0, 0.0), (20, 2.0, 4.0), sem=0.1)
    headline = judged(ours, theirs).headline
    assert "is faster than the sparse reward, 5 steps instead of 20 to the same reward" in headline
    # 1.645 times the root of two standard errors of 0.1.
    assert "not better at equal KL: +0.00 (90 %: -0.23 to 0.23)" in headline
    assert "beats" not in headline


def test_what_has_more_reward_at_equal_kl_is_better_with_the_interval():
    ours = curve((0, 0.0, 0.0), (10, 3.0, 6.0), sem=0.1)
    theirs = curve((0, 0.0, 0.0), (10, 1.0, 4.0), sem=0.1)
    # At KL 4: 2 against 1.
    assert "is better than the sparse reward at equal KL: +1.00 (90 %: 0.77 to 1.23)" in judged(ours, theirs).headline
    assert "is probably better than" in judged(ours, theirs, 0.85).headline


def test_what_ends_higher_by_drifting_further_is_called_neither():
    ours = curve((0, 0.0, 0.0), (10, 1.0, 4.0), (20, 4.0, 16.0))
    theirs = curve((0, 0.0, 0.0), (10, 1.0, 4.0))
    headline = judged(ours, theirs).headline
    assert "has more reward with probability 97 % than the sparse reward, and is not better at equal KL" in headline
    assert "faster" not in headline


def test_the_headline_says_what_the_picture_says():
    ours, theirs = curve((0, 0.0, 0.0), (10, 3.0, 6.0), sem=0.1), curve((0, 0.0, 0.0), (10, 1.0, 4.0), sem=0.1)
    figure = curves_figure(make_trials(THREE, 12, 0), {3: ours, 2: theirs}, BESIDE_SPARSE)
    [said] = [text.get_text() for text in figure.axes[1].texts if "less" in text.get_text()]
    assert "+1.00 (90 %: 0.77 to 1.23)" in said
    assert "+1.00 (90 %: 0.77 to 1.23)" in judged(ours, theirs).headline
    [line] = [line for line in figure.axes[1].lines if line.get_gid() == "equal KL"]
    assert line.get_xdata()[0] == 4.0


def test_a_highlighted_trial_over_the_budget_is_named():
    best = make_best(THREE, kl=3.5)
    trials = make_trials(THREE, 12, 0)  # trial 3 has KL 6
    notes = judge(trials, {}, best, BESIDE_SPARSE, kl_limit=4.0).notes
    words = "has a KL of 6.0, over the budget of 4, the recommendation itself is expected to have 3.5."
    assert any(words in note for note in notes)
    assert not any("over the budget" in note for note in judge(trials, {}, best, BESIDE_SPARSE, kl_limit=6.0).notes)
