import numpy as np
import pytest

from inner_loop.units import last_tokens_of_units, split_units, split_words

TEXTS = ["", " ", "word", "  two words ", "naïve 映画 — good!\n\n fin", "a b c d e f g h i j k l m n o p"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("max_units", [1, 3, 12])
def test_units_partition_the_text(text, max_units):
    units = split_units(text, max_units)
    assert "".join(text[start:end] for start, end in units) == text
    assert len(units) <= max_units
    assert all(start < end for start, end in units)


def test_words_keep_the_white_space_before_them():
    assert [" very good film."[start:end] for start, end in split_words(" very good film.")] == [
        " very",
        " good",
        " film.",
    ]


def test_merged_spans_differ_by_one_word_at_most():
    text = " ".join("abcdefghij")
    counts = [len(text[start:end].split()) for start, end in split_units(text, 4)]
    assert sum(counts) == 10
    assert max(counts) - min(counts) == 1


def test_credit_goes_to_the_token_that_completes_the_unit():
    # Tokens end at 3, 6, 6 (a zero-width one), 9; units end at 2 (inside token 0), 6 and 9.
    assert last_tokens_of_units(np.array([2, 6, 9]), np.array([3, 6, 6, 9])).tolist() == [0, 1, 3]


def test_a_unit_past_the_last_token_goes_to_the_last_token():
    assert last_tokens_of_units(np.array([4]), np.array([1, 2])).tolist() == [1]
