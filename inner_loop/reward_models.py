"""Reward models: text in, score out. Transformers classifiers and plain callables behind one method."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch

from inner_loop.entry_points import import_function
from inner_loop.errors import EntryPointError, RewardModelError, TaskError

TOKENS_PER_BATCH = 4096
"""Padded tokens in one forward pass: enough to keep the cores busy, little enough to stay in the caches."""


class RewardModel(Protocol):
    """Anything that scores texts; higher is better."""

    mask_text: str
    """What stands for a masked unit in a text."""

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
        return check_scores(self._function(list(texts)), texts)


class TransformersRewardModel:
    """A sequence classifier: the logit of a single-label head, or log-odds (last label minus first) of a two-label one.

    Texts are scored in batches of similar length with a bounded number of tokens, without padding effects on the
    score beyond rounding. Texts longer than the model's positions are cut at the end.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        if model.config.num_labels > 2:
            raise TaskError(
                "task.reward_model needs a head of one label (a score) or two (log-odds), "
                f"got {model.config.num_labels}."
            )
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.mask_text = tokenizer.mask_token or tokenizer.unk_token or "..."
        self._max_tokens = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 10**9))

    @torch.inference_mode()
    def score(self, texts: Sequence[str]) -> list[float]:
        """Scores of `texts`; equal texts get equal scores in one call."""
        encoded = self.tokenizer(list(texts), truncation=True, max_length=self._max_tokens)["input_ids"]
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
        scores = torch.empty(len(encoded))
        for batch in _batches_by_tokens(order, [len(ids) for ids in encoded]):
            padded = self.tokenizer.pad({"input_ids": [encoded[i] for i in batch]}, return_tensors="pt")
            logits = self.model(**padded.to(self.model.device)).logits.float().cpu()
            scores[batch] = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        return check_scores(scores.tolist(), texts)


def _batches_by_tokens(order: list[int], lengths: list[int]) -> list[list[int]]:
    """Cut indices, sorted by length, into batches of at most `TOKENS_PER_BATCH` padded tokens (one text at least)."""
    batches: list[list[int]] = []
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > TOKENS_PER_BATCH:
            batches.append(batch)
            batch = []
        batch.append(index)
    return [*batches, batch] if batch else batches


def check_scores(scores: Sequence[float], texts: Sequence[str]) -> list[float]:
    """`scores` as floats.

    Raises:
        RewardModelError: If there are not as many scores as texts, or one of them is not a finite number.
    """
    values = [float(score) for score in scores]
    if len(values) != len(texts):
        raise RewardModelError(f"The reward model returned {len(values)} scores for {len(texts)} texts.")
    for index, value in enumerate(values):
        if not math.isfinite(value):
            raise RewardModelError(f"The reward model scored text {index} as {value}; the text is {texts[index]!r}.")
    return values


def as_reward_model(reward_model: Any) -> RewardModel:
    """A reward model from an object with `score`, a callable, or a name as in `TaskConfig.reward_model`."""
    if isinstance(reward_model, str):
        return load_reward_model(reward_model)
    if hasattr(reward_model, "score"):
        return reward_model
    if callable(reward_model):
        return CallableRewardModel(reward_model)
    raise TaskError(
        f"A reward model is a callable, an object with .score, or a name, not {type(reward_model).__name__}."
    )


def load_reward_model(name: str) -> RewardModel:
    """The reward model called `name`: `embedded`, a folder, a hub name, or `module:function`.

    Raises:
        TaskError: If it cannot be found or is not a classifier.
    """
    if ":" in name and not Path(name).exists():
        try:
            return CallableRewardModel(import_function(name))
        except EntryPointError as error:
            raise TaskError(f"task.reward_model {error}.") from error
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from inner_loop.task import model_source

    source = model_source(name, "reward_model")
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        with without_progress_bars():
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                source, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError) as error:
        raise TaskError(f"task.reward_model {name!r} could not be loaded: {first_line(error)}") from error
    if missing := sorted(loading["missing_keys"]):
        # transformers would fill them with random numbers, other ones in every process.
        raise TaskError(f"task.reward_model {name!r} is not a trained classifier: it has no weights for {missing[0]}.")
    return TransformersRewardModel(model.to(default_device()), tokenizer)


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Transformers draws a bar for every model it loads, even one that takes milliseconds."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def default_device() -> torch.device:
    """The GPU that PyTorch sees, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def first_line(error: Exception) -> str:
    """The first line of an error's message; model loaders append pages of advice."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
