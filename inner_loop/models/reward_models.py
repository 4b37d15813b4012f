"""Reward models: text in, score out. Transformers classifiers and plain callables behind one method."""

from collections.abc import Sequence
from typing import Any, Protocol

from inner_loop.errors import EntryPointError, TaskError
from inner_loop.io.entry_points import import_function
from inner_loop.io.schema import shown
from inner_loop.models.callable_reward_model import CallableRewardModel
from inner_loop.models.judge import load_judge
from inner_loop.models.model_source import ModelSource, default_device, load_pretrained, model_source, why_not_loaded
from inner_loop.models.scores import check_scores
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.spec import ScoringConfig
from inner_loop.spec.task_config import is_function


class RewardModel(Protocol):
    """Anything that scores texts; higher is better.

    An attribute `mask_text`, if there is one, says what stands for a masked unit in a text.
    """

    def score(self, texts: Sequence[str]) -> list[float]:
        """One finite score per text, in the reward model's own units."""


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


def as_reward_model(reward_model: Any, scoring: ScoringConfig | None = None) -> RewardModel:
    """A reward model from an object with `score`, a callable, or a name as in `TaskConfig.reward_model`.

    Args:
        reward_model: What to make one of.
        scoring: How a transformers model by name reads a response, and what the score is.

    Raises:
        TaskError: If it is none of these, or cannot be read as `scoring` says.
    """
    if isinstance(reward_model, str):
        return load_reward_model(reward_model, scoring)
    _refuse_scoring("a reward model that is not given by name", scoring)
    if hasattr(reward_model, "score"):
        return reward_model
    if callable(reward_model):
        return CallableRewardModel(reward_model)
    raise TaskError(f"A reward model is a callable, an object with .score, or a name, not {shown(reward_model)}.")


def load_reward_model(name: str, scoring: ScoringConfig | None = None) -> RewardModel:
    """The reward model called `name`: `embedded`, a folder, a hub name, or `module:function`.

    Raises:
        TaskError: If it cannot be found, is not a classifier, or cannot be read as `scoring` says.
    """
    scoring = scoring or ScoringConfig()
    if is_function(name):
        _refuse_scoring(f"the function {name!r}", scoring)
        try:
            return CallableRewardModel(import_function(name))
        except EntryPointError as error:
            raise TaskError(f"task.reward_model {error}.") from error
    source = model_source(name, "reward_model", scoring.reward_model_revision)
    try:
        if scoring.judge is not None:
            return load_judge(name, source, scoring.judge, scoring)
        return load_classifier(name, source, scoring)
    except TaskError:  # a ValueError, too, that says it all
        raise
    except (OSError, ValueError) as error:
        raise TaskError(f"task.reward_model {name!r} could not be loaded: {why_not_loaded(error)}") from error


def load_classifier(name: str, source: ModelSource, scoring: ScoringConfig) -> TransformersRewardModel:
    """The sequence classifier at `source` as a reward model.

    Raises:
        OSError, ValueError: If there is no such model.
        TaskError: If it is not trained, or cannot be read as `scoring` says.
    """
    from transformers import AutoModelForSequenceClassification

    model, tokenizer, missing = load_pretrained(AutoModelForSequenceClassification, source)
    if missing:
        raise TaskError(
            f"task.reward_model {name!r} is not a trained classifier: it has no weights for {missing}. A language "
            "model can be a judge: see task.judge."
        )
    if scoring.chat_template and not tokenizer.chat_template:
        raise TaskError(f"task.chat_template: the tokenizer of {name!r} has no chat template; leave it out.")
    return TransformersRewardModel(model.to(default_device()), tokenizer, scoring)


def _refuse_scoring(what: str, scoring: ScoringConfig | None) -> None:
    """Raise `TaskError` if settings are given that only a transformers model by name has a use for."""
    usual = ScoringConfig()
    for name in ScoringConfig.model_fields:
        given = getattr(scoring or usual, name)
        if given and given != getattr(usual, name):
            raise TaskError(f"task.{name}: {what} reads texts as they are, so this has no effect; leave it out.")
