"""Reward models: text in, score out. Transformers classifiers and plain callables behind one method."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from inner_loop.errors import EntryPointError, TaskError
from inner_loop.io.entry_points import import_function
from inner_loop.models.model_source import default_device, load_pretrained, model_source, why_not_loaded
from inner_loop.models.scores import check_count, check_scores
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.spec.task_config import is_function

_NO_TEMPLATE = "chat_template: {} has no chat template that could be applied here; leave it out."


class RewardModel(Protocol):
    """Anything that scores texts; higher is better.

    An attribute `mask_text`, if there is one, says what stands for a masked unit in a text.
    """

    def score(self, texts: Sequence[str]) -> list[float]:
        """One finite score per text, in the reward model's own units."""


class CallableRewardModel:
    """A plain function `list[str] -> list[float]` as a reward model.

    Raises:
        RewardModelError: When the function returns the wrong number of scores or a score that is not finite.
    """

    mask_text = "..."

    def __init__(self, function: Callable[[list[str]], Sequence[float]]) -> None:
        self._function = function

    def score(self, texts: Sequence[str]) -> list[float]:
        """The function's scores, checked."""
        return check_scores(self.unchecked_score(texts), texts)

    def unchecked_score(self, texts: Sequence[str]) -> list[float]:
        """As `score`, but the scores may be infinite or NaN."""
        return check_count(self._function(list(texts)), texts)


def score_responses(reward_model: RewardModel, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
    """One score per response to its prompt.

    Transformers reward models take a response's words for what they are, special tokens or not; any other reward model
    is given prompt and response as one text.

    Raises:
        RewardModelError: If a score is not a finite number; it names the response by its index.
    """
    if isinstance(reward_model, TransformersRewardModel):
        return reward_model.score_responses(prompts, responses)
    texts = [prompt + response for prompt, response in zip(prompts, responses, strict=True)]
    return check_scores(reward_model.score(texts), texts)


def as_reward_model(reward_model: Any, *, chat_template: bool = False) -> RewardModel:
    """A reward model from an object with `score`, a callable, or a name as in `TaskConfig.reward_model`.

    Args:
        reward_model: What to make one of.
        chat_template: For a transformers model by name: see `TransformersRewardModel`.

    Raises:
        TaskError: If it is none of these, or none that has a chat template though one is asked for.
    """
    if isinstance(reward_model, str):
        return load_reward_model(reward_model, chat_template=chat_template)
    if chat_template:
        raise TaskError(_NO_TEMPLATE.format("a reward model that is not given by name"))
    if hasattr(reward_model, "score"):
        return reward_model
    if callable(reward_model):
        return CallableRewardModel(reward_model)
    raise TaskError(
        f"A reward model is a callable, an object with .score, or a name, not {type(reward_model).__name__}."
    )


def load_reward_model(name: str, *, chat_template: bool = False) -> RewardModel:
    """The reward model called `name`: `embedded`, a folder, a hub name, or `module:function`.

    Raises:
        TaskError: If it cannot be found, is not a classifier, or lacks the chat template that is asked for.
    """
    if is_function(name):
        if chat_template:
            raise TaskError(_NO_TEMPLATE.format(f"the function {name!r}"))
        try:
            return CallableRewardModel(import_function(name))
        except EntryPointError as error:
            raise TaskError(f"reward_model {error}.") from error
    from transformers import AutoModelForSequenceClassification

    source = model_source(name, "reward_model")
    try:
        model, tokenizer, missing = load_pretrained(AutoModelForSequenceClassification, source)
    except (OSError, ValueError) as error:
        raise TaskError(f"reward_model {name!r} could not be loaded: {why_not_loaded(error)}") from error
    if missing:
        raise TaskError(f"reward_model {name!r} is not a trained classifier: it has no weights for {missing}.")
    if chat_template and not tokenizer.chat_template:
        raise TaskError(_NO_TEMPLATE.format(f"the tokenizer of {name!r}"))
    return TransformersRewardModel(model.to(default_device()), tokenizer, chat_template=chat_template)
