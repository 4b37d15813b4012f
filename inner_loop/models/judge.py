"""A language model as a judge: the log-odds of two words as its answer, read as those of a two-label classifier.

The two rows of the output embedding that belong to the words become the head of a classifier around the same trunk, so
that everything that works for classifiers (batches, beginnings, attention, gradients) works for judges.
"""

from typing import Any

import torch
from torch import nn

from inner_loop.errors import TaskError
from inner_loop.models.model_source import ModelSource, default_device, load_pretrained
from inner_loop.models.rendering import as_question
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.spec import JudgeConfig, ScoringConfig

ATOL = 1e-3
"""How far the head's log-odds may be from the language model's own (float32 rounding is some 1e-5)."""


def load_judge(name: str, source: ModelSource, judge: JudgeConfig, scoring: ScoringConfig) -> TransformersRewardModel:
    """The causal language model at `source` as a reward model.

    Raises:
        OSError, ValueError: If there is no such model.
        TaskError: If the two answers begin alike, or the model cannot be read as a classifier.
    """
    from transformers import AutoModelForCausalLM

    model, tokenizer, missing = load_pretrained(AutoModelForCausalLM, source)
    if missing:
        raise TaskError(f"task.reward_model {name!r} is no trained language model: it has no weights for {missing}.")
    words = [_first_token(tokenizer, answer) for answer in (judge.bad, judge.good)]
    if words[0] == words[1]:
        raise TaskError(
            f"task.judge: the answers {judge.good!r} and {judge.bad!r} begin with the same token of {name!r}, so their "
            "odds cannot be told apart; choose two that begin differently."
        )
    classifier = as_classifier(name, model.eval(), words)
    labelled = scoring.model_copy(update={"label": None, "chat_template": None})
    return TransformersRewardModel(
        classifier.to(default_device()), tokenizer, labelled, render=as_question(tokenizer, judge)
    )


@torch.no_grad()
def as_classifier(name: str, model: Any, words: list[int]) -> Any:
    """A two-label classifier around the trunk of a causal language model, whose logits are those of two tokens.

    Raises:
        TaskError: If transformers has no classifier of this architecture, or it does not give the same log-odds.
    """
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModelForSequenceClassification

    if type(model.config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise TaskError(
            f"task.reward_model {name!r}: models of the kind {model.config.model_type} cannot be judges here."
        )
    config = type(model.config).from_dict(model.config.to_dict() | {"num_labels": 2})
    with torch.device("meta"):
        classifier = AutoModelForSequenceClassification.from_config(config).eval()
    head = model.get_output_embeddings()
    setattr(classifier, classifier.base_model_prefix, model.base_model)
    own = getattr(classifier, "score", None)
    if isinstance(own, nn.Linear):
        own.weight = nn.Parameter(head.weight[words].clone())
        ids = torch.arange(4).unsqueeze(0)
        expected = model(input_ids=ids, use_cache=False).logits[0, -1, words]
        classifier.config.pad_token_id = None
        found = classifier(input_ids=ids, use_cache=False).logits[0]
        if torch.allclose(found.diff(), expected.diff(), atol=ATOL):
            return classifier
    raise TaskError(
        f"task.reward_model {name!r}: {type(model).__name__} changes its logits after the output embedding; such "
        "models cannot be judges here."
    )


def _first_token(tokenizer: Any, answer: str) -> int:
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    if not ids:
        raise TaskError(f"task.judge: {answer!r} is no answer; write a word.")
    return int(ids[0])
