"""Which of two policies writes better, by a judge that reads both answers: a win rate with position swaps.

    python -m experiments.results.win_rates CONFIG OURS THEIRS --judge MODEL

OURS and THEIRS are folders of policies, such as `bo-shaping train` leaves in STUDY/trained/*/policy; CONFIG is that of
the study, for its prompts. Both answer the same held-out prompts under the same sampling noise. The judge, a causal
language model by hub name or folder, reads each pair in both orders, since many judges prefer what they read first: it
decides for an answer if its log-odds of that answer, averaged over the two orders, are positive.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from bo_shaping.comparison.statistics import Interval, mean
from bo_shaping.config import StudyConfig
from inner_loop.models.judge import load_judge
from inner_loop.models.model_source import model_source
from inner_loop.models.reward_models import RewardModel, score_responses
from inner_loop.models.task import load_policy, prepare_policy
from inner_loop.ppo.rollout import sample_rollout
from inner_loop.spec import JudgeConfig, ScoringConfig, TaskConfig

QUESTION = (
    "Here is a prompt and two answers to it.\n\nPrompt: {prompt}\n\n{response}\n\n"
    "Which answer is better, A or B? Reply with one letter."
)
"""What a judge is asked."""

BATCH_SIZE = 64


class WinRate(NamedTuple):
    """How often ours is preferred."""

    rate: Interval
    """Share of prompts on which the judge, both orders together, prefers ours; a tie counts half. 95 % over prompts."""
    agrees: float
    """Share of prompts on which it prefers the same answer in both orders: near 0.5 it cannot tell them apart."""
    first: float
    """Share of readings in which it prefers what it reads first: 0.5 has no bias."""


def judge_pairs(judge: RewardModel, prompts: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> WinRate:
    """What a judge of pairs says.

    Args:
        judge: Scores a text with two answers, A and B, by its log-odds of A.
        prompts: What was asked.
        ours: An answer to each.
        theirs: Another one to each.
    """
    as_first = np.array(score_responses(judge, prompts, as_pairs(ours, theirs)))
    as_second = -np.array(score_responses(judge, prompts, as_pairs(theirs, ours)))
    wins = (1 + np.sign(as_first + as_second)) / 2
    return WinRate(
        rate=mean(wins),
        agrees=float(np.mean(np.sign(as_first) == np.sign(as_second))),
        first=float(np.mean([(as_first > 0).mean(), (as_second < 0).mean()])),
    )


def as_pairs(firsts: Sequence[str], seconds: Sequence[str]) -> list[str]:
    """Two answers as one text, as a judge of pairs reads them."""
    return [f"Answer A: {one.strip()}\n\nAnswer B: {other.strip()}" for one, other in zip(firsts, seconds, strict=True)]


def load_judge_of_pairs(name: str) -> RewardModel:
    """The causal language model `name` as a judge of pairs.

    Raises:
        TaskError: If it cannot be one.
    """
    question = JudgeConfig(prompt=QUESTION, good="A", bad="B")
    return load_judge(name, model_source(name, "reward_model"), question, ScoringConfig())


def answers(config: StudyConfig, policy: str, n_prompts: int) -> tuple[list[str], list[str]]:
    """Held-out prompts, and a response of a policy to each.

    Args:
        config: Whose prompts, lengths and sampling.
        policy: Folder of the policy.
        n_prompts: How many.
    """
    judged = config.evaluation.model_copy(update={"split": "heldout", "n_prompts": n_prompts})
    task: TaskConfig = config.task.model_copy(update={"policy": policy})
    prepared = prepare_policy(task, judged)
    model = load_policy(task, prepared.source)
    generator = torch.Generator().manual_seed(judged.seed)
    prompts, responses = list[str](), list[str]()
    for start in range(0, n_prompts, BATCH_SIZE):
        rollout = sample_rollout(
            model,
            prepared.tokenizer,
            prepared.evaluation_prompts[start : start + BATCH_SIZE],
            max_new_tokens=task.response_tokens,
            temperature=config.ppo.temperature,
            top_k=config.ppo.top_k,
            top_p=config.ppo.top_p,
            generator=generator,
        )
        prompts += rollout.prompts
        responses += rollout.responses
    return prompts, responses


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="configuration of the study")
    parser.add_argument("ours", help="folder of a policy")
    parser.add_argument("theirs", help="folder of another one")
    parser.add_argument("--judge", required=True, help="causal language model: hub name or folder")
    parser.add_argument("--prompts", type=int, default=128, help="held-out prompts (128)")
    options = parser.parse_args(arguments)
    config = StudyConfig.from_yaml(options.config)
    prompts, ours = answers(config, options.ours, options.prompts)
    _, theirs = answers(config, options.theirs, options.prompts)
    found = judge_pairs(load_judge_of_pairs(options.judge), prompts, ours, theirs)
    print(in_words(found, options.judge, len(prompts)))


def in_words(found: WinRate, judge: str, n_prompts: int) -> str:
    """The win rate, and how far the judge can be trusted."""
    rate = found.rate
    words = (
        f"{judge} prefers the first policy on {rate.value:.1%} of {n_prompts} prompts ({rate.low:.1%} to "
        f"{rate.high:.1%}), each read in both orders. It agrees with itself on {found.agrees:.0%} of them, and prefers "
        f"what it reads first in {found.first:.0%} of its readings."
    )
    if found.agrees < 0.6:
        words += " That is hardly better than a coin: ask a better judge."
    return words


if __name__ == "__main__":
    main()
