import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from bo_shaping import Study
from bo_shaping.comparison import settings
from bo_shaping.errors import TrainingError
from bo_shaping.storage.records import TrialRecord

TOY = """
name: toy
executor: inline
evaluation: {n_prompts: 4, every: 1}
attribution: {budget: 8}
task: {response_tokens: 4}
ppo: {steps: 1, rollout_size: 4, minibatch_size: 4}
search_space: {components: [shap, sparse]}
budget: {trials: 4, replicate_last: 0}
"""


@pytest.fixture
def toy(bo_shaping, tmp_path):
    file = tmp_path / "toy.yaml"
    file.write_text(TOY)
    assert bo_shaping("launch", file)[0] == 0
    return Study.load("toy")


def test_a_policy_of_the_recommendation_is_kept_beside_one_of_sparse(bo_shaping, toy):
    code, out, err = bo_shaping("train", "toy", "--seeds", 2, "--beside-sparse", "--json")
    assert code == 0, err
    trained = json.loads(out)
    assert [(one["setting"], one["seed"]) for one in trained] == [
        ("recommended", 1_000_000), ("recommended", 1_000_001), ("sparse", 1_000_000), ("sparse", 1_000_001),
    ]  # fmt: skip
    best = toy.best()
    assert trained[0]["weights"] == best.weights
    for one in trained:
        policy = AutoModelForCausalLM.from_pretrained(f"{one['folder']}/policy")
        tokenizer = AutoTokenizer.from_pretrained(f"{one['folder']}/policy")
        assert policy.config.vocab_size >= len(tokenizer)
    for text in results_of(trained):
        [result] = json.loads(text)["results"]
        assert result["samples"]
        assert len(result["curve"]) == 2
    spec = json.loads((Path(trained[0]["folder"]) / "spec.json").read_text())["specs"][0]
    assert spec["evaluation"]["split"] == "heldout"
    # Again, in words: nothing is trained anew.
    before = results_of(trained)
    code, out, _ = bo_shaping("train", "toy", "--seeds", 2, "--beside-sparse")
    assert code == 0
    assert results_of(trained) == before
    assert "recommended beside sparse, seed by seed: " in out
    assert f"policy: {trained[0]['folder']}/policy" in out


def test_another_length_is_another_training(bo_shaping, toy):
    bo_shaping("train", "toy", "--trial", 0)
    code, out, err = bo_shaping("train", "toy", "--trial", 0, "--steps", 2, "--split", "validation", "--json")
    assert code == 0, err
    [trained] = json.loads(out)
    assert trained["setting"] == "trial-0"
    assert len(list((toy.path / "trained").glob("trial-0-*"))) == 2
    [result] = json.loads(results_of([trained])[0])["results"]
    assert result["curve"][-1]["step"] == 2
    assert bo_shaping("train", "toy", "--trial", 9)[::2] == (
        2, "bo-shaping: There is no trial 9; the study has 4, counted from 0.\n",
    )  # fmt: skip


def results_of(trained):
    return [(Path(one["folder"]) / "result.json").read_text() for one in trained]


def record(index, weights, gae_lambda, mean):
    return TrialRecord(
        index=index, status="completed", weights=weights, parameters={"gae_lambda": gae_lambda}, mean=mean
    )


def test_sparse_is_trained_at_its_best_mean_over_trials():
    sparse, mixed = {"sparse": 1.0, "shap": 0.0}, {"sparse": 0.5, "shap": 0.5}
    records = [
        record(0, sparse, 0.9, 3.0),
        record(1, sparse, 0.9, 0.0),
        record(2, sparse, 1.0, 2.0),
        record(3, mixed, 0.5, 9.0),
    ]
    assert settings.sparse_at_its_best(records).parameters == {"gae_lambda": 1.0}
    with pytest.raises(TrainingError, match="No trial of this study has sparse alone"):
        settings.sparse_at_its_best(records[3:])
