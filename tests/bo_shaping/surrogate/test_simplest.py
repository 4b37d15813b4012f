import json
from dataclasses import asdict

import numpy as np
import pytest

from bo_shaping.generation.strategy import new_client, new_experiment
from bo_shaping.space.arms import from_arm, to_arm
from bo_shaping.surrogate.recommend import recommend
from bo_shaping.surrogate.recommendation import Best
from tests.bo_shaping import closed_form
from tests.bo_shaping.conftest import MakeConfig

NAMES = ("shap", "lime", "sparse")


def best_of(config, reward, n=30, noise=0.0):
    """The recommendation after `n` arms spread over the space, with a known reward and some noise."""
    rng = np.random.default_rng(0)
    client = new_client(experiment := new_experiment(config))
    for weights, gae_lambda in zip(rng.dirichlet(np.ones(3), n), rng.uniform(0.5, 1, n), strict=True):
        arm = to_arm(dict(zip(NAMES, weights, strict=True)), {"gae_lambda": gae_lambda}, config.search_space)
        weights_, parameters = from_arm(arm, config.search_space)
        value = reward(weights_, parameters["gae_lambda"]) + noise * rng.normal()
        client.complete_trial(client.attach_trial(arm), raw_data={"reward": value, "kl": 3.0})
    return recommend(experiment, config)[0]


def shap_or_lime(weights, gae_lambda):
    """SHAP and LIME are one thing, and sparse is bad."""
    return -6 * weights["sparse"] - 2 * (gae_lambda - 0.7) ** 2


def test_of_two_that_are_alike_one_will_do(make_config: MakeConfig):
    best = best_of(make_config(), shap_or_lime, noise=0.1)
    pure = max(best.weights.values()) == 1.0
    assert (best.simplest is None) == pure
    if best.simplest is not None:
        assert sorted(best.simplest.weights.values()) == [0, 0, 1]
        assert best.simplest.weights["sparse"] == 0
        assert best.simplest.cost.mean <= best.simplest.cost.sd
        assert 0 <= best.simplest.prob_best <= 1
    # Whatever the recommended mixture lacks, sparse among it, the best point may need: never sparse alone.
    assert best.prob_face >= max(best.prob_best[name] for name, weight in best.weights.items() if weight > 0)
    for name in ("shap", "lime"):
        assert best.leaving_out[name].mean < 2 * best.leaving_out[name].sd + 0.1
    assert best.leaving_out["sparse"].mean == pytest.approx(0, abs=0.1)


def test_what_is_known_to_be_needed_is_not_left_out(make_config: MakeConfig):
    best = best_of(make_config(), closed_form.reward)
    assert best.simplest is None
    assert best.prob_face == 1.0, "it has all components, so there is no other"
    # The best without shap is (0, 0.55, 0.45): 4 (0.25 + 0.0625 + 0.0625) below.
    assert best.leaving_out["shap"].mean == pytest.approx(1.5, abs=0.25)
    assert best.leaving_out["sparse"].mean == pytest.approx(4 * (0.04 + 0.01 + 0.01), abs=0.12)
    assert best.leaving_out["shap"].mean > best.leaving_out["lime"].mean > best.leaving_out["sparse"].mean


def test_a_weight_that_is_held_is_not_said_to_be_left_out(make_config: MakeConfig):
    config = make_config(search_space={"fixed": {"sparse": 0.2}})
    assert set(best_of(config, closed_form.reward).leaving_out) == {"shap", "lime"}


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (lambda weights, gae_lambda: 2 * weights["shap"], {"mixture": 1.0, "gae_lambda": 0.0}),
        (lambda weights, gae_lambda: 4 * gae_lambda, {"mixture": 0.0, "gae_lambda": 1.0}),
        # Var of a uniform share of three is 1 / 18, of half a unit of lambda 1 / 48.
        (
            lambda weights, gae_lambda: weights["shap"] + gae_lambda,
            {"mixture": 48 / (48 + 18), "gae_lambda": 18 / (48 + 18)},
        ),
    ],
)
def test_what_matters_is_what_the_reward_depends_on(make_config: MakeConfig, reward, expected):
    assert best_of(make_config(), reward).matters == pytest.approx(expected, abs=0.06)


def test_it_is_printed_and_kept(make_config: MakeConfig, bo_shaping, finished):
    best = finished.best()
    assert Best.from_json(json.loads(json.dumps(asdict(best)))) == best
    out = bo_shaping("best", finished.path, "--posterior")[1]
    assert "leaving a component out costs: shap" in out
    assert "what matters over the search space: " in out
    assert ("simpler, and not known to be worse" in out) == (best.simplest is not None)
