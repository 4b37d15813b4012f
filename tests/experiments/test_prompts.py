"""Prompts: beginnings that stop between words."""

import json

import pytest

from experiments.embedded import prompts
from experiments.embedded.tokenizers import train_policy_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_policy_tokenizer(["one two three four five six seven eight nine ten"] * 20, vocab_size=400)


def test_a_beginning_is_six_tokens_and_the_sentence_must_go_on(tokenizer):
    texts = ["one two three four five six seven eight nine", "one two three four five six seven"]
    assert prompts.sentence_beginnings(tokenizer, texts) == ["one two three four five six"]


def test_a_beginning_occurs_once(tokenizer):
    texts = ["one two three four five six seven eight nine", "one two three four five six ten ten ten"]
    assert len(prompts.sentence_beginnings(tokenizer, texts)) == 1


@pytest.mark.parametrize(
    "text", ["one two three four five sixty seven eight nine", 'one "two three four five six seven eight']
)
def test_no_beginning_ends_inside_a_word_or_an_open_quotation(tokenizer, text):
    assert prompts.sentence_beginnings(tokenizer, [text]) == []


def test_too_few_beginnings_are_an_error(tokenizer, tmp_path):
    with pytest.raises(ValueError, match="5120 different prompts are needed, the texts give 1"):
        prompts.write_prompts(tokenizer, ["one two three four five six seven eight nine"], tmp_path)


def test_files_share_no_prompt(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(prompts, "PROMPT_COUNTS", {"train": 20, "heldout": 10})
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    texts = [" ".join([words[i], words[j], "three four five six seven eight nine"]) for i in range(6) for j in range(6)]
    prompts.write_prompts(tokenizer, texts, tmp_path)
    lines = [json.loads(line)["prompt"] for p in tmp_path.iterdir() for line in p.read_text().splitlines()]
    assert len(lines) == len(set(lines)) == 30
