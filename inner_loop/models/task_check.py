"""What would make every trial fail, and what a user should know, found out before the first trial."""

from inner_loop.models.callable_reward_model import CallableRewardModel, largest_difference
from inner_loop.models.conversation import Conversation
from inner_loop.models.reward_models import as_reward_model, score_responses
from inner_loop.models.task import PolicyAndPrompts, prepare_policy
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.spec import EvaluationConfig, TaskConfig

N_TRIED = 4
"""Prompts with which the reward model is tried."""


def check_task(config: TaskConfig, evaluation: EvaluationConfig) -> list[str]:
    """Find out what would make every trial fail, without loading the policy's weights.

    Returns:
        What is no mistake but worth knowing, in sentences.

    Raises:
        TaskError: If a model or the prompts are missing or unusable.
        RewardModelError: If the reward model does not give one finite score per text.
    """
    prepared = prepare_policy(config, evaluation)
    reward_model = as_reward_model(config.reward_model, config.scoring)
    prompts = [prompt.text for prompt in prepared.evaluation_prompts[:N_TRIED]]
    score_responses(reward_model, prompts, [" fine"] * len(prompts))
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


def _remarks_on_prompts(config: TaskConfig, prepared: PolicyAndPrompts) -> list[str]:
    counts, remarks = prepared.counts, []
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
