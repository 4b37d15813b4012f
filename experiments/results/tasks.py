"""What is compared, and on which task."""

from pathlib import Path
from typing import NamedTuple

EXPERIMENTS = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent

METHODS = ("sparse", "uniform", "attention", "lime", "shap", "owen", "shap-untuned", "learned")
"""Sparse reward; its even and its attention-weighted split (arXiv:2402.00782); LIME, Shapley and Owen credit; Shapley
credit at the parameters of the file; and the mixture that a study learns."""


class ResultTask(NamedTuple):
    """A task, and how much of it is compared."""

    name: str
    """Of the configuration in experiments/, and of the files of its results."""
    title: str
    setup: str
    """What is trained on what, in words."""
    n_seeds: int
    """Fresh trainings of each method."""
    methods: tuple[str, ...] = METHODS
    """What is compared."""

    @property
    def config(self) -> Path:
        """The configuration that is compared over."""
        return EXPERIMENTS / f"{self.name}.yaml"

    @property
    def stored(self) -> Path:
        """What came out, curves included."""
        return HERE / f"{self.name}.json"

    @property
    def page(self) -> Path:
        """The page that is made of it."""
        return HERE / f"{self.name}.md"

    @property
    def pictures(self) -> dict[str, Path]:
        """Reward by step, and by KL."""
        return {along: HERE / f"{self.name}-{along}.png" for along in ("steps", "kl")}


TASKS = (
    ResultTask(
        "embedded_sentiment",
        "Sentiment control, embedded models",
        "A policy of 4 million parameters continues the beginnings of film reviews; a BERT of 1 million scores them "
        "(log-odds of positive). Two others judge too, on which nobody trained: a fine-tuned MiniLM, twenty times as "
        "large, and VADER, a lexicon that people rated by hand.",
        20,
    ),
    ResultTask(
        "instructions",
        "Instruction following, small, on synthetic preferences",
        'A policy of 4 million parameters learns to follow instructions such as "praise the acting:" from preferences. '
        "The answers are film-review sentences with people's labels; the instructions and the pairs are ours "
        "(`experiments/instructions.py`). The reward model, a BERT of 1 million, agrees with 65 % of held-out pairs. "
        "A rule judges too, on which nobody trained: VADER's feeling in the direction that was asked for, and whether "
        "the subject is named.",
        8,
        ("sparse", "attention", "lime", "shap", "shap-untuned", "learned"),
    ),
    ResultTask(
        "smollm2_sentiment",
        "Sentiment control, SmolLM2-135M-Instruct",
        "SmolLM2-135M-Instruct, of which the top four layers are trained, continues the beginnings of film reviews by "
        "16 tokens; a fine-tuned MiniLM scores them (log-odds of positive). The embedded classifier and VADER judge "
        "too.",
        5,
        ("sparse", "shap", "shap-untuned", "learned"),
    ),
    ResultTask(
        "summaries",
        "Summaries of news articles, SmolLM2-135M-Instruct",
        "SmolLM2-135M-Instruct, of which the top four layers are trained, summarises the first sentences of news "
        "articles in 24 tokens. The reward is how near the summary is to the article by all-MiniLM-L6-v2, less a price "
        "for copying (`experiments/summaries.py`); a function, whose attention nobody can see. A judge on which nobody "
        "trained has the headline, and counts the words that the summary shares with it.",
        10,
        ("sparse", "uniform", "shap", "shap-untuned", "learned"),
    ),
)
"""By how long they take, shortest first."""


def task_named(name: str) -> ResultTask:
    """The task of that name.

    Raises:
        KeyError: If there is none.
    """
    return {task.name: task for task in TASKS}[name]
