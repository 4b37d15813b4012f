import pytest
import torch

from inner_loop.ppo import loaded_models
from inner_loop.ppo.loaded_models import borrowed_models, drop_loaded_models
from inner_loop.spec import TrialSpec
from tests.inner_loop.bandit import make_bandit

SPEC = TrialSpec(weights={"sparse": 1.0}, ppo={"precision": "float32"})


@pytest.fixture(autouse=True)
def loads(monkeypatch):
    """Tiny models in place of files; counts how often they are loaded."""
    drop_loaded_models()
    seen = []

    def load(config, evaluation, *, reward_model=None):
        seen.append(config)
        return make_bandit(lambda words: 0.0)

    monkeypatch.setattr(loaded_models, "load_task", load)
    yield seen
    drop_loaded_models()


def spoil(models):
    with torch.no_grad():
        for parameter in models.actor_critic.parameters():
            parameter.fill_(float("nan"))


def weights(models):
    return [parameter.detach().clone() for parameter in models.actor_critic.parameters()]


def test_a_later_trial_finds_the_models_as_if_they_were_just_loaded(loads):
    with borrowed_models(SPEC) as models:
        start = weights(models)
        spoil(models)
    with borrowed_models(SPEC.model_copy(update={"seed": 7, "weights": {"shap": 1.0}})) as models:
        assert all(torch.equal(a, b) for a, b in zip(start, weights(models), strict=True))
    assert len(loads) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"task": {"response_tokens": 3}},
        {"evaluation": {"n_prompts": 3}},
        {"evaluation": {"split": "heldout"}},
        {"ppo": {"precision": "bfloat16"}},
        {"ppo": {"precision": "float32", "critic": "separate"}},
        {"ppo": {"precision": "float32", "trainable_layers": 1}},
        {"ppo": {"precision": "float32", "lora_rank": 1}},
        {"ppo": {"precision": "float32", "algorithm": "rloo", "samples_per_prompt": 2}},
        {"ppo": {"precision": "float32", "gradient_checkpointing": True}},
    ],
)
def test_other_models_are_loaded_anew_and_only_the_last_ones_are_kept(loads, changed):
    with borrowed_models(SPEC):
        pass
    with borrowed_models(TrialSpec(**(SPEC.model_dump() | changed))):
        pass
    with borrowed_models(SPEC):
        pass
    assert len(loads) == 3


def test_a_reward_model_of_ones_own_is_part_of_what_is_loaded(loads):
    def first(texts):
        return [0.0] * len(texts)

    def second(texts):
        return [1.0] * len(texts)

    for reward_model in (first, first, second, None):
        with borrowed_models(SPEC, reward_model=reward_model):
            pass
    assert len(loads) == 3


def test_two_trials_side_by_side_share_nothing(loads):
    with borrowed_models(SPEC) as one, borrowed_models(SPEC) as two:
        assert one.actor_critic is not two.actor_critic
    assert len(loads) == 2


def test_models_come_back_after_a_failure_too(loads):
    def fail():
        with borrowed_models(SPEC) as models:
            spoil(models)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with borrowed_models(SPEC) as models:
        assert all(parameter.isfinite().all() for parameter in models.actor_critic.parameters())
    assert len(loads) == 1


def test_a_folder_that_changed_is_loaded_anew(loads, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    spec = TrialSpec(**(SPEC.model_dump() | {"task": {"policy": str(tmp_path)}}))
    for content in ("same", None, "changed"):
        if content:
            (tmp_path / "model.safetensors").write_text(content)
        with borrowed_models(spec):
            pass
    assert len(loads) == 2
