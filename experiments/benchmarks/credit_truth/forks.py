"""Bifurcation tasks: a short text in which one word decides the outcome, known by construction.

In the sense of the survey arXiv:2604.09459, which asks for controlled tasks with a known decisive token; the tasks are
ours. Each is a policy over six words, the reward of a text, and the place of the decisive word: V(y_<=t) is zero before
it and the final reward from it on, so that the true advantage is the reward there, and zero everywhere else. Everything
is enumerated; nothing is sampled.

* `named`: the reward reads the deciding word itself.
* `consequence`: the deciding word is not read; all words after it follow from it, and each earns a part.
* `redundant`: the same, and one of the words that follow is as good as all.
* `negation`: the word that carries the sentiment is always the same, and the one before it decides its sign.
* `agreement`: the reward is whether the first side and a later one are the same; the later one decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from experiments.benchmarks.credit_truth.estimators import Critic, Moments, gae, quality
from inner_loop.components import TokenFacts
from inner_loop.shaping import ShapedResponse, ShapingFunction
from inner_loop.spec import AttributionConfig

N_WORDS = 6
PLACES = {"early": 1, "middle": 2, "late": 4}
"""Of the decisive word, counted from 0: one more may have to follow it, and one stand before it."""
COMPONENTS = ("shap", "lime", "owen", "prefix", "leave_one_out", "solo", "entropy", "uniform", "sparse")
"""Those that need no more of a reward model than that it scores texts: no gradient and no attention."""
FILLERS = ("the", "a")
PROMPT = "Review:"

Words = tuple[str, ...]


@dataclass(frozen=True)
class Fork:
    """One task, enumerated: n responses of T words."""

    kind: str
    place: str
    choices: Callable[[Words], Words]
    """The words that may follow a beginning, all equally likely."""
    reward: Callable[[list[str]], float]
    """Of the words of a text, some of which may be missing."""

    @property
    def decisive(self) -> int:
        """Place of the deciding word."""
        return PLACES[self.place]

    @cached_property
    def responses(self) -> list[Words]:
        """All that can be said."""
        found: list[Words] = [()]
        for _ in range(N_WORDS):
            found = [(*words, word) for words in found for word in self.choices(words)]
        return found

    @cached_property
    def n_choices(self) -> np.ndarray:
        """`n x T` words among which each was chosen."""
        return np.array([[len(self.choices(words[:t])) for t in range(N_WORDS)] for words in self.responses])

    @cached_property
    def probabilities(self) -> np.ndarray:
        """`n`."""
        return np.asarray(1 / self.n_choices.prod(axis=1))

    @cached_property
    def rewards(self) -> np.ndarray:
        """`n`."""
        return np.array([self.reward(list(words)) for words in self.responses])

    def score(self, texts: list[str]) -> list[float]:
        """The task's reward model."""
        return [float(self.reward(text.removeprefix(PROMPT).split())) for text in texts]

    @cached_property
    def prefixes(self) -> np.ndarray:
        """`(T + 1) x n` number of the beginning of t words that each response has."""
        table = np.empty((N_WORDS + 1, len(self.responses)), dtype=int)
        for t in range(N_WORDS + 1):
            numbers: dict[Words, int] = {}
            table[t] = [numbers.setdefault(words[:t], len(numbers)) for words in self.responses]
        return table

    def expected(self, values: np.ndarray, n_known: int) -> np.ndarray:
        """`n` E[values | the first `n_known` words], given for every response."""
        groups = self.prefixes[n_known]
        sums = np.bincount(groups, self.probabilities * values)
        return np.asarray((sums / np.bincount(groups, self.probabilities))[groups])

    @cached_property
    def advantages(self) -> np.ndarray:
        """`n x T` true ones."""
        return np.diff([self.expected(self.rewards, t) for t in range(N_WORDS + 1)], axis=0).T

    def shaped(self) -> list[ShapedResponse]:
        """All responses with the credit of every component, as the product gives it."""
        shaping = ShapingFunction(
            {"sparse": 1.0}, AttributionConfig(units="words", budget=2**N_WORDS), reward_model=self.score
        )
        texts = ["".join(f" {word}" for word in words) for words in self.responses]
        ends = [np.cumsum([len(word) + 1 for word in words]).tolist() for words in self.responses]
        facts = [TokenFacts(-np.log(n), -np.log(n), np.log(n)) for n in self.n_choices]
        return shaping([PROMPT] * len(texts), texts, token_ends=ends, components=list(COMPONENTS), token_facts=facts)

    def credit(self) -> dict[str, np.ndarray]:
        """Per component, `n x T`."""
        shaped = self.shaped()
        return {name: np.array([item.components[name] for item in shaped]) for name in COMPONENTS}

    def estimate(self, credit: np.ndarray, critic: Critic, gae_lambda: float) -> np.ndarray:
        """`n x T` PPO's advantages, with the exact critic of this credit or none."""
        to_go = credit[:, ::-1].cumsum(axis=1)[:, ::-1]
        exact = np.stack([self.expected(to_go[:, t], t) for t in range(N_WORDS)], axis=1)
        return gae(credit, exact if critic == "own" else np.zeros_like(credit), gae_lambda)

    def moments(self, credit: np.ndarray, critic: Critic, gae_lambda: float) -> list[Moments]:
        """Exact moments of one response, as those of n responses that count as much as they are likely."""
        found, truth = self.estimate(credit, critic, gae_lambda), self.advantages
        bias = np.stack(
            [self.expected(found[:, t], t + 1) - self.expected(found[:, t], t) for t in range(N_WORDS)], axis=1
        )
        bias -= truth
        columns = (truth**2, bias**2, bias * truth, found, found**2, found * truth)
        sums = [float(self.probabilities @ column.sum(axis=1)) for column in columns]
        return [Moments(N_WORDS, *sums)]

    def on_the_decisive(self, credit: np.ndarray) -> float:
        """Expected share of the credit's size that lands on the deciding word."""
        sizes = np.abs(credit)
        total = sizes.sum(axis=1)
        shares = np.divide(sizes[:, self.decisive], total, out=np.zeros_like(total), where=total > 0)
        return float(self.probabilities @ shares)

    def describe(self, critics: tuple[Critic, ...], lambdas: tuple[float, ...]) -> list[dict[str, object]]:
        """A row per component, critic and lambda."""
        rows: list[dict[str, object]] = []
        for name, credit in self.credit().items():
            share = self.on_the_decisive(credit)
            for critic in critics:
                for value in lambdas:
                    found = quality(self.moments(credit, critic, value))
                    numbers = {field: float(getattr(found, field)) for field in found.__dataclass_fields__}
                    key = {"kind": self.kind, "place": self.place, "component": name}
                    rows.append({**key, "critic": critic, "lambda": value, "on_the_decisive": share, **numbers})
        return rows


def all_forks() -> list[Fork]:
    """Every kind at every place."""
    return [make(place) for place in PLACES for make in (_named, _consequence, _redundant, _negation, _agreement)]


def _named(place: str) -> Fork:
    def choices(words: Words) -> Words:
        return ("great", "awful") if len(words) == PLACES[place] else FILLERS

    return Fork("named", place, choices, lambda words: float(("great" in words) - ("awful" in words)))


def _followed(place: str) -> Callable[[Words], Words]:
    """After the deciding word, all words say the same."""

    def choices(words: Words) -> Words:
        decisive = PLACES[place]
        if len(words) == decisive:
            return ("and", "but")
        if len(words) > decisive:
            return ("good",) if words[decisive] == "and" else ("bad",)
        return FILLERS

    return choices


def _consequence(place: str) -> Fork:
    n_after = N_WORDS - 1 - PLACES[place]
    return Fork(
        "consequence", place, _followed(place), lambda words: (words.count("good") - words.count("bad")) / n_after
    )


def _redundant(place: str) -> Fork:
    return Fork("redundant", place, _followed(place), lambda words: float(("good" in words) - ("bad" in words)))


def _negation(place: str) -> Fork:
    def choices(words: Words) -> Words:
        decisive = PLACES[place]
        if len(words) == decisive:
            return ("not", "so")
        return ("good",) if len(words) == decisive + 1 else FILLERS

    def reward(words: list[str]) -> float:
        before = ["", *words]
        return float(sum(-1 if before[t] == "not" else 1 for t, word in enumerate(words) if word == "good"))

    return Fork("negation", place, choices, reward)


def _agreement(place: str) -> Fork:
    sides = ("left", "right")

    def choices(words: Words) -> Words:
        return sides if len(words) in (0, PLACES[place]) else FILLERS

    def reward(words: list[str]) -> float:
        said = [word for word in words if word in sides]
        return 0.0 if len(said) < 2 else 1.0 if said[0] == said[1] else -1.0

    return Fork("agreement", place, choices, reward)
