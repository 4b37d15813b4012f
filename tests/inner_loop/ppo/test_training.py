import copy
from dataclasses import replace

import pytest
import torch

from inner_loop.errors import DivergedError, RewardModelError
from inner_loop.models.callable_reward_model import CallableRewardModel
from inner_loop.ppo.clock import PhaseClock
from inner_loop.ppo.loaded_models import make_actor_critic
from inner_loop.ppo.rollout import sample_rollout
from inner_loop.ppo.training import PPOTrainer
from inner_loop.shaping import ShapingFunction
from inner_loop.spec import PPOConfig
from tests.inner_loop.bandit import make_bandit

CONFIG = PPOConfig(rollout_size=4, minibatch_size=2, epochs=2, learning_rate=1e-2, precision="float32")


def changed(**settings):
    return PPOConfig(**(CONFIG.model_dump() | settings))


def make_trainer(task, weights=None, seed=0, config=CONFIG, response_tokens=6):
    shaping = ShapingFunction(weights or {"sparse": 1.0}, gamma=config.gamma, reward_model=task.reward_model)
    generator = torch.Generator().manual_seed(seed)
    actor_critic = make_actor_critic(replace(task, policy=copy.deepcopy(task.policy)), config)
    return PPOTrainer(
        task, actor_critic, shaping, config, response_tokens=response_tokens, generator=generator, clock=PhaseClock()
    )


def parameters_after(task, steps, prompts, **kwargs):
    trainer = make_trainer(copy.deepcopy(task), **kwargs)
    for _ in range(steps):
        trainer.step(prompts[: trainer.config.prompts_per_step])
    return torch.cat([parameter.detach().flatten() for parameter in trainer.actor_critic.parameters()])


@pytest.fixture
def bandit():
    return make_bandit(lambda words: float(words.count("a")))


TRUNCATIONS = [{}, {"top_k": 5}, {"top_p": 0.3, "temperature": 0.5}]


@pytest.mark.parametrize("settings", TRUNCATIONS)
def test_the_first_update_starts_at_ratio_one_and_kl_zero(tiny_task, prompts, settings):
    trainer = make_trainer(tiny_task, config=changed(epochs=1, minibatch_size=4, **settings))
    experience = trainer.collect(prompts)
    logprobs, _ = trainer.actor_critic(experience.prepared, trainer.config.temperature)
    ratio = (logprobs - experience.old_logprobs).exp()[experience.response_mask]
    torch.testing.assert_close(ratio, torch.ones_like(ratio), atol=1e-6, rtol=0)
    stats = trainer.update(experience)
    assert (stats.kl, stats.kl_k3) == (pytest.approx(0.0, abs=1e-5), pytest.approx(0.0, abs=1e-5))
    assert (stats.clip_fraction, stats.policy_kl) == (0, 0)
    # At ratio one the surrogate is minus the mean whitened advantage: zero.
    assert stats.policy_loss == pytest.approx(0.0, abs=1e-5)


def test_without_learning_the_ratio_stays_one(tiny_task, prompts):
    stats = make_trainer(tiny_task, config=changed(learning_rate=1e-30)).step(prompts)
    assert (stats.optimizer_steps, stats.policy_kl) == (4, pytest.approx(0.0, abs=1e-12))


def test_equal_seeds_train_bit_for_bit_equally(tiny_task, prompts):
    weights = {"shap": 0.5, "lime": 0.5}
    first, second = (parameters_after(tiny_task, 2, prompts, weights=weights) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, parameters_after(tiny_task, 2, prompts, weights=weights, seed=1))


@pytest.mark.parametrize("algorithm", ["ppo", "rloo", "grpo"])
def test_zero_weights_leave_sparse_training_untouched_and_explain_nothing(tiny_task, prompts, algorithm):
    config = changed(algorithm=algorithm, samples_per_prompt=2)
    corner = parameters_after(tiny_task, 3, prompts, config=config, weights={"shap": 0.0, "lime": 0.0, "sparse": 1.0})
    assert len(tiny_task.reward_model.texts) == 0  # a copy was trained
    task = copy.deepcopy(tiny_task)
    trainer = make_trainer(task, config=config, weights={"shap": 0.0, "sparse": 1.0})
    trainer.step(prompts[:2])
    assert len(task.reward_model.texts) == config.rollout_size
    assert torch.equal(corner, parameters_after(tiny_task, 3, prompts, config=config, weights={"sparse": 1.0}))


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 1e-3},
        {"kl_coef": 5.0},
        {"kl_estimator": "k2"},
        {"kl_estimator": "k3"},
        {"adaptive_kl": 0.01, "adaptive_kl_horizon": 10},
        {"adaptive_kl": 0.01, "adaptive_kl_horizon": 20},
        {"gamma": 0.5},
        {"gae_lambda": 0.1},
        {"critic_lambda": 0.1},
        {"reward_scale": "running"},
        {"centre_credit": True},
        {"centre_credit": True, "samples_per_prompt": 2, "algorithm": "rloo"},
        {"missing_eos": "penalty"},
        {"missing_eos": "penalty", "missing_eos_penalty": 3.0},
        {"missing_eos": "bootstrap"},
        {"clip_range": 1e-4},
        {"value_clip_range": 1e-6},
        {"value_clip_range": None},
        {"value_coef": 0.0},
        {"max_grad_norm": 1e-3},
        {"target_kl": 1e-9},
        {"temperature": 0.5},
        {"top_k": 3},
        {"top_p": 0.5},
        {"epochs": 1},
        {"minibatch_size": 4},
        {"samples_per_prompt": 2},
        {"samples_per_prompt": 2, "algorithm": "rloo"},
        {"samples_per_prompt": 2, "algorithm": "grpo"},
        {"critic": "separate"},
        {"trainable_layers": 1},
        {"lora_rank": 1},
        {"precision": "bfloat16"},
    ],
)
def test_every_knob_changes_the_outcome(bandit, settings):
    usual = parameters_after(bandit, 3, bandit.train_prompts)
    turned = parameters_after(bandit, 3, bandit.train_prompts, config=changed(**settings))
    assert usual.shape != turned.shape or not torch.equal(usual, turned)


def test_weights_move_to_sparse_as_the_training_goes_on(bandit):
    def rewards(progress, **settings):
        trainer = make_trainer(copy.deepcopy(bandit), {"uniform": 1.0}, config=changed(kl_coef=0.0, **settings))
        mask = (experience := trainer.collect(bandit.train_prompts[: CONFIG.prompts_per_step], progress)).response_mask
        # A critic that starts at zero makes the returns of lambda 0 the rewards.
        assert not experience.old_values[mask].any()
        return experience.returns

    settings = {"gae_lambda": 0.0}
    plain, begun = rewards(1.0, **settings), rewards(0.0, to_sparse=1.0, **settings)
    torch.testing.assert_close(plain, begun)
    ended = rewards(1.0, to_sparse=1.0, **settings)
    torch.testing.assert_close(ended.sum(dim=1), plain.sum(dim=1))
    assert (ended.count_nonzero(dim=1) <= 1).all()
    torch.testing.assert_close(rewards(0.5, to_sparse=0.5, **settings), 0.75 * plain + 0.25 * ended)


def test_a_gradient_in_parts_is_that_of_the_whole_minibatch(bandit):
    # Responses of several lengths: parts must count by their tokens, not equally.
    whole, parts = (
        parameters_after(bandit, 1, bandit.train_prompts, config=changed(epochs=1, minibatch_size=4, accumulate=n))
        for n in (1, 4)
    )
    start = parameters_after(bandit, 0, [])
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)
    assert (whole - start).abs().max() > 5e-3


def test_the_statistics_are_means_over_responses_or_over_their_tokens(bandit):
    config = changed(kl_coef=0.5, adaptive_kl=2.0, adaptive_kl_horizon=40)
    trainer = make_trainer(bandit, config=config, seed=3)
    with torch.no_grad():
        trainer.actor_critic.sampler.lm_head.weight[2] += 1.0  # away from the reference
    rollout = sample_rollout(
        trainer.actor_critic.sampler,
        bandit.tokenizer,
        bandit.train_prompts[:4],
        max_new_tokens=6,
        temperature=1.0,
        generator=torch.Generator().manual_seed(3),
    )
    rows = [row[mask].tolist() for row, mask in zip(rollout.entropy, rollout.batch.response_mask, strict=True)]
    lengths = [len(row) for row in rows]
    assert len(set(lengths)) > 1
    stats = trainer.step(bandit.train_prompts[:4])
    texts = [prompt + response for prompt, response in zip(rollout.prompts, rollout.responses, strict=True)]
    assert stats.score == pytest.approx(sum(bandit.reward_model.score(texts)) / 4)
    assert stats.length == sum(lengths) / 4
    assert stats.entropy == pytest.approx(sum(map(sum, rows)) / sum(lengths))
    assert stats.finished == rollout.finished.sum() / 4
    assert abs(stats.kl) > 0.1
    assert stats.kl_k3 > 0
    assert stats.reward == pytest.approx(stats.score - 0.5 * stats.kl, abs=1e-5)
    assert (stats.optimizer_steps, stats.kl_coef) == (4, 0.5)
    error = min(max(stats.kl / 2.0 - 1, -0.2), 0.2)
    assert trainer.step(bandit.train_prompts[:4]).kl_coef == pytest.approx(0.5 * (1 + error * 4 / 40))


def test_a_penalty_is_taken_off_cut_responses_only(bandit):
    usual, penalised = (
        make_trainer(bandit, config=changed(missing_eos=missing, missing_eos_penalty=2.0)).collect(
            bandit.train_prompts[:4]
        )
        for missing in ("none", "penalty")
    )
    finished = usual.measured["finished"]
    assert 0 < finished < 1
    assert penalised.measured["score"] == usual.measured["score"]
    assert penalised.measured["reward"] == pytest.approx(usual.measured["reward"] - 2.0 * (1 - finished), abs=1e-5)


def test_a_cut_response_is_worth_what_the_critic_expects_after_it(bandit):
    # With gamma = lambda = 1 every return of a cut response is V after its last token; the sparse reward is not paid.
    trainer = make_trainer(bandit, config=changed(missing_eos="bootstrap", gae_lambda=1.0, kl_coef=0.0))
    with torch.no_grad():
        trainer.actor_critic.value_head.weight.copy_(torch.linspace(-1, 1, 16)[None])
    experience = trainer.collect(bandit.train_prompts[:4])
    batch = experience.prepared.batch
    has_ended = (batch.response_ids == bandit.tokenizer.eos_token_id).any(dim=1)
    assert 0 < has_ended.sum() < 4
    for row in range(4):
        mask = batch.response_mask[row]
        if has_ended[row]:
            expected = float((batch.response_ids[row][mask] == 0).sum())  # "a" is token 0
        else:
            ids = torch.cat([batch.prompt_ids[row][batch.prompt_mask[row]], batch.response_ids[row]])
            state = bandit.policy.base_model(ids[None]).last_hidden_state[0, -1].detach()
            expected = float(state @ torch.linspace(-1, 1, 16))
        torch.testing.assert_close(
            experience.returns[row][mask], torch.full((int(mask.sum()),), expected), atol=1e-5, rtol=0
        )


def test_dense_credit_of_a_cut_response_is_kept(bandit):
    weights, prompts = {"shap": 0.75, "sparse": 0.25}, bandit.train_prompts[:4]
    usual, interrupted = (
        make_trainer(bandit, weights, config=changed(missing_eos=missing, kl_coef=0.0)).collect(prompts)
        for missing in ("none", "bootstrap")
    )
    batch = usual.prepared.batch
    cut = ~(batch.response_ids == bandit.tokenizer.eos_token_id).any(dim=1)
    unpaid = 0.25 * (batch.response_ids[cut] == 0).sum() / 4
    assert unpaid > 0
    assert interrupted.measured["reward"] == pytest.approx(usual.measured["reward"] - unpaid.item(), abs=1e-5)


def test_running_scale_divides_all_rewards_by_one_number(bandit):
    usual, scaled = (
        make_trainer(bandit, config=changed(reward_scale=scale, kl_coef=0.0, gae_lambda=1.0)).collect(
            bandit.train_prompts[:4]
        )
        for scale in ("none", "running")
    )
    scores = usual.returns[:, 0].double()
    torch.testing.assert_close(scaled.returns, usual.returns / scores.std(correction=0).float())


def test_updates_end_where_the_policy_has_moved_far_enough(bandit):
    def optimizer_steps(target_kl):
        trainer = make_trainer(copy.deepcopy(bandit), config=changed(target_kl=target_kl))
        return trainer.step(bandit.train_prompts[:4]).optimizer_steps

    assert (optimizer_steps(1e-9), optimizer_steps(100.0)) == (1, 4)


def test_responses_to_one_prompt_are_neighbours(bandit):
    trainer = make_trainer(bandit, config=changed(algorithm="rloo", samples_per_prompt=2))
    batch = trainer.collect(bandit.train_prompts[:2]).prepared.batch
    assert torch.equal(batch.prompt_ids[0::2], batch.prompt_ids[1::2])
    assert not torch.equal(batch.prompt_ids[0], batch.prompt_ids[2])
    assert not torch.equal(batch.response_ids[0], batch.response_ids[1])


def test_a_runaway_kl_stops_the_training(tiny_task, prompts):
    trainer = make_trainer(tiny_task, config=changed(max_kl=1e-3, learning_rate=0.1))

    def train():
        for _ in range(5):  # the estimate is noisy, and may be negative
            trainer.step(prompts)

    with pytest.raises(DivergedError, match=r"over ppo\.max_kl = 0\.001"):
        train()


def test_an_update_that_is_not_finite_stops_the_training(tiny_task, prompts):
    trainer = make_trainer(tiny_task)
    with torch.no_grad():
        trainer.actor_critic.value_head.weight.fill_(float("inf"))
    with pytest.raises(DivergedError, match="not finite"):
        trainer.step(prompts)


@pytest.mark.parametrize("algorithm", ["ppo", "rloo", "grpo"])
@pytest.mark.parametrize("weights", [{"sparse": 1.0}, {"shap": 0.5, "lime": 0.5}])
def test_a_bandit_is_learned(bandit, algorithm, weights):
    # Eight words, a response of two, reward 1 for each "a": an untrained policy earns about a quarter.
    config = PPOConfig(
        algorithm=algorithm,
        samples_per_prompt=4,
        rollout_size=16,
        minibatch_size=16,
        epochs=2,
        learning_rate=2e-2,
        kl_coef=0.0,
        precision="float32",
    )
    trainer = make_trainer(bandit, weights, config=config, response_tokens=2)
    scores = [trainer.step(bandit.train_prompts[:4]).score for _ in range(30)]
    assert scores[0] < 0.7
    assert sum(scores[-3:]) / 3 > 1.8


@pytest.mark.parametrize("algorithm", ["ppo", "rloo"])
def test_where_only_the_first_token_matters_dense_credit_learns_faster(algorithm):
    # Same seeds, same steps; sparse at the better of two lambdas.
    def area(weights, gae_lambda, seed):
        bandit = make_bandit(lambda words: float(words[2:3] == ["a"]))  # the prompt has two words
        config = PPOConfig(
            algorithm=algorithm,
            samples_per_prompt=4,
            rollout_size=16,
            minibatch_size=16,
            epochs=2,
            learning_rate=1e-2,
            gae_lambda=gae_lambda,
            kl_coef=0.0,
            precision="float32",
        )
        trainer = make_trainer(bandit, weights, seed=seed, config=config, response_tokens=8)
        return sum(trainer.step(bandit.train_prompts[:4]).score for _ in range(20))

    for seed in (0, 1):
        sparse = max(area({"sparse": 1.0}, gae_lambda, seed) for gae_lambda in (0.95, 1.0))
        assert area({"shap": 1.0}, 0.5, seed) > 1.25 * sparse


def test_a_reward_that_is_not_a_number_stops_the_training(bandit):
    task = replace(bandit, reward_model=CallableRewardModel(lambda texts: [float("nan")] * len(texts)))
    with pytest.raises(RewardModelError, match="as nan"):
        make_trainer(task).step(task.train_prompts[:4])
