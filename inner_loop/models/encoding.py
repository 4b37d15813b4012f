"""From texts to the ids a reward model reads, and from each id back to the characters of the response it stands for."""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from inner_loop.errors import AttributionError
from inner_loop.models.rendering import Render
from inner_loop.spec.scoring_config import LongResponses

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
    read: tuple[int, int]
    """Characters of the response that are in the tokens: all of it, unless it is too long for the model."""
    n_unread: int = 0
    """Tokens of the response for which there was no room."""

    @property
    def response_spans(self) -> list[tuple[int, int]]:
        """Character ranges of the response's own tokens, in order."""
        return [(start, end) for start, end in self.spans[self.is_response].tolist()]


class ResponseEncoder:
    """Tokenises a response together with its prompt, so that the ids are those of the joined text.

    Args:
        tokenizer: A transformers tokenizer; `encode` needs a fast one, `encode_texts` any.
        max_tokens: Longest sequence; None for no limit.
        render: What stands around prompt and response; None joins them.
        is_closed: Whether special tokens that the tokenizer puts after every text stand after a response, too; not so
            where the model is to go on writing.
        long_responses: What of a sequence that is too long stays, behind the leading special tokens: its end (`tail`,
            and `windows`, of which each is short enough), or the beginning of the response, with as much of the end of
            the prompt as fits, at most half (`head`).
    """

    def __init__(
        self,
        tokenizer: Any,
        max_tokens: int | None,
        *,
        render: Render | None = None,
        is_closed: bool = True,
        long_responses: LongResponses = "tail",
    ) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._render = render
        self._long_responses = long_responses
        self._special_ids = frozenset(tokenizer.all_special_ids)
        special = {
            *tokenizer.all_special_tokens,
            *(t.content for t in tokenizer.added_tokens_decoder.values() if t.special),
        }
        self._special_text = re.compile("|".join(map(re.escape, special)) or "(?!)", re.IGNORECASE)
        self._opening, closing = _frame(tokenizer)
        self._closing = closing if is_closed else closing[:0]

    def without_limit(self) -> "ResponseEncoder":
        """The same for sequences of any length."""
        other = copy.copy(self)
        other._max_tokens = None
        return other

    def encode_texts(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of whole texts; special tokens written in them are special tokens."""
        ids = [np.array(row, dtype=np.int32) for row in self._tokenize(texts, literal=False)["input_ids"]]
        framed = [np.concatenate([self._opening, row, self._closing]) for row in ids]
        return [row[self._kept(row, np.zeros(len(row), dtype=bool))] for row in framed]

    def encode(self, prompts: Sequence[str], responses: Sequence[str]) -> list[EncodedResponse]:
        """The tokens of each response behind its prompt.

        Special tokens written in a prompt are special tokens (it may be a rendered template); in a response they are
        ordinary text. A token across the boundary is the prompt's, unless all it has of the prompt is white space.

        Args:
            prompts: `b` prompts.
            responses: `b` responses.

        Raises:
            AttributionError: Without a fast tokenizer, if a template writes a response otherwise than as one part of
                it, or if one is too long and that is an error.
        """
        if not self._tokenizer.is_fast:
            raise AttributionError(
                f"{type(self._tokenizer).__name__} has no offsets: credit per token needs a fast tokenizer."
            )
        contexts, is_framed = [], []
        for prompt, response in zip(prompts, responses, strict=True):
            rendered = self._rendered(prompt, response)
            contexts.append(rendered or (str(prompt), response, ""))
            # A chat template writes the special tokens itself.
            is_framed.append(rendered is None or not self._tokenizer.chat_template)
        pieces = [self._pieces(*context) for context in contexts]
        tokens = {
            literal: iter(
                self._tokens([text for row in pieces for text, is_literal in row if is_literal == literal], literal)
            )
            for literal in (False, True)
        }
        encoded = []
        for context, row, response, has_frame in zip(contexts, pieces, responses, is_framed, strict=True):
            opening, closing = (self._opening, self._closing) if has_frame else (self._opening[:0],) * 2
            ids, offsets, start = [opening], [np.zeros((len(opening), 2), dtype=np.int64)], 0
            for text, literal in row:
                piece_ids, piece_offsets = next(tokens[literal])
                ids.append(piece_ids)
                offsets.append(piece_offsets + start)
                start += len(text)
            ids.append(closing)
            offsets.append(np.zeros((len(closing), 2), dtype=np.int64))
            spans, is_response = _response_spans(np.concatenate(offsets), *context)
            # Of what a template leaves out, at the beginning most of all: characters count from where all began.
            spans[is_response] += response.rfind(context[1])
            kept = self._kept(all_ids := np.concatenate(ids), is_response)
            read, n_unread = _read(spans, is_response, kept, len(response))
            encoded.append(EncodedResponse(all_ids[kept], spans[kept], is_response[kept], read, n_unread))
        return encoded

    def _rendered(self, prompt: str, response: str) -> tuple[str, str, str] | None:
        """The text before the response, the response in it, and the text after it; None where they are joined."""
        text = None if self._render is None else self._render(prompt, response)
        frame = None if self._render is None else self._render(prompt, _PLACEHOLDER)
        if text is None or frame is None:
            return None
        before, _, after = frame.rpartition(_PLACEHOLDER)
        if text.startswith(before) and text.endswith(after) and len(text) >= len(before) + len(after):
            rendered = text[len(before) : len(text) - len(after)]
            if rendered in response:
                return before, rendered, after
        raise AttributionError(
            "The reward model's chat template changes what stands in a response, so that its credit cannot be told: "
            f"{response[:60]!r}. Choose task.chat_template: false, or mend the template."
        )

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

    def _kept(self, ids: np.ndarray, is_response: np.ndarray) -> np.ndarray:
        """Positions that stay of a sequence, all if it is short enough."""
        positions = np.arange(len(ids))
        if self._max_tokens is None or len(ids) <= self._max_tokens:
            return positions
        if self._long_responses == "error":
            raise AttributionError(
                f"A response and its prompt have {len(ids)} tokens, and the reward model reads {self._max_tokens}: "
                "choose task.long_responses: tail, head or windows, or a smaller task.response_tokens."
            )
        excess = len(ids) - self._max_tokens
        kept = np.ones(len(ids), dtype=bool)
        if self._long_responses == "head":
            newest = np.flatnonzero(is_response)[self._max_tokens // 2 :][-excess:]
            kept[newest] = False
            excess -= len(newest)
        n_opening = sum(1 for _ in takewhile(self._special_ids.__contains__, ids.tolist()))
        kept[n_opening : n_opening + excess] = False
        return positions[kept]


def _read(spans: np.ndarray, is_response: np.ndarray, kept: np.ndarray, length: int) -> tuple[tuple[int, int], int]:
    """The characters of a response that are read if `kept` positions are, and how many of its tokens are not."""
    is_unread = is_response.copy()
    is_unread[kept] = False
    if not is_unread.any():
        return (0, length), 0
    read = spans[kept[is_response[kept]]]
    # White space between what is read and what is not goes with what stands behind it.
    first = max((end for end in spans[is_unread, 1] if end <= read[:, 0].min(initial=length)), default=0)
    is_cut_behind = (spans[is_unread, 0] >= read[:, 1].max(initial=0)).any() and len(read) > 0
    return (int(first), int(read[:, 1].max()) if is_cut_behind else length), int(is_unread.sum())


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
