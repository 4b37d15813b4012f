"""The adapter with verl's own classes, on a CPU: `make verl` puts verl into a folder of its own."""

import asyncio
import importlib
import inspect
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from inner_loop import ShapingFunction
from inner_loop.models.model_source import model_source
from inner_loop.models.reward_models import as_reward_model, score_responses
from inner_loop.spec import AttributionConfig
from inner_loop.units.response_units import policy_token_ends

FOLDER = Path(__file__).parents[3] / ".verl"
POLICY = model_source("embedded", "policy").weights
PROMPTS = ["the film is", "a slow but", "i watched this movie with my friends and", "one of the"]
RESPONSES = [" a good film.", " very moving story of two friends that never gets old.", " bad.", " worst films i know."]

pytestmark = [
    pytest.mark.skipif(not (FOLDER / "verl").is_dir(), reason="verl is not in .verl; `make verl` fetches it"),
    pytest.mark.filterwarnings("ignore:.* engine is not available"),
]


@pytest.fixture(scope="module", autouse=True)
def path():
    """verl can be imported; last, so that every package of ours comes first."""
    sys.path.append(str(FOLDER))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def adapter(path):
    return importlib.import_module("inner_loop.integrations.verl")


@pytest.fixture(scope="module")
def algos(adapter):
    return importlib.import_module("verl.trainer.ppo.core_algos")


@pytest.fixture(scope="module")
def shaping_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("shaping") / "my-shaping"
    ShapingFunction({"shap": 0.6, "sparse": 0.4}, AttributionConfig(budget=8)).save(file)
    return file


@pytest.fixture
def config(path, shaping_file):
    """verl's own configuration, with the lines that the documentation says."""
    conf = importlib.import_module("omegaconf").OmegaConf
    config = conf.load(FOLDER / "verl" / "trainer" / "config" / "_generated_ppo_trainer.yaml")
    manager = {"source": "importlib", "name": "DenseRewardManager"}
    manager |= {"module": {"path": "pkg://inner_loop.integrations.verl"}}
    algorithm = {"adv_estimator": "dense_grpo"}
    ours = {"reward": {"reward_manager": manager}, "algorithm": algorithm}
    ours |= {"actor_rollout_ref": {"model": {"path": str(POLICY)}}}
    ours["reward"]["reward_kwargs"] = {"shaping": str(shaping_file)}
    return conf.merge(config, ours)


@pytest.fixture(scope="module")
def policy_tokenizer():
    return AutoTokenizer.from_pretrained(POLICY)


def with_options(config, **options):
    conf = importlib.import_module("omegaconf").OmegaConf
    for name, value in options.items():
        conf.update(config, name.replace("__", "."), value, force_add=True)
    return config


def batch_of(tokenizer, prompts=PROMPTS, responses=RESPONSES):
    """As verl lays it out: prompts padded left, responses right and ended by an end of sequence, chats beside them."""
    data_proto = importlib.import_module("verl").DataProto
    left = [tokenizer(prompt)["input_ids"] for prompt in prompts]
    right = [[*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for text in responses]
    n_left, n_right = max(map(len, left)), max(map(len, right))
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    chats = np.empty(len(prompts), dtype=object)
    chats[:] = [[{"role": "user", "content": prompt}] for prompt in prompts]
    tensors = {
        "prompts": torch.tensor([[pad] * (n_left - len(ids)) + ids for ids in left]),
        "responses": torch.tensor([ids + [pad] * (n_right - len(ids)) for ids in right]),
        "attention_mask": torch.tensor(
            [
                [0] * (n_left - len(a)) + [1] * (len(a) + len(b)) + [0] * (n_right - len(b))
                for a, b in zip(left, right, strict=True)
            ]
        ),
    }
    return data_proto.from_dict(tensors=tensors, non_tensors={"raw_prompt": chats})


def response_mask(data):
    return data.batch["attention_mask"][:, data.batch["prompts"].shape[1] :]


def test_verls_reward_worker_pays_every_token_and_keeps_the_sum(adapter, config, policy_tokenizer):
    reward_loop = importlib.import_module("verl.experimental.reward_loop.reward_loop")
    resolve = importlib.import_module("verl.trainer.ppo.reward").resolve_reward_manager_cls
    worker = reward_loop.RewardLoopWorker(config)
    data = batch_of(policy_tokenizer)
    outputs = asyncio.run(worker.compute_score_batch(data))
    assert resolve(config) is adapter.DenseRewardManager
    rewards = resolve(config).assemble_rm_scores(data, [output["reward_score"] for output in outputs])

    chats = [f"{prompt}\n\n" for prompt in PROMPTS]  # messages as text, for a reward model without a template
    scores = score_responses(as_reward_model("embedded"), chats, RESPONSES)
    torch.testing.assert_close(rewards.sum(1), torch.tensor(scores), atol=1e-4, rtol=1e-4)
    assert [output["reward_extra_info"]["score"] for output in outputs] == pytest.approx(scores, abs=1e-4)
    assert rewards[response_mask(data) == 0].abs().max() == 0
    # The end of sequence has no text, and an end like the token before it.
    ends = [[*ends, ends[-1]] for ends in policy_token_ends(policy_tokenizer, RESPONSES)]
    expected = ShapingFunction({"shap": 0.6, "sparse": 0.4}, AttributionConfig(budget=8))(
        chats, RESPONSES, token_ends=ends
    )
    for row, shaped in zip(rewards, expected, strict=True):
        torch.testing.assert_close(
            row[: len(shaped.rewards)], torch.tensor(shaped.rewards, dtype=torch.float32), atol=1e-4, rtol=1e-4
        )
    assert (rewards[:, :-1] != 0).sum() > len(rewards)


def manager_of(adapter, config, tokenizer, shaping, compute_score=None):
    config.reward.reward_kwargs.shaping = None
    return type("Mine", (adapter.DenseRewardManager,), {"shaping": shaping})(config, tokenizer, compute_score)


def ask(manager, data):
    async def every():
        return await asyncio.gather(*(manager.run_single(data[i : i + 1]) for i in range(len(data))))

    return asyncio.run(every())


def test_responses_that_wait_are_scored_together(adapter, config, policy_tokenizer):
    sizes = []

    def shaping(prompts, responses, scores, token_ends):
        sizes.append(len(prompts))
        return ShapingFunction({"sparse": 1.0})(prompts, responses, [1.0] * len(prompts), token_ends=token_ends)

    outputs = ask(manager_of(adapter, config, policy_tokenizer, shaping), batch_of(policy_tokenizer))
    assert sizes == [1, 3] or sizes == [4]
    assert [output["reward_score"][-1] for output in outputs] == [1.0] * 4


def test_without_messages_the_prompt_is_the_text_of_its_tokens_whatever_pads_them(adapter, config, policy_tokenizer):
    seen = []

    def shaping(prompts, responses, scores, *, token_ends):
        seen.extend(zip(prompts, responses, strict=True))
        return ShapingFunction({"sparse": 1.0})(prompts, responses, [1.0] * len(prompts), token_ends=token_ends)

    data = batch_of(policy_tokenizer)
    data.non_tensor_batch.pop("raw_prompt")
    word = policy_tokenizer("film")["input_ids"][-1]
    n_prompt, mask = data.batch["prompts"].shape[1], data.batch["attention_mask"].bool()
    data.batch["prompts"][~mask[:, :n_prompt]] = word
    data.batch["responses"][~mask[:, n_prompt:]] = word
    ask(manager_of(adapter, config, policy_tokenizer, shaping), data)
    assert seen == list(zip(PROMPTS, RESPONSES, strict=True))


def test_what_goes_wrong_is_told_to_all_who_wait(adapter, config, policy_tokenizer):
    def broken(texts):
        raise RuntimeError("the scorer is broken")

    manager = manager_of(adapter, config, policy_tokenizer, ShapingFunction({"shap": 1.0}, reward_model=broken))
    data = batch_of(policy_tokenizer)

    async def every():
        return await asyncio.gather(*(manager.run_single(data[i : i + 1]) for i in range(4)), return_exceptions=True)

    assert [str(error) for error in asyncio.run(every())] == ["the scorer is broken"] * 4


def test_a_reward_function_of_verl_gives_the_score_and_says_more(adapter, config, policy_tokenizer):
    def score(data_source, solution_str, ground_truth, extra_info):
        return {"score": float(len(solution_str)), "acc": "good" in solution_str}

    with_options(config, reward__custom_reward_function__path="rules.py")
    likes_good = ShapingFunction({"shap": 1.0}, reward_model=lambda texts: [float("good" in text) for text in texts])
    outputs = ask(manager_of(adapter, config, policy_tokenizer, likes_good, score), batch_of(policy_tokenizer))
    assert [sum(output["reward_score"]) for output in outputs] == pytest.approx([len(text) for text in RESPONSES])
    assert outputs[0]["reward_extra_info"] == {"score": 13.0, "acc": True}
    # The word that the reward model likes; all else that the function gave is on the last token.
    good = policy_tokenizer.tokenize(RESPONSES[0]).index("Ġgood")
    assert outputs[0]["reward_score"][good] == pytest.approx(1.0)
    assert outputs[0]["reward_score"][-1] == pytest.approx(12.0)

    async def later(**facts):
        return score(**facts)

    # verl wraps the function so that its coroutine is returned, not awaited.
    manager = manager_of(adapter, config, policy_tokenizer, likes_good, partial(later))
    assert ask(manager, batch_of(policy_tokenizer))[2]["reward_extra_info"] == {"score": 5.0, "acc": False}


def dense_batch(adapter, values=None):
    rewards = torch.tensor([[1.0, 2, 4], [6.0, 0, 0], [0.0, 3, 0], [1.0, 0, 0]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1]])
    tensors = {"token_level_rewards": rewards, "response_mask": mask}
    tensors |= {} if values is None else {"values": values}
    uid = np.array(["b", "b", "a", "a"], dtype=object)
    return importlib.import_module("verl").DataProto.from_dict(tensors=tensors, non_tensors={"uid": uid})


def advantages_of(adapter, config, estimator, data):
    compute = importlib.import_module("verl.trainer.ppo.ray_trainer").compute_advantage
    return compute(data, adv_estimator=estimator, config=config.algorithm).batch["advantages"]


def test_dense_grpo_by_hand_through_verls_trainer(adapter, config):
    config.algorithm.norm_adv_by_std_in_grpo = False
    advantages = advantages_of(adapter, config, "dense_grpo", dense_batch(adapter))
    expected = torch.tensor([[0.5, 0.0, -1.0], [-0.5, 0, 0], [1.0, 1.5, 0.0], [-1.0, -1.5, -1.5]])
    torch.testing.assert_close(advantages, expected)


def test_grpo_gives_each_token_the_same_and_gae_and_reinforce_do_not(adapter, config):
    data = dense_batch(adapter, values=torch.zeros(4, 3))
    grpo = advantages_of(adapter, config, "grpo", data)
    assert grpo[0].unique().numel() == 1
    for estimator in ("gae", "reinforce_plus_plus", "dense_grpo"):
        assert advantages_of(adapter, config, estimator, data)[0].unique().numel() == 3, estimator


def test_without_credit_dense_grpo_is_verls_grpo(adapter, algos):
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 0]])
    sparse = torch.tensor([[0.0, 0, 7], [6.0, 0, 0], [0.0, 3, 0], [0.0, 0, 1], [0.0, 4, 0]])
    index = np.array(["p", "p", ("q", 1), ("q", 1), "p"], dtype=object)  # of two types: they have no order
    for normalise in (True, False):
        [ours, returns] = algos.get_adv_estimator_fn("dense_grpo")(
            token_level_rewards=sparse, response_mask=mask, index=index, config={"norm_adv_by_std_in_grpo": normalise}
        )
        theirs, _ = algos.get_adv_estimator_fn("grpo")(sparse.clone(), mask, index, norm_adv_by_std_in_grpo=normalise)
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=0.0)
        torch.testing.assert_close(returns, sparse.sum(1, keepdim=True) * mask)


def test_gamma_and_lambda_of_the_configuration_count(algos):
    rewards, mask = torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.ones(2, 2)
    advantages, _ = algos.get_adv_estimator_fn("dense_grpo")(
        rewards, mask, np.array([1, 1]), config={"gamma": 0.5, "lam": 0.5, "norm_adv_by_std_in_grpo": False}
    )
    # To go: [1/4, 1] and zeros; minus the mean of both.
    torch.testing.assert_close(advantages, torch.tensor([[0.125, 0.5], [-0.125, -0.5]]))


def keeps(estimator):
    """Whether it matters to an estimator of verl which token was paid."""
    shared = {
        "response_mask": torch.ones(2, 2),
        "index": np.array([0, 0]),
        "values": torch.zeros(2, 2),
        "gamma": 1.0,
        "lam": 1.0,
        "config": SimpleNamespace(gamma=1.0, get=lambda name, default=None: default),
        "reward_baselines": torch.zeros(2),
        "old_log_probs": torch.full((2, 2), -1.0),
        "sum_pi_squared": torch.full((2, 2), 0.5),
    }
    parameters = inspect.signature(estimator).parameters
    known = {name: value for name, value in shared.items() if name in parameters}
    paid = [torch.tensor([[3.0, 0], [1.0, 0]]), torch.tensor([[0.0, 3], [1.0, 0]])]
    first, second = (estimator(token_level_rewards=rewards, **known)[0] for rewards in paid)
    return not torch.allclose(first, second)


def test_what_is_said_of_estimators_is_true_of_every_one_that_verl_has(adapter, algos):
    names = {*algos.ADV_ESTIMATOR_REGISTRY}
    assert names >= {estimator.value for estimator in algos.AdvantageEstimator}
    assert {name for name in names if keeps(algos.get_adv_estimator_fn(name))} == set(adapter.KEEPING)
    assert names == {*adapter.KEEPING, *adapter.SUMMING}


def test_estimators_that_sum_are_refused_and_the_others_named(adapter, algos):
    for name in adapter.SUMMING:
        with pytest.raises(ValueError, match=f"{name} adds the rewards .* choose one of dense_grpo, gae"):
            adapter.check_estimator(name)
    with pytest.raises(ValueError, match="adv_estimator: rloo adds"):
        adapter.check_estimator(algos.AdvantageEstimator.RLOO)
    for name in (*adapter.KEEPING, "one_of_my_own"):
        adapter.check_estimator(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm__adv_estimator": "grpo"}, "adv_estimator: grpo adds the rewards"),
        ({"actor_rollout_ref__actor__policy_loss__loss_mode": "geo_mean"}, "loss_mode: geo_mean averages"),
        ({"reward__reward_model__enable": True}, "reward.reward_model.enable: verl would ask its own server"),
        ({"algorithm__gamma": 0.9}, "algorithm.gamma is 0.9, and the shaping function was made for 1.0"),
        ({"reward__reward_kwargs": None}, "There is no shaping function: add"),
    ],
)
def test_settings_that_would_lose_the_credit_are_refused_before_the_first_step(
    adapter, config, policy_tokenizer, options, message
):
    with pytest.raises(ValueError, match=message):
        adapter.DenseRewardManager(with_options(config, **options), policy_tokenizer)


def test_rewards_that_do_not_fit_the_tokens_are_refused(adapter, policy_tokenizer):
    data = batch_of(policy_tokenizer, PROMPTS[:2], RESPONSES[:2])
    lengths = response_mask(data).sum(1).tolist()
    with pytest.raises(ValueError, match=rf"Responses of \[{lengths[0]}, {lengths[1]}\] tokens .* by \[2, 1\] rewards"):
        adapter.DenseRewardManager.assemble_rm_scores(data, [[1.0, 2.0], 3.0])


def test_an_agent_loops_output_carries_token_rewards_to_the_trainer(adapter, config, policy_tokenizer):
    """verl's own agent loop and scoring, from generated ids to what the trainer reads; only the engine is ours."""
    agent_loop = importlib.import_module("verl.experimental.agent_loop.agent_loop")
    worker = importlib.import_module("verl.experimental.reward_loop.reward_loop").RewardLoopWorker(config)
    token_output = importlib.import_module("verl.workers.rollout.replica").TokenOutput
    policy_tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    ids = [*policy_tokenizer(RESPONSES[0], add_special_tokens=False)["input_ids"], policy_tokenizer.eos_token_id]

    class Engine:
        async def generate(self, **request):
            return token_output(token_ids=ids, log_probs=None)

    async def sample():
        wrap = agent_loop.DictConfigWrap
        loop = importlib.import_module("hydra.utils").instantiate(
            agent_loop._agent_loop_registry["dense_single_turn_agent"],
            trainer_config=wrap(config),
            server_manager=Engine(),
            tokenizer=policy_tokenizer,
            processor=None,
            dataset_cls=None,
            data_config=wrap(config.data),
        )
        messages = [{"role": "user", "content": PROMPTS[0]}]
        output = await loop.run({}, raw_prompt=messages)
        scorer = object.__new__(agent_loop.AgentLoopWorker)
        scorer.processor, scorer.mm_processor_kwargs = None, {}
        scorer.reward_loop_worker_handles = [
            SimpleNamespace(compute_score=SimpleNamespace(remote=worker.compute_score))
        ]
        await scorer._compute_score([output], kwargs={"raw_prompt": messages})
        return output

    output = asyncio.run(sample())
    fields = output.as_dict()
    assert fields["responses"].tolist() == ids
    assert fields["rm_scores"].shape == fields["response_mask"].shape
    [score] = score_responses(as_reward_model("embedded"), [f"{PROMPTS[0]}\n\n"], RESPONSES[:1])
    assert fields["rm_scores"].sum().item() == pytest.approx(score, abs=1e-4)
    assert (fields["rm_scores"] != 0).sum() > 2


def test_what_a_tool_answered_is_paid_to_its_call(adapter):
    output = adapter.DenseAgentLoopOutput(
        prompt_ids=[1], response_ids=[2, 3, 4, 5], response_mask=[1, 0, 0, 1], metrics={}, reward_score=[1.0, 2, 4, 8]
    )
    assert output.as_dict()["rm_scores"].tolist() == [7.0, 0.0, 0.0, 8.0]
    output.reward_score = 3.0
    assert output.as_dict()["rm_scores"].tolist() == [0.0, 0.0, 0.0, 3.0]
    output.reward_score = [1.0]
    with pytest.raises(ValueError, match="A response of 4 tokens cannot be paid by 1 rewards"):
        output.as_dict()
