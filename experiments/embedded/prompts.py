"""Prompts: the first words of review sentences that no model was trained on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

PROMPT_TOKENS = 6
"""Length of every prompt, begin token not counted."""

PROMPT_COUNTS = {"train": 4096, "validation": 512, "heldout": 512}

_WORDS_AND_COMMAS = re.compile(r"[a-z',\- ]+")


def sentence_beginnings(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[str]:
    """The first `PROMPT_TOKENS` tokens of each text as text, where a word ends there and the sentence goes on.

    Beginnings with anything but words, commas, hyphens and apostrophes are left out, an open quotation mark say. Each
    beginning occurs once, in the order of first appearance.
    """
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    beginnings: dict[str, None] = {}
    for text, offsets in zip(texts, encoded["offset_mapping"], strict=True):
        if len(offsets) <= PROMPT_TOKENS + 2:
            continue
        start, _ = offsets[PROMPT_TOKENS]
        if text[start] == " " and _WORDS_AND_COMMAS.fullmatch(text[:start]):
            beginnings[text[:start]] = None
    return list(beginnings)


def write_prompts(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], folder: Path, seed: int = 0) -> None:
    """Draws the prompts of all three files without replacement and writes them as JSON lines."""
    beginnings = sentence_beginnings(tokenizer, texts)
    needed = sum(PROMPT_COUNTS.values())
    if len(beginnings) < needed:
        raise ValueError(f"{needed} different prompts are needed, the texts give {len(beginnings)}.")
    order = iter(np.random.default_rng(seed).permutation(len(beginnings)))
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in PROMPT_COUNTS.items():
        lines = [json.dumps({"prompt": beginnings[next(order)]}, ensure_ascii=False) for _ in range(count)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
