"""From texts to the ids a reward model reads, and from each id back to the characters of the response it stands for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from inner_loop.errors import AttributionError

_PLACEHOLDER = "\ue000"
"""Stands for the response while the text around it is rendered; a private character that no template writes."""


@dataclass(frozen=True)
class EncodedResponse:
    """One response after its prompt, as the reward model reads it: `L` tokens."""

    ids: np.ndarray
    """`L` token ids: leading special tokens, prompt, response, closing special tokens."""
    spans: np.ndarray
    """`L x 2` characters of the response that each of its tokens covers, white space around them left out; (0, 0) for
    every other token."""
    is_response: np.ndarray
    """`L` booleans. False, and so never a player: prompt, special and template tokens, tokens across the boundary."""

    @property
    def response_spans(self) -> list[tuple[int, int]]:
        """Character ranges of the response's own tokens, in order."""
        return [(start, end) for start, end in self.spans[self.is_response].tolist()]


class ResponseEncoder:
    """Tokenises a response together with its prompt, so that the ids are those of the joined text.

    Args:
        tokenizer: A transformers tokenizer; `encode` needs a fast one, `encode_texts` any.
        max_tokens: Longer sequences lose their oldest tokens after the leading special ones, so that the end of the
            response stays; None for no limit.
    """

    def __init__(self, tokenizer: Any, max_tokens: int | None) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._special_ids = frozenset(tokenizer.all_special_ids)
        special = {
            *tokenizer.all_special_tokens,
            *(t.content for t in tokenizer.added_tokens_decoder.values() if t.special),
        }
        self._special_text = re.compile("|".join(map(re.escape, special)) or "(?!)", re.IGNORECASE)
        self._opening, self._closing = _frame(tokenizer)

    def encode_texts(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of whole texts; special tokens written in them are special tokens."""
        ids = [np.array(row, dtype=np.int32) for row in self._tokenize(texts, literal=False)["input_ids"]]
        framed = [np.concatenate([self._opening, row, self._closing]) for row in ids]
        return [row[self._kept(row)] for row in framed]

    def encode(
        self, prompts: Sequence[str], responses: Sequence[str], *, chat_template: bool = False
    ) -> list[EncodedResponse]:
        """The tokens of each response behind its prompt.

        Special tokens written in a prompt are special tokens (it may be a rendered template); in a response they are
        ordinary text. A token across the boundary is the prompt's, unless all it has of the prompt is white space.

        Args:
            prompts: `b` prompts.
            responses: `b` responses.
            chat_template: Render prompt and response with the tokenizer's template, as user and assistant.

        Raises:
            AttributionError: Without a fast tokenizer, or if the template changes the response.
        """
        if not self._tokenizer.is_fast:
            raise AttributionError(
                f"{type(self._tokenizer).__name__} has no offsets: credit per token needs a fast tokenizer."
            )
        contexts = [
            self._rendered(prompt, response) if chat_template else (prompt, response, "")
            for prompt, response in zip(prompts, responses, strict=True)
        ]
        pieces = [self._pieces(*context) for context in contexts]
        tokens = {
            literal: iter(
                self._tokens([text for row in pieces for text, is_literal in row if is_literal == literal], literal)
            )
            for literal in (False, True)
        }
        opening, closing = (self._opening[:0],) * 2 if chat_template else (self._opening, self._closing)
        encoded = []
        for context, row, response in zip(contexts, pieces, responses, strict=True):
            ids, offsets, start = [opening], [np.zeros((len(opening), 2), dtype=np.int64)], 0
            for text, literal in row:
                piece_ids, piece_offsets = next(tokens[literal])
                ids.append(piece_ids)
                offsets.append(piece_offsets + start)
                start += len(text)
            ids.append(closing)
            offsets.append(np.zeros((len(closing), 2), dtype=np.int64))
            spans, is_response = _response_spans(np.concatenate(offsets), *context)
            # A template may strip the response; its characters are counted from where the response began.
            spans[is_response] += response.find(context[1])
            kept = self._kept(all_ids := np.concatenate(ids))
            encoded.append(EncodedResponse(all_ids[kept], spans[kept], is_response[kept]))
        return encoded

    def _rendered(self, prompt: str, response: str) -> tuple[str, str, str]:
        """The template's text before the response, the response in it, and the text after it."""

        def render(content: str) -> str:
            messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": content}]
            return self._tokenizer.apply_chat_template(messages, tokenize=False)

        before, _, after = render(_PLACEHOLDER).rpartition(_PLACEHOLDER)
        text = render(response)
        for rendered in (response, response.strip()):
            if text == before + rendered + after:
                return before, rendered, after
        raise AttributionError(f"The chat template does not write the response as it is: {response!r}.")

    def _pieces(self, before: str, response: str, after: str) -> list[tuple[str, bool]]:
        """The joined text in pieces that are tokenised alone, True for those in which special tokens are just text.

        One piece, hence one joint tokenisation, unless the response holds the text of a special token; even then cuts
        are made at special tokens only, where every tokenizer cuts.
        """
        joined = before + response + after
        end = len(before) + len(response)
        if not any(m.end() > len(before) and m.start() < end for m in self._special_text.finditer(joined)):
            return [(joined, False)]
        heads = [match.end() for match in self._special_text.finditer(before)]
        tail = self._special_text.search(after)
        cuts = [0, heads[-1] if heads else 0, end + (tail.start() if tail else len(after)), len(joined)]
        pieces = [(joined[cuts[i] : cuts[i + 1]], i == 1) for i in range(3)]
        return [piece for piece in pieces if piece[0]]

    def _tokens(self, texts: list[str], literal: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        """Ids and `L x 2` character offsets of each text, without the frame."""
        if not texts:
            return []
        encoded = self._tokenize(texts, literal, return_offsets_mapping=True)
        return [
            (np.array(ids, dtype=np.int32), np.array(offsets, dtype=np.int64).reshape(-1, 2))
            for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
        ]

    def _tokenize(self, texts: Sequence[str], literal: bool, **options: bool) -> Any:
        return self._tokenizer(
            list(texts),
            add_special_tokens=False,
            split_special_tokens=literal,
            return_attention_mask=False,
            verbose=False,
            **options,
        )

    def _kept(self, ids: np.ndarray) -> np.ndarray:
        """Positions that stay when the oldest content tokens are dropped."""
        excess = 0 if self._max_tokens is None else max(0, len(ids) - self._max_tokens)
        n_opening = sum(1 for _ in takewhile(self._special_ids.__contains__, ids.tolist())) if excess else 0
        positions = np.arange(len(ids))
        return positions[(positions < n_opening) | (positions >= n_opening + excess)]


def _frame(tokenizer: Any) -> tuple[np.ndarray, np.ndarray]:
    """The special tokens that `tokenizer` puts before and after every text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    framed = tokenizer("a")["input_ids"]
    start = next(i for i in range(len(framed)) if framed[i : i + len(bare)] == bare)
    return np.array(framed[:start], dtype=np.int32), np.array(framed[start + len(bare) :], dtype=np.int32)


def _response_spans(offsets: np.ndarray, before: str, response: str, after: str) -> tuple[np.ndarray, np.ndarray]:
    """`L x 2` characters of the response per token, and which tokens are its own, from offsets in the joined text."""
    text = before + response + after
    visible = np.flatnonzero([not character.isspace() for character in text])
    first, last = np.searchsorted(visible, offsets[:, 0]), np.searchsorted(visible, offsets[:, 1]) - 1
    # Byte-level tokens take in the space before a word. What a token of nothing but white space covers is that space.
    is_visible = first <= last
    spans = offsets.copy()
    spans[is_visible] = np.stack([visible[first[is_visible]], visible[last[is_visible]] + 1], axis=1)
    spans -= len(before)
    is_response = (offsets[:, 1] > offsets[:, 0]) & (spans[:, 0] >= 0) & (spans[:, 1] <= len(response))
    spans[~is_response] = 0
    return spans, is_response
