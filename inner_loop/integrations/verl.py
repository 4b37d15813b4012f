"""Token rewards in verl 0.9: a reward manager that pays every token, and GRPO that does not add the pay up again.

In verl's configuration (`docs/other-trainers.md` has all of it):

    reward.reward_manager.source=importlib
    reward.reward_manager.name=DenseRewardManager
    reward.reward_manager.module.path=pkg://inner_loop.integrations.verl
    +reward.reward_kwargs.shaping=my-shaping
    actor_rollout_ref.rollout.agent.default_agent_loop=dense_single_turn_agent
    actor_rollout_ref.rollout.agent.agent_loop_config_path=agents.yaml
    algorithm.adv_estimator=dense_grpo

verl imports this module, nobody else does: it needs verl. Three places of verl 0.9.1 take part:

* a reward worker calls `DenseRewardManager.run_single`, one response at a time; whatever waits is scored together;
* verl's agent loops write a score on the last token, whatever it is. `DenseSingleTurnAgentLoop` and
  `DenseToolAgentLoop` are those of verl, whose outputs write one reward per token. `assemble_rm_scores` does the same
  for a reward that is computed after sampling;
* most estimators begin with `token_level_rewards.sum(-1)`, and all credit is gone without a word. `check_estimator`
  refuses those; the manager asks it before the first step. `dense_grpo` is an estimator that keeps it.

Sums are conserved, so every reward that verl reports (`rm_scores.sum(1)`) is the one it would report without credit.
"""

import asyncio
import inspect
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput, register
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase
from verl.trainer.ppo.core_algos import register_adv_est

from inner_loop.integrations.core import numbered, token_advantages
from inner_loop.integrations.token_rewards import Shaping, on_written_tokens, shape_tokens
from inner_loop.models.conversation import read_conversation
from inner_loop.shaping import ShapedResponse, ShapingFunction

KEEPING = (
    "dense_grpo",
    "gae",
    "optimal_token_baseline",
    "reinforce_plus_plus",
    "remax",
    "tir_optimal_token_baseline",
)
"""Estimators in which it matters which token was paid."""

SUMMING = (
    "gdpo",
    "gpg",
    "grpo",
    "grpo_passk",
    "grpo_vectorized",
    "opo",
    "reinforce_plus_plus_baseline",
    "rloo",
    "rloo_vectorized",
)
"""Estimators that add a response's rewards up first."""

AVERAGING_LOSSES = ("geo_mean",)
"""Policy losses that average a response's advantages first."""


def check_estimator(name: str) -> None:
    """Refuse an advantage estimator that sums the credit away; one that verl does not ship is taken at its word.

    Args:
        name: `algorithm.adv_estimator`.

    Raises:
        ValueError: If the estimator would pay every token of a response the same; it names those that do not.
    """
    name = str(getattr(name, "value", name))
    if name in SUMMING:
        raise ValueError(
            f"algorithm.adv_estimator: {name} adds the rewards of a response up, so token rewards would change "
            f"nothing; choose one of {', '.join(KEEPING)}."
        )


@register_adv_est("dense_grpo")
def dense_grpo(
    token_level_rewards: Tensor, response_mask: Tensor, index: Any, config: Any = None, **_: Any
) -> tuple[Tensor, Tensor]:
    """GRPO whose advantages differ from token to token: `inner_loop.integrations.core.token_advantages`.

    With a reward on the last token alone it is verl's `grpo`, but for a response alone in its group (zero here) and
    for what is added to the deviation (1e-4 here).

    Args:
        token_level_rewards: `b x t`; their sums are the outcomes that baselines come from.
        response_mask: `b x t`, 1 on the tokens that the policy wrote.
        index: `b` objects, equal for the responses to one prompt (verl's `uid`).
        config: verl's `algorithm`: `gamma`, `lam`, and `norm_adv_by_std_in_grpo`, False for Dr. GRPO.

    Returns:
        `(advantages, returns)`, both `b x t`, zero where the mask is 0; returns are the undiscounted rewards-to-go.
    """
    option = {} if config is None else config
    written = response_mask.bool()
    rewards = token_level_rewards.float()
    advantages = token_advantages(
        rewards,
        written,
        numbered(index).to(rewards.device),
        kind="grpo" if option.get("norm_adv_by_std_in_grpo", True) else "dr_grpo",
        outcomes=rewards.sum(dim=1),
        gamma=option.get("gamma", 1.0),
        gae_lambda=option.get("lam", 1.0),
    )
    to_go = (rewards * written).flip(1).cumsum(dim=1).flip(1)
    return advantages, to_go * written


class _Waiting(NamedTuple):
    """A response that waits to be scored."""

    prompt: str
    prompt_ids: list[int]
    response_ids: list[int]
    score: float | None
    answer: asyncio.Future[ShapedResponse]


class DenseRewardManager(RewardManagerBase):
    """Pays every token of a response by a shaping function.

    The function comes from `reward.reward_kwargs`: `shaping` is a folder that `ShapingFunction.save` wrote,
    `reward_model` another reward model than it names; `allow_code: true` and `allow_models: true` permit what it names.
    Or from a class of your own, which the configuration then names:

        class MyRewards(DenseRewardManager):
            shaping = ShapingFunction({"shap": 1.0}, reward_model=my_scores)

    The score is the reward model's; with `reward.custom_reward_function.path` it is what that function says, and what
    it says beyond the reward model's score is paid on the last token.

    Raises:
        ValueError: If there is no shaping function, its gamma is not the trainer's, verl would not ask this manager,
            or the estimator or the loss would add the credit up.
    """

    shaping: ClassVar[Shaping | None] = None
    """The shaping function, if the configuration names none."""

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any = None, **_: Any) -> None:
        super().__init__(config, tokenizer, compute_score)
        check_config(config)
        self._shaping = self._given(config.reward.get("reward_kwargs") or {})
        gamma, own = config.algorithm.get("gamma", 1.0), getattr(self._shaping, "gamma", None)
        if own is not None and own != gamma:
            raise ValueError(f"algorithm.gamma is {gamma}, and the shaping function was made for {own}; make them one.")
        self._has_function = bool((config.reward.get("custom_reward_function") or {}).get("path"))
        self._waiting: list[_Waiting] = []
        self._turn = asyncio.Lock()

    def _given(self, options: Any) -> Shaping:
        if path := options.get("shaping"):
            return ShapingFunction.load(
                path,
                reward_model=options.get("reward_model"),
                allow_code=options.get("allow_code", False),
                allow_models=options.get("allow_models", False),
            )
        given = type(self).shaping  # of the class: a plain function would be bound to this object
        if given is None:
            raise ValueError(
                "There is no shaping function: add +reward.reward_kwargs.shaping=FOLDER, which ShapingFunction.save "
                "wrote, or name a class of your own that has one."
            )
        return given

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """The rewards of the last response of `data`, one per token, with the score in `reward_extra_info`."""
        item = data[-1:][0]
        prompt_ids, response_ids = _ids(item)
        prompt = _prompt(item, prompt_ids, self.tokenizer)
        score, said = await self._function_says(item, response_ids) if self._has_function else (None, {})
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(prompt, prompt_ids, response_ids, score, answer))
        async with self._turn:
            if not answer.done():
                together, self._waiting = self._waiting, []
                await self._score(together)
        shaped = await answer
        return {"reward_score": shaped.rewards.tolist(), "reward_extra_info": {"score": shaped.score, **said}}

    async def _score(self, together: list[_Waiting]) -> None:
        prompts, prompt_ids, response_ids, scores, answers = zip(*together, strict=True)
        given = scores if self._has_function else None
        try:
            shaped = await asyncio.to_thread(
                shape_tokens, self._shaping, self.tokenizer, prompts, prompt_ids, response_ids, given
            )
        except Exception as error:  # every one of them waits for an answer
            for answer in answers:
                answer.set_exception(error)
        else:
            for answer, response in zip(answers, shaped, strict=True):
                answer.set_result(response)

    async def _function_says(self, item: Any, response_ids: list[int]) -> tuple[float, dict[str, Any]]:
        """What verl's custom reward function says of a response: its score, and what else it wants reported."""
        facts = item.non_tensor_batch
        arguments = {
            "data_source": facts.get("data_source"),
            "solution_str": self.tokenizer.decode(response_ids, skip_special_tokens=True),
            "ground_truth": (facts.get("reward_model") or {}).get("ground_truth"),
            "extra_info": facts.get("extra_info") or {},
        }
        said = await asyncio.to_thread(self.compute_score, **arguments)
        if inspect.isawaitable(said):
            said = await said
        return (float(said["score"]), dict(said)) if isinstance(said, dict) else (float(said), {})

    @classmethod
    def assemble_rm_scores(cls, data: DataProto, scores: list[list[float]]) -> Tensor:
        """`b x t` float32 rewards, zero on padding, from what `run_single` said of each response.

        Raises:
            ValueError: If a response has another number of tokens than rewards.
        """
        responses = data.batch["responses"]
        lengths = data.batch["attention_mask"][:, data.batch["prompts"].size(1) :].sum(dim=1)
        given = [len(rewards) if isinstance(rewards, list) else 1 for rewards in scores]
        if given != lengths.tolist():
            raise ValueError(f"Responses of {lengths.tolist()} tokens cannot be paid by {given} rewards.")
        places = torch.arange(responses.size(1), device=responses.device) < lengths.unsqueeze(1)
        rewards = torch.zeros(responses.shape, device=responses.device)
        rewards[places] = rewards.new_tensor([reward for row in scores for reward in row])
        return rewards


def check_config(config: Any) -> None:
    """Refuse a configuration of verl in which token rewards would not reach the loss.

    Raises:
        ValueError: It names the setting.
    """
    reward = config.reward
    check_estimator(config.algorithm.adv_estimator)
    actor = (config.get("actor_rollout_ref") or {}).get("actor") or {}
    loss = (actor.get("policy_loss") or {}).get("loss_mode")
    if loss in AVERAGING_LOSSES:
        raise ValueError(
            f"actor_rollout_ref.actor.policy_loss.loss_mode: {loss} averages the advantages of a response, so token "
            "rewards would change nothing; choose another one."
        )
    served = (reward.get("reward_model") or {}).get("enable", False)
    if served and not (reward.get("custom_reward_function") or {}).get("path"):
        raise ValueError(
            "reward.reward_model.enable: verl would ask its own server for a score and never for token rewards; set "
            "it to false, and give the reward model to the shaping function."
        )


def _ids(item: Any) -> tuple[list[int], list[int]]:
    """The tokens of a prompt and its response, without their padding."""
    mask, n_prompt = item.batch["attention_mask"].bool(), item.batch["prompts"].shape[-1]
    prompt, response = item.batch["prompts"], item.batch["responses"]
    return prompt[mask[:n_prompt]].tolist(), response[mask[n_prompt:]].tolist()


def _prompt(item: Any, prompt_ids: list[int], tokenizer: Any) -> str:
    """The prompt as a reward model reads it: its messages if verl has them, else the text of its tokens."""
    messages = item.non_tensor_batch.get("raw_prompt")
    if messages is None:
        return str(tokenizer.decode(prompt_ids, skip_special_tokens=True))
    return read_conversation(list(messages), "verl's raw_prompt")


class DenseAgentLoopOutput(AgentLoopOutput):
    """What verl's agent loops return, with a reward for each token of the response, those of tools included."""

    reward_score: float | list[float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As verl's, with `rm_scores` that are the rewards; what a tool's answer earned is paid to its call."""
        rewards = self.reward_score
        if not isinstance(rewards, list):
            return dict(super().as_dict())
        if len(rewards) != len(self.response_ids):
            raise ValueError(
                f"A response of {len(self.response_ids)} tokens cannot be paid by {len(rewards)} rewards; agent loops "
                "that return several outputs for one score have no token rewards."
            )
        output = dict(AgentLoopOutput.as_dict(self.model_copy(update={"reward_score": 0.0})))
        written = output["response_mask"].bool()
        output["rm_scores"] = on_written_tokens(torch.tensor([rewards]), written.unsqueeze(0))[0]
        return output


class _DenseOutputs(AgentLoopBase):
    """An agent loop whose outputs carry a reward for each token."""

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> AgentLoopOutput:
        """As verl's."""
        output = await super().run(sampling_params, **kwargs)
        return DenseAgentLoopOutput.model_construct(output.model_fields_set, **dict(output))


@register("dense_single_turn_agent")
class DenseSingleTurnAgentLoop(_DenseOutputs, SingleTurnAgentLoop):
    """verl's `single_turn_agent` with token rewards."""


@register("dense_tool_agent")
class DenseToolAgentLoop(_DenseOutputs, ToolAgentLoop):
    """verl's `tool_agent` with token rewards."""
