import json

import pytest

from bo_shaping.comparison.compare import compare, comparison_folder
from bo_shaping.comparison.methods import config_of
from bo_shaping.comparison.stored import read_comparison
from bo_shaping.errors import ConfigError, StudyChangedError, TrainingError
from bo_shaping.views.comparison_table import sentences
from tests.bo_shaping import closed_form

LAMBDA = {"gae_lambda": {"bounds": (0.5, 1.0)}}


@pytest.fixture
def config(make_config):
    return make_config("climb", executor="inline", objective="final", ppo={"steps": 4})


def best_of(component):
    return closed_form.reward({component: 1.0}, closed_form.BEST_LAMBDA)


def test_every_method_is_tuned_and_trained_with_fresh_seeds(config, monkeypatch):
    comparison, trained = compare(config, ["shap", "sparse", "learned"], n_seeds=3, n_trials=8)
    rows = {row.method: row for row in comparison.rows}
    assert (comparison.baseline, comparison.n_seeds) == ("sparse", 3)
    assert {one.result.seed for one in trained} == {1_000_000, 1_000_001, 1_000_002}
    assert rows["shap"].parameters["gae_lambda"] == pytest.approx(closed_form.BEST_LAMBDA, abs=0.1)
    assert rows["shap"].weights == {"shap": 1.0, "sparse": 0.0}
    assert rows["shap"].final.value == pytest.approx(best_of("shap"), abs=0.1)
    gap = best_of("shap") - best_of("sparse")
    assert rows["shap"].difference.value == pytest.approx(gap / 2, abs=0.15)  # half of it, on a straight way up
    assert rows["shap"].improves == 1.0
    assert rows["sparse"].difference is None
    assert rows["sparse"].n_there == 3
    assert rows["learned"].final.value > rows["shap"].final.value

    def never(*args, **kwargs):
        raise AssertionError("what is done is not done again")

    monkeypatch.setattr(closed_form, "climb", never)
    again, _ = compare(config, ["shap", "sparse", "learned"], n_seeds=3, n_trials=8)
    assert again == comparison


def test_what_was_interrupted_goes_on(config, monkeypatch):
    whole, counted = closed_form.climb, []

    def interrupted(spec):
        counted.append(spec.seed)
        if len(counted) == 5:
            raise KeyboardInterrupt
        return whole(spec)

    monkeypatch.setattr(closed_form, "climb", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare(config, ["shap", "sparse"], n_seeds=2, n_trials=4)
    comparison, _ = compare(config, ["shap", "sparse"], n_seeds=2, n_trials=4)
    assert len(comparison.rows) == 2
    assert len(counted) == 2 * 4 + 2 * 2 + 1


def test_gold_reward_models_judge_what_was_found_and_do_not_find_it(make_config, monkeypatch):
    whole, seen = closed_form.climb, []

    def seeing(spec):
        seen.append((spec.seed >= 1_000_000, dict(spec.evaluation.gold)))
        return whole(spec)

    monkeypatch.setattr(closed_form, "climb", seeing)
    config = make_config(
        "climb", executor="inline", objective="final", ppo={"steps": 4}, evaluation={"gold": {"minilm": "embedded"}}
    )
    comparison, _ = compare(config, ["shap", "sparse"], n_seeds=2, n_trials=4)
    assert dict(seen) == {False: {}, True: {"minilm": "embedded"}}
    shap, sparse = comparison.rows
    assert shap.also["minilm"].final.value == -4.0
    # Its KL rises faster than that of sparse, so that it has fallen less when both are equally far.
    assert shap.also["minilm"].at_kl_difference.value > 0
    assert sparse.also["minilm"].at_kl_difference is None
    assert set(shap.also) == {"length", "distinct_2", "minilm"}
    assert "there by minilm, on which nobody trained" in sentences(comparison)[1]
    written = comparison.to_json()["rows"][0]["also"]["minilm"]
    assert set(written) == {"final", "at_kl", "at_kl_difference"}


def test_a_component_can_be_compared_as_it_is_given(make_config):
    config = make_config("climb", executor="inline", objective="final", ppo={"steps": 4, "gae_lambda": 0.82})
    comparison, _ = compare(config, ["shap", "shap-untuned", "sparse"], n_seeds=2, n_trials=8)
    tuned, untuned, _ = comparison.rows
    assert untuned.parameters == {"gae_lambda": 0.82}
    assert untuned.weights == {"shap": 1.0, "sparse": 0.0}
    assert untuned.final.value == pytest.approx(closed_form.reward({"shap": 1.0}, 0.82))
    assert tuned.parameters != untuned.parameters
    assert not (comparison_folder(config).parent / "closed-shap-untuned").exists()
    with pytest.raises(ConfigError, match="did you mean 'learned'"):
        compare(config, ["learned-untuned", "sparse"], n_seeds=1, n_trials=4)


def test_a_comparison_cannot_go_on_as_another(config, make_config):
    compare(config, ["shap", "sparse"], n_seeds=1, n_trials=4)
    other = make_config("climb", executor="inline", objective="final", ppo={"steps": 5})
    with pytest.raises(StudyChangedError, match=r"ppo.steps was 4 and is 5"):
        compare(other, ["shap", "sparse"], n_seeds=1, n_trials=4)


def test_a_training_that_fails_is_named_and_the_others_are_kept(config, monkeypatch):
    whole = closed_form.climb

    def fails_once(spec):
        if spec.seed == 1_000_001:
            raise RuntimeError("no luck")
        return whole(spec)

    monkeypatch.setattr(closed_form, "climb", fails_once)
    with pytest.raises(TrainingError, match=r"2 of 4 trainings failed, .* no luck. See to the cause .*worker.log"):
        compare(config, ["shap", "sparse"], n_seeds=2, n_trials=4)
    assert len(list(comparison_folder(config).glob("*/result.json"))) == 2


def test_what_a_method_does_not_read_is_not_tuned(make_config):
    ranges = {
        **LAMBDA,
        "max_units": {"bounds": (4, 12)},
        "units": {"values": ("words", "spans")},
        "to_sparse": {"bounds": (0.0, 1.0)},
        "learning_rate": {"bounds": (1e-4, 1e-3), "log": True},
    }
    config = make_config(search_space={"parameters": ranges})
    searched = {name: set(config_of(config, name, 8).search_space.parameters) for name in ("shap", "sparse", "uniform")}
    assert searched == {
        "shap": set(ranges),
        "sparse": {"gae_lambda", "learning_rate"},
        "uniform": {"gae_lambda", "learning_rate", "to_sparse"},
    }
    assert config_of(config, "learned", 8).search_space == config.search_space
    only = make_config(search_space={"parameters": {"max_units": {"bounds": (4, 12)}}})
    with pytest.raises(ConfigError, match="max_units is searched, of which nothing matters for 'sparse'"):
        config_of(only, "sparse", 8)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (["shapley", "sparse"], "There is no method 'shapley', did you mean 'shap'"),
        (["shap"], "at least two different methods to compare, got shap"),
        (["shap", "shap"], "at least two different methods"),
    ],
)
def test_methods_that_cannot_be_compared_are_named(config, methods, message):
    with pytest.raises(ConfigError, match=message):
        compare(config, methods, n_seeds=1, n_trials=4)


def test_words_say_a_tie_and_that_one_seed_tells_nothing(config, monkeypatch):
    comparison, _ = compare(config, ["shap", "sparse"], n_seeds=1, n_trials=4)
    assert sentences(comparison)[1].endswith("One seed tells nothing; give --seeds.")
    monkeypatch.setattr(closed_form, "climb", lambda spec: closed_form.always_equal(spec))
    [row] = [row for row in comparison.rows if row.method == "shap"]
    tie = comparison._replace(n_seeds=4, rows=[row._replace(difference=row.held._replace(value=0.1, low=-1, high=1))])
    assert "+0.100 (-1.000 to +1.000) of held reward" in sentences(tie)[1]
    assert sentences(tie)[1].endswith("A tie, as far as these seeds can tell.")


def test_the_command_prints_and_writes(bo_shaping, config, tmp_path):
    file = tmp_path / "closed.yaml"
    file.write_text(config.to_yaml())
    code, out, err = bo_shaping(
        "compare", file, "--methods", "shap, sparse", "--seeds", 2, "--budget", 4, "-o", tmp_path / "c.json"
    )
    assert code == 0, err
    assert "Tuning closed-shap: 0 of 4 trials are there." in out
    assert "shap beside sparse: +" in out
    written = json.loads((tmp_path / "c.json").read_text(), parse_constant=pytest.fail)
    assert [row["method"] for row in written["rows"]] == ["shap", "sparse"]
    assert {one["seed"] for one in written["trainings"]} == {1_000_000, 1_000_001}
    assert len(written["trainings"][0]["curve"]) == 5
    assert written["config"]["ppo"]["steps"] == 4
    again = read_comparison(tmp_path / "c.json").comparison.to_json()
    assert again == {key: written[key] for key in again}
    code, _, err = bo_shaping("compare", file, "--methods", "shap,spars")
    assert code == 2
    assert "did you mean 'sparse'" in err
