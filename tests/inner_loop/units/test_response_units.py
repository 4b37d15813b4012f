from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerFast

from inner_loop.errors import AttributionError
from inner_loop.models.model_source import model_source
from inner_loop.models.prompts import Prompt
from inner_loop.ppo.rollout import decode_responses
from inner_loop.ppo.tokens import TokenBatch
from inner_loop.units.response_units import last_tokens_of_units, policy_token_ends, split_units
from inner_loop.units.segmentation import character_starts

LIMITS = {"max_units": 4, "token_limit": 8, "span_limit": 16}
KINDS = ["auto", "tokens", "words", "spans", "sentences", "turns"]
TRICKY = (
    "Don't 👍🏽👨‍👩‍👧 ne\u0301e naïve ﬁn ½ 映画は良い。한국어  हिन्दी\n\n<|endoftext|>[SEP][MASK] \u200bfin… İ (ok). 🇫🇷 "
)

texts = st.lists(
    st.sampled_from(TRICKY.split(" ")) | st.text("ab .,!?'()\n") | st.text(st.characters(exclude_categories=["Cs"])),
    max_size=6,
).map("".join)
quickly = settings(max_examples=60, deadline=None, derandomize=True)

CORPUS = ["the film is good .", "a slow but fine film, naïve", "it ends well (I think)!", "映画は良い 👍"] * 10


def trained(model, trainer, **parts):
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def unigram():
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False, max_piece_length=8
    )
    parts = {"pre_tokenizer": pre_tokenizers.Metaspace(), "decoder": decoders.Metaspace()}
    return trained(models.Unigram(), trainer, normalizer=normalizers.NFKC(), **parts)


def byte_fallback():
    special = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, show_progress=False)
    decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    model = models.BPE(unk_token="<unk>", byte_fallback=True)
    return trained(model, trainer, pre_tokenizer=pre_tokenizers.Metaspace(), decoder=decoder)


def smollm2():
    folder = Path(__file__).parents[3] / "models" / "SmolLM2-135M-Instruct"
    if not folder.exists():
        pytest.skip(f"no {folder}")
    return AutoTokenizer.from_pretrained(folder)


TOKENIZERS = {
    "byte-level BPE": lambda: AutoTokenizer.from_pretrained(model_source("embedded", "policy").weights),
    "WordPiece": lambda: AutoTokenizer.from_pretrained(model_source("embedded", "reward_model").weights),
    "SmolLM2": smollm2,
    "Unigram": unigram,
    "byte fallback": byte_fallback,
    "bytes, without offsets": ByT5Tokenizer,
}


@cache
def tokenizer_named(name):
    return TOKENIZERS[name]()


def token_spans(tokenizer, text):
    return tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]


def cut(text, kind, **kwargs):
    return [text[start:end] for start, end in split_units(text, kind, **LIMITS | kwargs)]


def check_partition(text, units):
    assert [start for start, _ in units] == [0, *(end for _, end in units)][: len(units)]
    assert (units[-1][1] if units else 0) == len(text)
    assert {start for start, _ in units} <= character_starts(text)
    visible = [text[start:end].strip() != "" for start, end in units]
    assert all(visible) or (text.isspace() and len(units) == 1)
    assert all(type(bound) is int for unit in units for bound in unit)


@quickly
@given(text=texts, spans=st.none() | st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=30))
@pytest.mark.parametrize("kind", KINDS)
def test_units_partition_any_text_whatever_its_tokens(kind, text, spans):
    if spans is not None:
        spans = sorted((min(start, len(text)), min(start + width, len(text))) for start, width in spans)
    units = split_units(text, kind, **LIMITS, token_spans=spans)
    check_partition(text, units)
    assert kind not in ("spans", "auto") or len(units) <= LIMITS["max_units" if kind == "spans" else "token_limit"]


@quickly
@given(text=texts)
@pytest.mark.parametrize("name", ["byte-level BPE", "WordPiece", "SmolLM2", "Unigram", "byte fallback"])
def test_no_token_of_a_real_tokenizer_lies_across_two_units(name, text):
    spans = token_spans(tokenizer_named(name), text)
    units = split_units(text, "tokens", **LIMITS, token_spans=spans)
    check_partition(text, units)
    for start, end in spans:
        if text[start:end].strip():
            assert sum(first < end and start < last for first, last in units) == 1


@pytest.mark.parametrize(
    ("text", "spans", "units"),
    [
        ("a  fine film ", [(0, 1), (3, 7), (8, 10), (10, 12)], ["a", "  fine", " fi", "lm "]),
        ("👍x", [(0, 1), (0, 1), (0, 1), (1, 2)], ["👍", "x"]),  # bytes of one character
        ("a 👍x", [(0, 1), (1, 3), (2, 3), (3, 4)], ["a", " 👍", "x"]),  # the first with a space
        ("👍🏽x", [(0, 1), (0, 1), (1, 2), (2, 3)], ["👍🏽", "x"]),  # an emoji and its skin tone
        ("ne\u0301e x", [(0, 1), (1, 2), (3, 4), (5, 6)], ["n", "e\u0301", "e", " x"]),  # a normaliser dropped the mark
        ("a\n\nb", [(0, 1), (1, 2), (2, 3), (3, 4)], ["a", "\n\nb"]),  # tokens of white space
        ("ab", [(0, 1), (1, 1), (1, 2), (2, 2)], ["a", "b"]),  # of zero width
        ("abcd", [(0, 2), (1, 3), (3, 4)], ["abc", "d"]),  # that overlap
        ("abcd", [(0, 3), (1, 2), (2, 3), (3, 4)], ["abc", "d"]),
        ("a § b", [(0, 1), (4, 5)], ["a", " § b"]),  # the tokenizer passed over a character
        ("ab", [], ["ab"]),
    ],
)
def test_tokens_become_units(text, spans, units):
    assert cut(text, "tokens", token_spans=spans) == units


def test_offsets_of_another_text_are_refused():
    with pytest.raises(AttributionError, match="ends at character 7 of a response of 4"):
        split_units("good", "tokens", **LIMITS, token_spans=[(0, 7)])


def test_without_a_tokenizer_words_and_punctuation_are_the_tokens():
    assert cut("It's fine, 3.5!", "tokens") == ["It's", " fine", ",", " 3.5", "!"]


def test_words_and_sentences_have_no_cap():
    text = "One. " * 20
    assert len(cut(text, "words")) == len(cut(text, "sentences")) == 20


def test_spans_follow_the_clauses():
    text = "A slow start, but the old man ends it well."
    assert cut(text, "spans", max_units=2) == ["A slow start,", " but the old man ends it well."]


def test_spans_follow_the_parser_where_there_is_one():
    text = "the old man ends it well"
    assert cut(text, "spans", max_units=2, parser=lambda text: [(0, 24), (0, 11), (12, 24)]) == [
        "the old man",
        " ends it well",
    ]


def test_auto_goes_from_tokens_to_spans_to_sentences():
    text = "A b c d. E f g h. I j k l."
    tokens = cut(text, "tokens")
    assert len(tokens) == 15
    limits = {"max_units": 12, "token_limit": 15, "span_limit": 15}
    assert cut(text, "auto", **limits) == tokens
    assert cut(text, "auto", **limits | {"token_limit": 14}) == cut(text, "spans", max_units=12)
    assert cut(text, "auto", **limits | {"token_limit": 14, "span_limit": 14}) == ["A b c d.", " E f g h.", " I j k l."]


def test_auto_merges_sentences_to_the_cap():
    text = " ".join(f"Sentence {n} is here." for n in range(30))
    units = cut(text, "auto")
    assert len(units) == LIMITS["max_units"]
    assert all(unit.endswith(".") for unit in units)
    counts = [unit.count(".") for unit in units]
    assert max(counts) <= 2 * min(counts)


def test_auto_cuts_a_long_text_without_sentences_into_spans():
    text = "and so on " * 20
    assert cut(text, "auto") == cut(text, "spans")
    assert len(cut(text, "auto")) == LIMITS["max_units"]


def test_auto_counts_the_reward_models_tokens():
    text = "abcdefghi jk"
    assert cut(text, "auto") == ["abcdefghi", " jk"]
    assert len(cut(text, "auto", token_spans=[(n, n + 1) for n in range(12) if n != 9])) == LIMITS["max_units"]


def test_credit_goes_to_the_token_that_completes_the_unit():
    # Tokens end at 3, 6, 6 (a zero-width one), 9; units end at 2 (inside token 0), 6 and 9.
    assert last_tokens_of_units(np.array([2, 6, 9]), np.array([3, 6, 6, 9])).tolist() == [0, 1, 3]


def test_a_unit_past_the_last_token_goes_to_the_last_token():
    assert last_tokens_of_units(np.array([4]), np.array([1, 2])).tolist() == [1]


@quickly
@given(responses=st.lists(texts, max_size=4))
@pytest.mark.parametrize("name", TOKENIZERS)
def test_policy_tokens_end_in_order_and_the_last_one_with_the_response(name, responses):
    policy_tokenizer = tokenizer_named(name)
    batch = policy_token_ends(policy_tokenizer, responses)
    assert len(batch) == len(responses)
    for response, ends in zip(responses, batch, strict=True):
        n_tokens = len(policy_tokenizer(response, add_special_tokens=False)["input_ids"])
        assert len(ends) == n_tokens
        assert ends == sorted(ends)
        assert not ends or (ends[0] >= 0 and ends[-1] == len(response))
        assert all(type(end) is int for end in ends)


@quickly
@given(response=texts, kind=st.sampled_from(KINDS))
@pytest.mark.parametrize("name", TOKENIZERS)
def test_credit_of_units_is_conserved_on_the_tokens_of_another_tokenizer(name, response, kind):
    [ends] = policy_token_ends(tokenizer_named(name), [response])
    units = split_units(response, kind, **LIMITS, token_spans=token_spans(tokenizer_named("WordPiece"), response))
    if not units or not ends:
        return
    credit = np.random.default_rng(len(units)).normal(size=len(units))
    unit_ends = np.array([end for _, end in units])
    tokens = last_tokens_of_units(unit_ends, np.array(ends))
    on_tokens = np.bincount(tokens, weights=credit, minlength=len(ends))
    assert len(on_tokens) == len(ends)
    assert on_tokens.sum() == pytest.approx(credit.sum(), abs=1e-12)
    for end, token in zip(unit_ends, tokens, strict=True):
        assert ends[token] >= end
        assert token == 0 or ends[token - 1] < end


@pytest.mark.parametrize(
    ("name", "response", "ends"),
    [
        ("byte-level BPE", "a 👍b", [1, 2, 2, 2, 2, 3, 4]),  # the space is a token here, the emoji four
        ("WordPiece", " a good-ish\n", [2, 7, 8, 12]),
        ("bytes, without offsets", "é x", [0, 1, 2, 3]),
    ],
)
def test_of_the_tokens_of_one_character_only_the_last_ends_behind_it(name, response, ends):
    assert policy_token_ends(tokenizer_named(name), [response]) == [ends]


@pytest.mark.parametrize("name", ["byte-level BPE", "SmolLM2"])
@pytest.mark.parametrize("response", [" it ends well, 👍🏽 naïve ne\u0301e", " 映画は良い。\n\nfin ", " ", " ok"])
def test_tokens_end_where_they_do_in_a_rollout(name, response):
    tokenizer = tokenizer_named(name)
    [prompt_ids, ids] = tokenizer(["the film", response], add_special_tokens=False)["input_ids"]
    batch = TokenBatch(
        torch.tensor([prompt_ids]),
        torch.ones(1, len(prompt_ids), dtype=torch.bool),
        torch.tensor([ids]),
        torch.ones(1, len(ids), dtype=torch.bool),
    )
    responses, ends = decode_responses(tokenizer, [Prompt("the film", prompt_ids)], batch)
    assert responses == [response]
    assert policy_token_ends(tokenizer, responses) == ends


def test_a_tokenizer_without_offsets_must_decode_what_it_read():
    class Lowercasing(ByT5Tokenizer):
        def _tokenize(self, text):
            return super()._tokenize(text.lower())

    assert policy_token_ends(Lowercasing(), ["good"]) == [[1, 2, 3, 4]]
    with pytest.raises(AttributionError, match="no offsets, and decodes 'Good' as 'good'"):
        policy_token_ends(Lowercasing(), ["good", "Good"])


def test_a_character_that_decodes_as_unfinished_is_not_there_yet():
    class Replacing(ByT5Tokenizer):
        def convert_tokens_to_string(self, tokens):
            return bytes(map(ord, tokens)).decode(errors="replace")

    assert policy_token_ends(Replacing(), ["é👍x"]) == [[0, 1, 1, 1, 1, 2, 3]]
