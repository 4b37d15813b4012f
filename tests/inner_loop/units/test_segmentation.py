import itertools
import time

import pytest

from inner_loop.units.segmentation import character_starts, split_pieces, split_words


def cut(split, text):
    return [text[start:end] for start, end in split(text)]


def test_words_keep_the_white_space_before_them():
    assert cut(split_words, " very good film. ") == [" very", " good", " film. "]


@pytest.mark.parametrize("split", [split_words, split_pieces])
def test_white_space_alone_is_one_range_and_no_text_none(split):
    assert split(" \n ") == [(0, 3)]
    assert split("") == []


def test_words_of_scripts_without_spaces_are_characters_with_their_punctuation():
    assert cut(split_words, "《电影》很好。OK 映画") == ["《电", "影》", "很", "好。", "OK", " 映", "画"]


def test_pieces_part_punctuation_from_words_but_not_inside_words_and_numbers():
    assert cut(split_pieces, "Don't: 3.5 or 1,000/2!") == ["Don't", ":", " 3.5", " or", " 1,000/2", "!"]
    assert cut(split_pieces, "dogs' 'n") == ["dogs", "'", " '", "n"]


@pytest.mark.parametrize("split", [split_words, split_pieces])
def test_a_long_end_of_white_space_takes_no_quadratic_time(split):
    start = time.perf_counter()
    assert split("a" + " " * 100_000) == [(0, 100_001)]
    assert time.perf_counter() - start < 2.0  # 1 ms; going through the rest at every space takes 10 s


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("ne\u0301e", ["n", "e\u0301", "e"]),
        ("👍🏽!", ["👍🏽", "!"]),
        ("👨‍👩‍👧👍", ["👨‍👩‍👧", "👍"]),
        ("🇫🇷🇩🇪", ["🇫🇷", "🇩🇪"]),
        ("हिन्दी", ["हि", "न्", "दी"]),
        ("❤️x", ["❤️", "x"]),
        ("a\u200bb", ["a\u200b", "b"]),
    ],
)
def test_user_perceived_characters_are_whole(text, characters):
    starts = [*sorted(character_starts(text)), len(text)]
    assert [text[start:end] for start, end in itertools.pairwise(starts)] == characters
    assert {start for start, _ in split_pieces(text)} <= set(starts)


def test_combining_marks_do_not_break_words():
    assert cut(split_pieces, "nai\u0308ve हिन्दी") == ["nai\u0308ve", " हिन्दी"]
