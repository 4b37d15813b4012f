"""The reward model: a classifier of one number, trained so that chosen answers score above rejected ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.prepare.pairs import FEWEST_PAIRS, Pair, PrepareError
from experiments.prepare.training import Settings, arguments, own_randomness, quiet, train
from inner_loop.errors import TaskError
from inner_loop.models.model_source import model_source, why_not_loaded
from inner_loop.models.reward_models import load_reward_model
from inner_loop.models.transformers_reward_model import TransformersRewardModel

LEARNING_RATES = 3e-4, 2e-5
"""Of a small and a large model."""


@dataclass(frozen=True)
class Agreement:
    """How well a reward model agrees with pairs that it has not seen."""

    accuracy: float
    """Share of pairs whose chosen answer has the higher score; equal scores count half."""
    interval: tuple[float, float]
    """95 %, Wilson's."""
    n_pairs: int
    score_std: float
    """Standard deviation of the scores of all their answers."""

    @property
    def is_better_than_a_guess(self) -> bool:
        """Whether that is beyond doubt."""
        return self.interval[0] > 0.5


def load_start(name: str, seed: int) -> TransformersRewardModel:
    """The model that becomes the reward model; a head that it lacks is drawn with `seed`.

    Args:
        name: `embedded`, a folder or a hub name: a classifier, an encoder, or a causal language model.
        seed: Of a new head.

    Raises:
        PrepareError: If it cannot be loaded, or its tokenizer cannot be used.
    """
    from transformers import AutoModelForSequenceClassification

    try:
        source = model_source(name, "reward_model")
        if source.adapter is not None:
            raise PrepareError(f"--reward-model {name!r} is an adapter; give the model that it belongs to.")
        with torch.random.fork_rng(devices=[]), quiet():  # that a head is new is no news here
            torch.manual_seed(seed)
            model = source.from_pretrained(
                AutoModelForSequenceClassification, num_labels=1, dtype=torch.float32, ignore_mismatched_sizes=True
            )
        tokenizer = source.tokenizer()
    except TaskError as error:
        raise PrepareError(str(error)) from error
    except (OSError, ValueError) as error:
        raise PrepareError(f"--reward-model {name!r} could not be loaded: {why_not_loaded(error)}.") from error
    if not tokenizer.is_fast:
        raise PrepareError(f"--reward-model {name!r} has a tokenizer without offsets, which credit per token needs.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    model.config.problem_type = None
    return TransformersRewardModel(model, tokenizer)


def encoded(start: TransformersRewardModel, pairs: Sequence[Pair]) -> tuple[list[dict[str, list[int]]], int, int]:
    """Token ids of both answers behind their prompt, exactly as a study's reward model reads them.

    Returns:
        The rows, how many pairs were left out since their answers look the same to this model, and how many answers are
        longer than it reads.

    Raises:
        PrepareError: If too few are left.
    """
    prompts = [pair.prompt for pair in pairs]
    chosen = start.encode(prompts, [pair.chosen for pair in pairs])
    rejected = start.encode(prompts, [pair.rejected for pair in pairs])
    rows = [
        {"chosen_ids": good.ids.tolist(), "rejected_ids": bad.ids.tolist()}
        for good, bad in zip(chosen, rejected, strict=True)
        if not np.array_equal(good.ids, bad.ids)
    ]
    if len(rows) < FEWEST_PAIRS / 2:
        raise PrepareError(
            f"To this reward model the answers of {len(pairs) - len(rows)} of {len(pairs)} pairs look the same, which "
            "leaves too few; give --reward-model one with a longer context, or with a vocabulary that has their words."
        )
    n_cut = sum(row.n_unread > 0 for row in [*chosen, *rejected])
    return rows, len(pairs) - len(rows), n_cut


def train_reward_model(
    start: TransformersRewardModel, pairs: Sequence[Pair], settings: Settings, work: Path, folder: Path
) -> list[str]:
    """Train with trl's `RewardTrainer` and save into `folder`; what an interrupted training left in `work` is used.

    Returns:
        What is worth knowing, in sentences.
    """
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    rows, n_same, n_cut = encoded(start, pairs)
    with own_randomness(), quiet():
        # The ids are made here: trl would end every text with a token that a study's reward model never reads.
        trainer: Any = RewardTrainer(
            model=start.model,
            args=RewardConfig(**arguments(settings, start.model, len(rows), work, LEARNING_RATES), max_length=None),
            train_dataset=Dataset.from_list(rows),
            processing_class=start.tokenizer,
        )
        train(trainer, work, "reward model")
        start.model.eval().save_pretrained(folder)
    start.tokenizer.save_pretrained(folder)
    remarks = []
    if n_same:
        remarks.append(f"{n_same} pairs are left out: to this reward model their answers look the same.")
    if n_cut:
        remarks.append(f"{n_cut} answers are longer than this reward model reads: the beginning of the prompt is cut.")
    return remarks


def agreement(folder: Path, pairs: Sequence[Pair]) -> Agreement:
    """How well the reward model in a folder agrees with pairs, asked as a study asks it."""
    from scipy.stats import binomtest

    reward_model = load_reward_model(str(folder))
    if not isinstance(reward_model, TransformersRewardModel):
        raise TypeError(f"{folder} is no classifier.")
    prompts = [pair.prompt for pair in pairs]
    chosen = np.array(reward_model.score_responses(prompts, [pair.chosen for pair in pairs]))
    rejected = np.array(reward_model.score_responses(prompts, [pair.rejected for pair in pairs]))
    accuracy = float(np.mean((chosen > rejected) + 0.5 * (chosen == rejected)))
    interval = binomtest(round(accuracy * len(pairs)), len(pairs)).proportion_ci(method="wilson")
    std = float(np.concatenate([chosen, rejected]).std())
    return Agreement(accuracy, (float(interval.low), float(interval.high)), len(pairs), std)
