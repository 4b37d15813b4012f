"""The texts that are explained: held-out Rotten Tomatoes sentences, which no reward model here was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.embedded.splits import Corpus
from inner_loop.units.response_units import split_words

SIZES = (10, 10, 11, 11, 10, 10, 12, 12)
"""Units per snippet, over and over: all 2^n coalitions of so few can be scored."""

N_SNIPPETS = 24
PROMPT_WORDS = 5


@dataclass(frozen=True)
class Snippet:
    """A response to explain, with the prompt it follows."""

    prompt: str
    """Never masked; empty for two snippets in three."""
    response: str

    @property
    def units(self) -> list[tuple[int, int]]:
        """Character ranges of the response's words, the players."""
        return split_words(self.response)


def exact_snippets(corpus: Corpus, count: int = N_SNIPPETS) -> list[Snippet]:
    """The first `count` snippets: whole sentences, or for every third pair the end of a longer one after its prompt."""
    sentences = shuffled([example.text for example in corpus.rt_test])
    snippets: list[Snippet] = []
    for index in range(count):
        n_prompt = PROMPT_WORDS if index // 2 % 3 == 2 else 0
        words_wanted = SIZES[index % len(SIZES)] + n_prompt
        place, words = next(
            (place, words)
            for place, words in ((place, split_words(text)) for place, text in enumerate(sentences))
            if len(words) == words_wanted
        )
        text = sentences.pop(place)
        cut = words[n_prompt][0]
        snippets.append(Snippet(text[:cut], text[cut:]))
    return snippets


def texts_of_length(corpus: Corpus, tokenizer: Any, n_tokens: int, count: int) -> list[str]:
    """`count` sentences of exactly `n_tokens` tokens of a tokenizer, special ones not counted."""
    sentences = shuffled([example.text for example in corpus.rt_test])
    lengths = [len(ids) for ids in tokenizer(sentences, add_special_tokens=False)["input_ids"]]
    fitting = [text for text, length in zip(sentences, lengths, strict=True) if length == n_tokens]
    if len(fitting) < count:
        raise ValueError(f"{count} sentences of {n_tokens} tokens are needed, the reviews have {len(fitting)}.")
    return fitting[:count]


def shuffled(texts: Sequence[str]) -> list[str]:
    """In an order that is random and always the same."""
    return [texts[index] for index in np.random.default_rng(0).permutation(len(texts))]
