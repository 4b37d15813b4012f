import pytest

from bo_shaping.surrogate.recommendation import Cost
from bo_shaping.views.in_short import in_short, sentence
from inner_loop.spec import CurvePoint
from tests.bo_shaping.views.report.made_up import make_best

THREE = ("shap", "lime", "sparse")


def straight(per_step, n_steps=20):
    """A learning curve that rises by so much a step."""
    return [
        CurvePoint(step=i, mean=i * per_step, sem=0.1, kl=i, kl_k3=i, entropy=1, length=20, distinct_2=1)
        for i in range(n_steps + 1)
    ]


def test_it_says_what_to_use_how_soon_and_what_could_go():
    costs = {"shap": Cost(0.5, 0.2), "lime": Cost(0.1, 0.2), "sparse": Cost(0.3, 0.2)}
    best = make_best(THREE, leaving_out=costs, parameters={"gae_lambda": 0.7, "learning_rate": 8e-4})
    # Sparse ends at 2 after 20 steps; at 0.4 a step that takes 5.
    assert sentence("tokens", best, 0, {2: straight(0.4), 0: straight(0.1)}) == (
        "In short: token-level 0.75 shap + 0.25 sparse, lambda 0.7, learning rate 0.0008; trial 2, the nearest, was at "
        "reward 2.00 after 5 steps, and sparse at its best (trial 0) after 20; leaving out lime costs nothing that "
        "could be measured."
    )


@pytest.mark.parametrize("units", ["auto", "tokens"])
def test_paying_at_the_end_has_no_units(units):
    best = make_best(THREE, weights={"shap": 0.0, "lime": 0.0, "sparse": 1.0}, nearest_trial=0)
    assert sentence(units, best, 0, {0: straight(0.1)}) == "In short: pure sparse, lambda 0.83."


def test_what_is_no_faster_is_not_said_to_be():
    for curves in ({2: straight(0.1), 0: straight(0.1)}, {2: straight(0.05), 0: straight(0.1)}, {}):
        assert "after" not in sentence("auto", make_best(THREE), 0, curves)
    assert "after" not in sentence("auto", make_best(THREE), None, {2: straight(0.4)})


def test_components_that_stand_in_for_each_other_are_not_all_called_superfluous():
    costs = {"shap": Cost(0.1, 0.2), "lime": Cost(0.0, 0.1)}
    said = sentence("auto", make_best(THREE, leaving_out=costs), None, {})
    assert said.endswith("leaving out shap or lime (one of them) costs nothing that could be measured.")


def test_best_prints_it(finished, bo_shaping):
    best, records = finished.best(), finished.folder.records()
    out = bo_shaping("best", finished.path, "--posterior")[1]
    assert in_short(finished.folder, finished.config, best, records) in out
    assert 0 < best.prob_face <= 1
    assert "no other component is needed" in out


def test_searched_units_are_said_of_the_mixture_once():
    best = make_best(THREE, parameters={"units": "spans", "samples_per_prompt": 4.0})
    assert sentence("spans", best, None, {}) == "In short: span-level 0.75 shap + 0.25 sparse, samples per prompt 4."
    best = make_best(THREE, parameters={"units": "auto"})
    assert sentence("auto", best, None, {}) == "In short: 0.75 shap + 0.25 sparse, units auto."
