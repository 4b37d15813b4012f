"""A reward for summaries: near to the article in meaning, short, and in words of its own.

    reward = 5 cos(article, summary) - 0.05 (words over 30) - 2 (share of its 4-grams that stand in the article)

The cosine is of mean-pooled embeddings by all-MiniLM-L6-v2 (`python -m experiments.fetch_models --only
all-MiniLM-L6-v2`). It knows what a text is about, not whether what it says is true: it is a stand-in for people's
preferences, and easy to satisfy with a list of the article's topics. Name it in a configuration as
`task: {reward_model: experiments.summaries:score}`.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from experiments.articles import article_and_summary

ENCODER = Path(__file__).resolve().parents[1] / "models" / "all-MiniLM-L6-v2"
NEARNESS, PER_WORD, COPYING = 5.0, 0.05, 2.0
"""What a cosine of one is worth, and what a word too many and copying everything cost."""

MOST_WORDS = 30
"""A summary may have as many."""

N_GRAM = 4
BATCH_SIZE = 64


def score(texts: Sequence[str]) -> list[float]:
    """The reward of each text: an article, `TL;DR:` and its summary."""
    parts = [article_and_summary(text) for text in texts]
    about = torch.stack([_article_embedding(article) for article, _ in parts])
    nearness = (about * embed([summary for _, summary in parts])).sum(dim=-1).tolist()
    return [
        NEARNESS * near - PER_WORD * max(len(summary.split()) - MOST_WORDS, 0) - COPYING * copied(article, summary)
        for (article, summary), near in zip(parts, nearness, strict=True)
    ]


def copied(article: str, summary: str) -> float:
    """Share of the runs of four words of the summary that stand in the article; 0 if it has none.

    >>> copied("The cat sat on the mat.", "the cat sat on a chair")
    0.3333333333333333
    """
    runs = _runs(summary)
    return sum(run in _runs_of_article(article) for run in runs) / len(runs) if runs else 0.0


def embed(texts: Sequence[str]) -> Tensor:
    """`b x d` embeddings of length one; zero for a text without any words."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    rows = [
        row for start in range(0, len(order), BATCH_SIZE) for row in _embed(texts, order[start : start + BATCH_SIZE])
    ]
    embedded = torch.stack(rows)
    return embedded[torch.tensor(order).argsort()]


@torch.no_grad()
def _embed(texts: Sequence[str], indices: Sequence[int]) -> Tensor:
    tokenizer, encoder = _loaded()
    batch = tokenizer(
        [texts[index] for index in indices], padding=True, truncation=True, max_length=256, return_tensors="pt"
    )
    hidden = encoder(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    has_words = torch.tensor([[bool(texts[index].strip())] for index in indices])
    return normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1), dim=-1) * has_words


@lru_cache(maxsize=1)
def _loaded() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    return AutoTokenizer.from_pretrained(ENCODER), AutoModel.from_pretrained(ENCODER).eval()


@lru_cache(maxsize=4096)
def _article_embedding(article: str) -> Tensor:
    return embed([article])[0]


@lru_cache(maxsize=4096)
def _runs_of_article(article: str) -> frozenset[tuple[str, ...]]:
    return frozenset(_runs(article))


def _runs(text: str) -> list[tuple[str, ...]]:
    words = [word.strip(".,;:!?\"'()").lower() for word in text.split()]
    return [tuple(words[start : start + N_GRAM]) for start in range(len(words) - N_GRAM + 1)]
