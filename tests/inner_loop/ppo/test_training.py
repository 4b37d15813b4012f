import copy

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from inner_loop.errors import DivergedError
from inner_loop.ppo.training import PhaseClock, PPOTrainer, pad_rewards
from inner_loop.reward_models import CallableRewardModel
from inner_loop.shaping import ShapingFunction
from inner_loop.spec import PPOConfig
from inner_loop.task import Prompt, Task
from tests.inner_loop.conftest import make_tiny_policy

CONFIG = PPOConfig(rollout_size=4, minibatch_size=2, epochs=2, learning_rate=1e-2)


def make_trainer(task, weights=None, seed=0, config=CONFIG, **shaping):
    shaping_function = ShapingFunction(weights or {"sparse": 1.0}, reward_model=task.reward_model, **shaping)
    generator = torch.Generator().manual_seed(seed)
    return PPOTrainer(task, shaping_function, config, response_tokens=6, generator=generator, clock=PhaseClock())


def parameters_after(task, steps, prompts, **kwargs):
    task = copy.deepcopy(task)
    trainer = make_trainer(task, **kwargs)
    for _ in range(steps):
        trainer.step(prompts)
    return torch.cat([parameter.detach().flatten() for parameter in trainer.actor_critic.parameters()])


def test_the_first_update_starts_at_ratio_one_and_kl_zero(tiny_task, prompts):
    config = CONFIG.model_copy(update={"epochs": 1, "minibatch_size": 4})
    stats = make_trainer(tiny_task, config=config).step(prompts)
    assert stats.kl == pytest.approx(0.0, abs=1e-5)
    assert stats.clip_fraction == 0
    # At ratio one the surrogate is minus the mean whitened advantage: zero.
    assert stats.policy_loss == pytest.approx(0.0, abs=1e-5)


def test_equal_seeds_train_bit_for_bit_equally(tiny_task, prompts):
    weights = {"shap": 0.5, "lime": 0.5}
    first, second = (parameters_after(tiny_task, 2, prompts, weights=weights) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, parameters_after(tiny_task, 2, prompts, weights=weights, seed=1))


def test_zero_weights_leave_sparse_training_untouched(tiny_task, prompts):
    corner = parameters_after(tiny_task, 3, prompts, weights={"shap": 0.0, "lime": 0.0, "sparse": 1.0})
    assert torch.equal(corner, parameters_after(tiny_task, 3, prompts, weights={"sparse": 1.0}))


@pytest.mark.parametrize(
    "changed",
    [
        {"learning_rate": 1e-3},
        {"kl_coef": 5.0},
        {"gamma": 0.5},
        {"gae_lambda": 0.1},
        {"clip_range": 1e-4},
        {"value_clip_range": 1e-6},
        {"value_coef": 0.0},
        {"max_grad_norm": 1e-3},
        {"temperature": 0.5},
        {"epochs": 1},
        {"minibatch_size": 4},
    ],
)
def test_every_knob_changes_the_outcome(tiny_task, prompts, changed):
    config = PPOConfig(**(CONFIG.model_dump() | changed))
    usual, turned = (parameters_after(tiny_task, 3, prompts, config=c) for c in (CONFIG, config))
    assert not torch.equal(usual, turned)


def test_the_reference_is_left_alone(tiny_task, prompts):
    before = copy.deepcopy(tiny_task.reference.state_dict())
    make_trainer(tiny_task).step(prompts)
    assert all(torch.equal(before[name], value) for name, value in tiny_task.reference.state_dict().items())


def test_a_runaway_kl_stops_the_training(tiny_task, prompts):
    config = CONFIG.model_copy(update={"max_kl": 1e-3, "learning_rate": 0.1})
    trainer = make_trainer(tiny_task, config=config)
    trainer.step(prompts)
    with pytest.raises(DivergedError, match=r"over max_kl = 0\.001"):
        trainer.step(prompts)


def test_an_update_that_is_not_finite_stops_the_training(tiny_task, prompts):
    trainer = make_trainer(tiny_task)
    with torch.no_grad():
        trainer.actor_critic.value_head.weight.fill_(float("inf"))
    with pytest.raises(DivergedError, match="not finite"):
        trainer.step(prompts)


def test_rewards_are_padded_row_by_row(tiny_task):
    shaped = ShapingFunction({"sparse": 1.0})(["x", "y"], [" a b", " c"], [2.0, 3.0], token_ends=[[2, 4], [2]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert pad_rewards(shaped, mask).tolist() == [[0, 2, 0], [3, 0, 0]]


@pytest.mark.parametrize("weights", [{"sparse": 1.0}, {"shap": 1.0}, {"shap": 0.5, "lime": 0.5}])
def test_a_bandit_is_learned(weights):
    # Eight words, a response of two, reward 1 for each "a": an untrained policy earns about a quarter.
    words = {word: number for number, word in enumerate(["a", "b", "c", "d", "e", "f", "g", "<eos>"])}
    core = Tokenizer(models.WordLevel(words, unk_token="g"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>")
    prompts = [Prompt(text, tokenizer(text)["input_ids"]) for text in ("b c", "d")] * 8
    task = Task(
        policy=make_tiny_policy(tokenizer),
        reference=make_tiny_policy(tokenizer),
        tokenizer=tokenizer,
        reward_model=CallableRewardModel(lambda texts: [float(text.split().count("a")) for text in texts]),
        train_prompts=prompts,
        evaluation_prompts=prompts,
    )
    config = PPOConfig(rollout_size=16, minibatch_size=16, epochs=2, learning_rate=2e-2, kl_coef=0.0)
    generator = torch.Generator().manual_seed(0)
    shaping = ShapingFunction(weights, reward_model=task.reward_model)
    trainer = PPOTrainer(task, shaping, config, response_tokens=2, generator=generator, clock=PhaseClock())
    scores = [trainer.step(prompts).score for _ in range(30)]
    assert scores[0] < 0.7
    assert sum(scores[-3:]) / 3 > 1.8
