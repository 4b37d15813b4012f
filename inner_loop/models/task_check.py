"""What would make every trial fail, and what a user should know, found out before the first trial."""

import traceback
from collections.abc import Sequence
from itertools import islice

from inner_loop.errors import InnerLoopError, TaskError
from inner_loop.models.callable_reward_model import CallableRewardModel, largest_difference
from inner_loop.models.conversation import Conversation, messages_of
from inner_loop.models.gold import load_gold
from inner_loop.models.prompts import Prompt
from inner_loop.models.reward_models import RewardModel, as_reward_model, score_responses
from inner_loop.models.task import PolicyAndPrompts, prepare_policy
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.models.windows import pieces_of
from inner_loop.spec import EvaluationConfig, TaskConfig

N_TRIED = 4
"""Prompts with which the reward model is tried."""

MANY_PROMPTS = 50_000
"""More prompts than these take seconds to read, in every trial."""

MOST_ROLES = 16
"""Orders of roles that are tried, of which a dataset has a few."""


def check_task(config: TaskConfig, evaluation: EvaluationConfig) -> list[str]:
    """Find out what would make every trial fail, without loading the policy's weights.

    Returns:
        What is no mistake but worth knowing, in sentences.

    Raises:
        TaskError: If a model or the prompts are missing or unusable.
        AttributionError: If the credit of a response could not be told.
        RewardModelError: If the reward model does not give one finite score per text.
    """
    prepared = prepare_policy(config, evaluation)
    reward_model = as_reward_model(config.reward_model, config.scoring)
    prompts = [prompt.text for prompt in prepared.evaluation_prompts[:N_TRIED]]
    _try(f"task.reward_model {config.reward_model!r}", reward_model, prompts)
    for called, gold in load_gold(evaluation.gold).items():
        _try(f"evaluation.gold.{called}", gold, prompts)
    if isinstance(reward_model, TransformersRewardModel):
        _try_what_is_awkward(config, reward_model, [*prepared.train_prompts, *prepared.evaluation_prompts])
    remarks = [*_remarks_on_prompts(config, prepared), *_remarks_on_templates(config, prepared)]
    is_plain = not any(isinstance(prompt, Conversation) for prompt in prompts)
    if isinstance(reward_model, TransformersRewardModel):
        if reward_model.tokenizer.chat_template and is_plain and config.chat_template is None and config.judge is None:
            remarks.append(
                "The reward model has a chat template, and reads prompt and response joined without it; with "
                "task.chat_template: true it reads them as messages."
            )
    elif isinstance(reward_model, CallableRewardModel):
        difference = largest_difference(reward_model, [f"{prompt} fine" for prompt in prompts])
        if difference > 0:
            remarks.append(
                f"The reward function scored the same text differently, by up to {difference:.3g}: credit of noise is "
                "noise. Let it give a text the same score every time, or raise attribution.budget."
            )
    return remarks


def _try(which: str, reward_model: RewardModel, prompts: Sequence[str]) -> None:
    """Score a response to each prompt.

    Raises:
        TaskError: If a function of the user's raises, whatever it is.
        RewardModelError: If it does not give one finite score per text.
    """
    try:
        score_responses(reward_model, prompts, [" fine"] * len(prompts))
    except (InnerLoopError, OSError, MemoryError):
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
        raise TaskError(
            f"{which} raised {type(error).__name__} when it was tried: {why} "
            f"({place.filename}, line {place.lineno}). Mend it, and try again."
        ) from error


def _try_what_is_awkward(config: TaskConfig, reward_model: TransformersRewardModel, prompts: Sequence[Prompt]) -> None:
    """Try white space around a response, every order of roles, and the longest prompts with long responses.

    Raises:
        TaskError: If a template cannot write one, or a prompt leaves no room.
        AttributionError: If a template changes what stands in a response.
    """
    by_roles = {tuple(message["role"] for message in messages_of(prompt.text)): prompt.text for prompt in prompts}
    longest = sorted(prompts, key=lambda prompt: len(prompt.text))[-N_TRIED:]
    tried = [*islice(by_roles.values(), MOST_ROLES), *(prompt.text for prompt in longest)]
    if not reward_model.tokenizer.is_fast:
        return
    for response in ("\n fine ", " fine" * config.response_tokens):
        windows = reward_model.windows(tried, [response] * len(tried))
        if config.long_responses != "error":  # a response as long as may be is not what the policy writes
            reward_model.encode(*pieces_of(tried, [response] * len(tried), windows))


def _remarks_on_prompts(config: TaskConfig, prepared: PolicyAndPrompts) -> list[str]:
    counts, remarks = prepared.counts, []
    if counts.train > MANY_PROMPTS:
        remarks.append(
            f"Every trial first reads all {counts.train} training prompts; with task.prompts_size: {MANY_PROMPTS} it "
            "reads fewer."
        )
    if counts.dropped:
        remarks.append(f"{counts.dropped} prompts over {config.max_prompt_tokens} tokens are left out.")
    if counts.truncated:
        remarks.append(f"{counts.truncated} prompts over {config.max_prompt_tokens} tokens lose their beginning.")
    if counts.repeated:
        remarks.append(f"{counts.repeated} prompts stand in {config.prompts} more than once, and count once.")
    return remarks


def _remarks_on_templates(config: TaskConfig, prepared: PolicyAndPrompts) -> list[str]:
    is_plain = not any(isinstance(prompt.text, Conversation) for prompt in prepared.train_prompts)
    if prepared.tokenizer.chat_template and is_plain and config.policy_chat_template is None:
        return [
            "The policy has a chat template, and reads these plain prompts without it; with "
            "task.policy_chat_template: true it reads each as a user's message."
        ]
    return []
