"""The trainer against TRL itself: trainings of a tiny policy, weights compared."""

import copy
import math

import pandas as pd
import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer, RLOOConfig

from inner_loop.integrations import trl_trainer
from inner_loop.integrations.core import token_advantages
from inner_loop.integrations.trl_trainer import LOSS_TYPES, DenseCreditGRPOTrainer, as_text, place
from inner_loop.models.conversation import Conversation
from inner_loop.shaping import ShapingFunction
from tests.inner_loop.conftest import PROMPTS
from tests.inner_loop.integrations.trl_parts import (
    MAX_TOKENS,
    as_config,
    letters,
    no_credit,
    rising_credit,
    same_credit,
    train,
)

WAYS = ["weights", "reward_to_go"]


@pytest.fixture
def made(tokenizer, tiny_policy, tmp_path):
    """Makes a trainer of a fresh copy of the tiny policy."""

    def make(credit=None, *, reward_funcs=letters, prompts=PROMPTS, trainer=None, own=None, columns=None, **config):
        rows = Dataset.from_dict({"prompt": list(prompts) * 8, **(columns or {})})
        policy = copy.deepcopy(tiny_policy)
        args = as_config(tmp_path, **config)
        if credit is None:
            return GRPOTrainer(policy, reward_funcs, args, rows, processing_class=tokenizer)
        kind = trainer or DenseCreditGRPOTrainer
        return kind(policy, reward_funcs, args, rows, processing_class=tokenizer, credit=credit, **(own or {}))

    return make


def same_weights(ours, theirs):
    """Up to a part in two hundred of an Adam step: where a gradient is nothing but rounding, Adam makes it larger."""
    return all(torch.allclose(a, b, rtol=1e-5, atol=5e-5) for a, b in zip(ours.values(), theirs.values(), strict=True))


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@pytest.mark.parametrize(("way", "credit"), [("weights", same_credit), ("reward_to_go", no_credit)])
def test_credit_that_tells_tokens_not_apart_is_trl_itself(made, loss_type, way, credit):
    ours = train(made(credit, own={"advantage": way}, loss_type=loss_type, num_iterations=2))
    theirs = train(made(loss_type=loss_type, num_iterations=2))
    assert same_weights(ours.weights, theirs.weights)
    assert ours.losses == pytest.approx(theirs.losses, abs=1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_credit_that_does_trains_otherwise(made, loss_type, way):
    ours = train(made(rising_credit, own={"advantage": way}, loss_type=loss_type))
    assert not same_weights(ours.weights, train(made(loss_type=loss_type)).weights)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@pytest.mark.parametrize("way", WAYS)
def test_rewards_are_scaled_as_trl_scales_them(made, scale, way):
    credit = same_credit if way == "weights" else no_credit
    ours = train(made(credit, own={"advantage": way}, scale_rewards=scale))
    assert same_weights(ours.weights, train(made(scale_rewards=scale)).weights)


@pytest.mark.parametrize("settings", [{"gradient_accumulation_steps": 2}, {"steps_per_generation": 2}])
@pytest.mark.parametrize("way", WAYS)
def test_parts_of_a_batch_take_their_own_tokens_along(made, settings, way):
    # Rows are shuffled and split after the advantages are there; a batch taken whole gives the same gradient.
    credit = same_credit if way == "weights" else no_credit
    settings = {"per_device_train_batch_size": 4, **settings}
    ours = train(made(credit, own={"advantage": way}, **settings))
    assert same_weights(ours.weights, train(made(**settings)).weights)


class Watched(DenseCreditGRPOTrainer):
    """Keeps every scored batch, as it goes to the loss."""

    def _generate_and_score_completions(self, inputs):
        batch = super()._generate_and_score_completions(inputs)
        self.batches = [*getattr(self, "batches", []), batch]
        return batch


def test_reward_to_go_is_that_of_the_formula(made):
    trainer = made(rising_credit, trainer=Watched, own={"advantage": "reward_to_go", "decay": 0.5})
    train(trainer)
    batch = trainer.batches[0]
    mask = batch["completion_mask"].bool()
    texts = trainer.processing_class.batch_decode(batch["completion_ids"], skip_special_tokens=True)
    outcomes = torch.tensor(letters(None, texts))
    credit = outcomes.unsqueeze(1) * torch.arange(1.0, mask.shape[1] + 1) * mask
    expected = token_advantages(credit, mask, torch.arange(8) // 4, outcomes=outcomes, gae_lambda=0.5)
    torch.testing.assert_close(batch["advantages"], expected)


def test_weights_leave_every_response_its_advantage(made):
    trainer = made(rising_credit, trainer=Watched, own={"advantage": "weights"})
    scalar = torch.tensor(train(trainer).logs["scalar"])
    batch = trainer.batches[0]
    mask = batch["completion_mask"].bool()
    means = (batch["advantages"] * mask).sum(dim=1) / mask.sum(dim=1)
    torch.testing.assert_close(means, scalar)
    spread = batch["advantages"].amax(dim=1) - batch["advantages"].amin(dim=1)
    assert (spread[mask.sum(dim=1) > 1] > 0).all()


@pytest.mark.parametrize("way", WAYS)
def test_leave_one_out_compares_with_the_others_alone(made, way):
    credit = same_credit if way == "weights" else no_credit
    trainer = made(credit, trainer=Watched, own={"advantage": way, "leave_one_out": True}, scale_rewards="none")
    train(trainer)
    batch = trainer.batches[0]
    texts = trainer.processing_class.batch_decode(batch["completion_ids"], skip_special_tokens=True)
    groups = torch.tensor(letters(None, texts)).reshape(2, 4)
    others = (groups.sum(dim=1, keepdim=True) - groups) / 3
    torch.testing.assert_close(batch["advantages"][:, 0], (groups - others).flatten())


@pytest.mark.parametrize("way", WAYS)
def test_a_response_that_nothing_scored_gets_zero_and_is_not_explained(made, way):
    asked = []

    def credit(prompts, completions, scores, *, token_ends):
        asked.append(scores)
        return rising_credit(prompts, completions, scores, token_ends=token_ends)

    def none_first(prompts, completions, **_):
        return [None, *letters(prompts, completions)[1:]]

    trainer = made(credit, reward_funcs=none_first, trainer=Watched, own={"advantage": way})
    train(trainer)
    advantages = trainer.batches[0]["advantages"]
    assert (advantages[0] == 0).all()
    assert (advantages[1:] != 0).any(dim=1).sum() > 3
    assert len(asked[0]) == 7
    assert not any(math.isnan(score) for score in asked[0])


@pytest.mark.parametrize("way", WAYS)
def test_a_cut_response_can_be_left_out(made, way):
    trainer = made(rising_credit, trainer=Watched, own={"advantage": way}, mask_truncated_completions=True)
    train(trainer)
    batch = trainer.batches[0]
    is_cut = ~batch["completion_mask"].bool().any(dim=1)
    assert is_cut.any()
    assert (batch["advantages"][is_cut] == 0).all()


@pytest.mark.parametrize("way", WAYS)
def test_what_a_tool_wrote_is_not_paid(made, way):
    def rollout(prompts, trainer):
        size = len(prompts)
        texts = [" good", " bad film", " film", " so so"] * (size // 4)
        ids = [trainer.processing_class(text, add_special_tokens=False)["input_ids"] for text in texts]
        ids = [[*row, 300, 301, 2] for row in ids]
        masks = [[1] * (len(row) - 3) + [0, 0, 1] for row in ids]
        prompt_ids = [trainer.processing_class(prompt)["input_ids"] for prompt in prompts]
        return {
            "prompt_ids": prompt_ids,
            "completion_ids": ids,
            "logprobs": [[0.0] * len(row) for row in ids],
            "env_mask": masks,
        }

    trainer = made(rising_credit, trainer=Watched, own={"advantage": way})
    trainer.rollout_func = rollout
    train(trainer)
    batch = trainer.batches[0]
    is_tool = batch["completion_mask"].bool() & ~batch["tool_mask"].bool()
    assert is_tool.any()
    assert (batch["advantages"][is_tool] == 0).all()
    assert (batch["advantages"][batch["tool_mask"].bool()] != 0).any()


def test_all_reward_functions_count_and_what_is_beyond_the_credit_counts_at_every_token(made):
    def short(prompts, completions, **_):
        return [-float(len(text)) for text in completions]

    own = {"advantage": "reward_to_go"}
    weights = {"reward_weights": [1.0, 0.5], "scale_rewards": "none"}
    trainer = made(no_credit, reward_funcs=[letters, short], trainer=Watched, own=own, **weights)
    train(trainer)
    batch = trainer.batches[0]
    texts = trainer.processing_class.batch_decode(batch["completion_ids"], skip_special_tokens=True)
    total = torch.tensor(letters(None, texts)) + 0.5 * torch.tensor(short(None, texts))
    expected = (total.reshape(2, 4) - total.reshape(2, 4).mean(dim=1, keepdim=True)).flatten()
    mask = batch["completion_mask"].bool()
    torch.testing.assert_close(batch["advantages"], expected.unsqueeze(1) * mask, atol=1e-5, rtol=1e-5)


def test_a_shaping_function_pays_the_tokens_that_earned_the_score(made, tokenizer):
    likes_good = lambda texts: [float(text.count("good")) for text in texts]  # noqa: E731
    texts = [" a good film", " a film good", " film", " good"] * 2

    def rollout(prompts, trainer):
        ids = [trainer.processing_class(text, add_special_tokens=False)["input_ids"] for text in texts]
        prompt_ids = [trainer.processing_class(prompt)["input_ids"] for prompt in prompts]
        return {"prompt_ids": prompt_ids, "completion_ids": ids, "logprobs": [[0.0] * len(row) for row in ids]}

    def score(prompts, completions, **_):
        return likes_good([prompt + text for prompt, text in zip(prompts, completions, strict=True)])

    credit = ShapingFunction({"shap": 1.0}, reward_model=likes_good)
    trainer = made(credit, reward_funcs=score, trainer=Watched, own={"advantage": "reward_to_go"}, scale_rewards="none")
    trainer.rollout_func = rollout
    train(trainer)
    first, second = trainer.batches[0]["advantages"][:2]
    # " a good film": after " good" nothing is to come. " a film good": all of it is, until the last token.
    assert first[0] == pytest.approx(0.25)
    assert first[-1] < 0 < second[2]


def test_prompts_of_messages_reach_the_credit_as_a_conversation(made, tokenizer):
    asked = []

    def credit(prompts, completions, scores, *, token_ends):
        asked.extend(zip(prompts, completions, token_ends, strict=True))
        return rising_credit(prompts, completions, scores, token_ends=token_ends)

    def score(prompts, completions, **_):
        return letters(None, [completion[-1]["content"] for completion in completions])

    tokenizer = copy.deepcopy(tokenizer)
    messages = [[{"role": "user", "content": text}] for text in PROMPTS]
    trainer = made(credit, reward_funcs=score, prompts=messages, trainer=Watched)
    trainer.processing_class.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    try:
        train(trainer)
    finally:
        trainer.processing_class.chat_template = None
    prompt, text, ends = asked[0]
    assert isinstance(prompt, Conversation)
    assert list(prompt.messages) in messages
    assert ends[-1] == len(text)
    assert "assistant" not in text
    assert trainer.batches[0]["advantages"].shape == trainer.batches[0]["completion_ids"].shape


def test_messages_of_parts_are_read_as_their_texts():
    parts = [{"type": "text", "text": "see "}, {"type": "image"}, {"type": "text", "text": "here"}]
    assert as_text([{"role": "user", "content": parts}]).messages == ({"role": "user", "content": "see here"},)
    assert as_text("plain") == "plain"


def test_what_is_paid_is_logged(made, tmp_path):
    run = train(made(rising_credit, log_completions=True, num_completions_to_print=1))
    assert {"credit/sum", "credit/spread", "credit/beyond", "credit/advantage_spread"} <= run.history[0].keys()
    assert run.history[0]["credit/spread"] > 0
    table = pd.concat(pd.read_parquet(path) for path in sorted((tmp_path / "completions").glob("*.parquet")))
    assert len(table) == 16
    assert all(0 < len(advantages) <= MAX_TOKENS for advantages in table["advantage"])


def test_credit_that_fits_no_tokens_is_refused(made):
    def too_long(prompts, completions, scores, *, token_ends):
        return [[1.0] * (len(ends) + 1) for ends in token_ends]

    with pytest.raises(ValueError, match=r"response 0 has the shape .* return one number per entry of token_ends"):
        train(made(too_long))


def test_credit_for_another_number_of_responses_is_refused():
    with pytest.raises(ValueError, match="rows for 1 responses, and 2 were asked for"):
        place([[1.0]], [0, 1], [1, 1], torch.zeros(2, 1))


def test_credit_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        place([[math.nan]], [0], [1], torch.zeros(1, 1))


@pytest.mark.parametrize(
    ("config", "own", "message"),
    [
        ({"loss_type": "vespo"}, {}, "loss_type 'vespo' weighs whole responses"),
        ({"loss_type": "luspo"}, {}, "loss_type 'luspo' weighs whole responses"),
        ({"importance_sampling_level": "sequence"}, {}, "clips whole responses"),
        ({"use_liger_kernel": True}, {}, "use_liger_kernel"),
        ({"off_policy_mask_threshold": 0.5}, {}, "off_policy_mask_threshold"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, {"advantage": "reward_to_go"}, "no total reward"),
        ({}, {"leave_one_out": True}, "leave_one_out needs scale_rewards='none', got 'group'"),
        ({}, {"advantage": "both"}, "advantage is 'weights' or 'reward_to_go'"),
        ({}, {"advantage": "weights", "decay": 0.9}, "decay is for advantage='reward_to_go'"),
        ({}, {"advantage": "reward_to_go", "decay": 1.5}, r"and in 0\.\.1, got 1\.5"),
    ],
)
def test_what_has_no_place_for_tokens_is_refused_in_one_sentence(made, config, own, message):
    with pytest.raises(ValueError, match=message) as error:
        made(rising_credit, own=own, **config)
    assert str(error.value).count(". ") == 0


def test_the_config_of_another_trainer_is_refused(tmp_path, tiny_policy):
    config = RLOOConfig(output_dir=str(tmp_path), report_to=[], use_cpu=True)
    with pytest.raises(ValueError, match="for leave-one-out advantages use GRPOConfig"):
        DenseCreditGRPOTrainer(tiny_policy, letters, config, credit=rising_credit)


def test_a_discounting_shaping_function_is_refused(made):
    with pytest.raises(ValueError, match=r"needs gamma 1, got 0\.9"):
        made(ShapingFunction({"sparse": 1.0}, gamma=0.9))


def test_a_trl_without_advantages_of_tokens_is_refused(made, monkeypatch):
    monkeypatch.setattr(trl_trainer, "takes_token_advantages", lambda _: False)
    with pytest.raises(ValueError, match=r"The installed trl .* does not take one advantage per token"):
        made(rising_credit)


def test_the_base_value_is_no_tokens_credit(made):
    credit = ShapingFunction({"shap": 1.0}, reward_model=lambda texts: [1.0] * len(texts))
    assert made(credit, own={"advantage": "weights"}).credit.attribution.base_value == "uniform"
    assert made(credit, own={"advantage": "reward_to_go"}).credit is credit


def test_an_ordinary_config_is_supported():
    trl_trainer.check_config(GRPOConfig(output_dir="unused", report_to=[], use_cpu=True))
    trl_trainer.check_config(None)


def test_the_sparse_share_is_trls_own_advantage(made):
    likes_e = lambda texts: [float(text.count("e")) for text in texts]  # noqa: E731
    own = {"advantage": "weights"}
    batches = []
    for sparse in (0.0, 0.75, 1.0):
        weights = {"shap": 1 - sparse, "sparse": sparse}
        trainer = made(ShapingFunction(weights, reward_model=likes_e), trainer=Watched, own=own)
        train(trainer)
        batches.append(trainer.batches[0]["advantages"])
    dense, mixed, scalar = batches
    torch.testing.assert_close(mixed, 0.25 * dense + 0.75 * scalar)
    assert (dense != scalar).any()
    assert all(len(row[row != 0].unique()) <= 1 for row in scalar)
