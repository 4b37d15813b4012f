import numpy as np
import pytest

from inner_loop.attribution.masking import masked_sequences, masked_texts, token_units
from inner_loop.errors import AttributionError
from inner_loop.models.encoding import EncodedResponse

IDS = np.array([2, 10, 11, 12, 13, 3], dtype=np.int32)
UNITS = np.array([-1, 0, 0, 1, 2, -1])
COALITIONS = np.array([[False] * 3, [True] * 3, [False, True, False], [True, False, True]])


def encoded(spans, is_response=None):
    is_response = np.ones(len(spans), dtype=bool) if is_response is None else np.array(is_response)
    ends = np.array(spans).reshape(-1, 2)
    return EncodedResponse(np.arange(len(spans), dtype=np.int32), ends, is_response, read=(0, ends.max(initial=0)))


def sequences(masking, ids=IDS, units=UNITS):
    return [row.tolist() for row in masked_sequences(ids, units, COALITIONS, masking, mask_id=4)]


def test_a_token_belongs_to_the_unit_of_its_first_character():
    # "ab cd": units "ab" and " cd"; the second token reaches over the border and is still the first unit's.
    assert token_units(encoded([(0, 1), (1, 4), (4, 5)]), [(0, 2), (2, 5)]).tolist() == [0, 0, 1]


def test_tokens_of_no_unit_and_of_no_response_are_pinned():
    tokens = encoded([(0, 0), (0, 2), (3, 5), (0, 0)], [False, True, True, False])
    assert token_units(tokens, [(0, 2)]).tolist() == [-1, 0, -1, -1]
    assert token_units(tokens, [(3, 5)]).tolist() == [-1, -1, 0, -1]
    assert token_units(tokens, []).tolist() == [-1] * 4


def test_removal_drops_the_tokens_of_absent_units():
    assert sequences("remove") == [[2, 3], [2, 10, 11, 12, 13, 3], [2, 12, 3], [2, 10, 11, 13, 3]]


def test_a_mask_takes_the_place_of_each_token():
    assert sequences("mask") == [[2, 4, 4, 4, 4, 3], [2, 10, 11, 12, 13, 3], [2, 4, 4, 12, 4, 3], [2, 10, 11, 4, 13, 3]]


def test_hidden_tokens_stay_where_they_are():
    assert sequences("attention") == [
        [2, ~10, ~11, ~12, ~13, 3],
        [2, 10, 11, 12, 13, 3],
        [2, ~10, ~11, 12, ~13, 3],
        [2, 10, 11, ~12, 13, 3],
    ]


def test_hidden_tokens_at_the_end_are_dropped():
    assert sequences("attention", IDS[:-1], UNITS[:-1]) == [
        [2],
        [2, 10, 11, 12, 13],
        [2, ~10, ~11, 12],
        [2, 10, 11, ~12, 13],
    ]


@pytest.mark.parametrize("masking", ["remove", "attention"])
def test_nothing_may_be_left_at_all(masking):
    assert sequences(masking, IDS[1:-1], UNITS[1:-1])[0] == []


@pytest.mark.parametrize(
    ("masking", "expected"),
    [
        ("remove", ["p ", "p good, bad film", "p  bad", "p good, film"]),
        ("mask", ["p ## ## ##", "p good, bad film", "p ## bad ##", "p good, ## film"]),
    ],
)
def test_texts_keep_the_prompt_and_the_white_space_before_a_mask(masking, expected):
    offsets = [(0, 5), (5, 9), (9, 14)]
    assert masked_texts("p ", "good, bad film", offsets, COALITIONS, masking, "##") == expected


def test_a_response_without_units_is_read_as_it_is():
    assert masked_texts("p", "\n", [], np.zeros((1, 0), dtype=bool), "remove", "##") == ["p\n"]


def test_a_text_cannot_say_what_not_to_attend_to():
    with pytest.raises(AttributionError, match="needs a transformers reward model"):
        masked_texts("p", "good", [(0, 4)], np.array([[False], [True]]), "attention", "##")
