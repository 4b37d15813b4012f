"""Cleaning and splitting of reviews."""

import pytest

from experiments.embedded.sentences import clean_sentence, is_sentence, split_sentences


@pytest.mark.parametrize(
    ("published", "clean"),
    [
        ("a smart , funny film .", "a smart, funny film."),
        ("it grows . . . and grows .", "it grows... and grows."),
        ('he says " nothing new " , twice .', 'he says "nothing new", twice.'),
        ("drop this in 2 , 500 theatres ( at least ) !", "drop this in 2,500 theatres (at least)!"),
        ("Never   AGAIN!!!", "never again!"),
        ("the film -- and it is long -- works", "the film -- and it is long -- works"),
    ],
)
def test_both_sources_end_up_in_one_style(published, clean):
    assert clean_sentence(published) == clean


def test_an_unpaired_quotation_mark_is_removed():
    assert clean_sentence('he said "no and left') == "he said no and left"


def test_line_breaks_end_sentences_and_markup_disappears():
    review = "I went with Mr. Smith to see it<br /><br />It was <i>very</i> good. We laughed a lot!"
    assert split_sentences(review) == [
        "i went with mr. smith to see it",
        "it was very good.",
        "we laughed a lot!",
    ]


def test_fragments_addresses_and_numbers_are_not_sentences():
    assert is_sentence("we laughed a lot.")
    assert not is_sentence("so good.")
    assert not is_sentence("see http www example com for it")
    assert not is_sentence("10/10 8/10 9.5/10 7/10")
    assert not is_sentence("very " * 41)
