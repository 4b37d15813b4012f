import io

import pytest
from rich.console import Console

from bo_shaping.storage.records import TrialRecord
from bo_shaping.surrogate.recommendation import Group
from bo_shaping.views.recommendation_text import print_best, print_posterior
from tests.bo_shaping.views.report.made_up import make_best, make_front

THREE = ("shap", "lime", "sparse")


def printed(show, *arguments):
    console = Console(file=io.StringIO(), width=200, highlight=False)
    show(console, *arguments)
    return console.file.getvalue()


def record(weights, **fields):
    parameters = {"gae_lambda": 0.83}
    known = {"mean": 1.5, "sem": 0.25, "kl": 4.0} | fields
    return TrialRecord(index=2, status="completed", weights=weights, parameters=parameters, **known)


def test_the_numbers_of_the_recommendation_are_printed():
    best = make_best(THREE, note="Read [this] first.")
    text = printed(print_best, best, [])
    assert "   weight shap           0.75   90 % between 0.65 and 0.875" in text
    assert "parameter gae_lambda     0.83   90 % between 0.7 and 0.9" in text
    assert "expected reward 2.345 (1.230 to 3.210), expected KL 6.5" in text
    assert "probability of being better than: shap 65 %, lime 65 %, sparse 65 %" in text
    assert "expected regret 0.042" in text
    assert "Note: Read [this] first." in text


@pytest.mark.parametrize(("shift", "ran"), [(0.0, True), (1e-9, True), (0.01, False)])
def test_it_is_said_whether_the_recommendation_itself_was_run(shift, ran):
    best = make_best(THREE)
    nearest = record(best.weights | {"shap": 0.75 - shift, "lime": shift})
    text = printed(print_best, best, [nearest])
    if ran:
        assert "trial 2 ran these very weights: reward 1.500 ± 0.250, KL 4.00" in text
    else:
        assert (
            "none ran these very weights, the nearest is trial 2: shap 0.74 lime 0.01 sparse 0.25, gae_lambda 0.83; "
            "reward 1.500 ± 0.250, KL 4.00"
        ) in text


def test_the_posterior_says_who_may_be_best_and_what_goes_together():
    best = make_best(THREE, joint=[Group(["shap", "lime"], (0.6, 0.8))])
    text = printed(print_posterior, best)
    assert "probability of being the best, alone: shap 7 %, lime 14 %, sparse 21 %, a mixture 58 %" in text
    assert "weights that cannot be told apart: shap + lime: together 90 % between 0.60 and 0.80" in text
    assert "cannot be told apart" not in printed(print_posterior, make_best(THREE))


def test_a_front_is_a_table_from_least_to_most_kl():
    lines = printed(print_best, make_best(THREE, front=make_front(THREE)), []).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Pareto front"))
    header = [*THREE, "gae_lambda", "reward", "90", "%", "KL", "90", "%"]
    assert lines[start + 1].split() == header
    assert " ".join(lines[start + 4].split()) == "0.50 0.00 0.50 0.83 2.000 1.75 to 2.50 4.0 3.2 to 5.0"
