"""The hash-based splits: disjoint, and the same whatever the order of the reviews."""

import random
from itertools import combinations

import pytest

from experiments.embedded.reviews import Review
from experiments.embedded.sentences import clean_sentence
from experiments.embedded.splits import build_corpus, imdb_split, rt_split, sentence_key

WORDS = [
    "good",
    "bad",
    "slow",
    "funny",
    "long",
    "short",
    "loud",
    "quiet",
    "smart",
    "silly",
    "sad",
    "kind",
    "dark",
    "new",
]


@pytest.fixture(scope="module")
def reviews():
    rng = random.Random(0)

    def sentence():
        return "The film is " + " and ".join(rng.choices(WORDS, k=3)) + "."

    rt = [Review(sentence().lower().replace(".", " ."), rng.randint(0, 1), "rotten_tomatoes") for _ in range(1500)]
    imdb = [Review(" ".join(sentence() for _ in range(4)), rng.randint(0, 1), "imdb") for _ in range(800)]
    return rt + imdb


def texts(corpus):
    return {name: [example.text for example in examples] for name, examples in vars(corpus).items()}


def test_no_sentence_is_in_two_splits_or_twice_in_one(reviews):
    # 2,744 possible sentences and 4,700 drawn: the input is full of duplicates across splits and sources.
    keys = {name: [sentence_key(text) for text in split] for name, split in texts(build_corpus(reviews)).items()}
    assert all(keys.values())
    for split in keys.values():
        assert len(split) == len(set(split))
    for first, second in combinations(keys.values(), 2):
        assert not set(first) & set(second)


def test_a_test_sentence_is_kept_in_test_when_an_imdb_review_quotes_it(reviews):
    held_out = next(r for r in reviews if r.source == "rotten_tomatoes" and rt_split(r.text) == "test")
    quoting = Review(held_out.text.capitalize() + " And so I agree with that.", 1, "imdb")
    corpus = texts(build_corpus([quoting, held_out]))
    assert corpus.pop("rt_test") == [clean_sentence(held_out.text)]
    assert [text for split in corpus.values() for text in split] == ["and so i agree with that."]


def test_membership_does_not_depend_on_the_order_of_the_reviews(reviews):
    shuffled = random.Random(1).sample(reviews, len(reviews))
    first, second = texts(build_corpus(reviews)), texts(build_corpus(shuffled))
    assert {k: set(v) for k, v in first.items()} == {k: set(v) for k, v in second.items()}


def test_the_split_of_a_text_is_fixed_for_ever():
    # Literal expectations: a changed hash or threshold would leak test sentences into later trainings.
    sentences = [f"sentence number {i} of the list" for i in range(30)]
    splits = {i: (rt_split(s), imdb_split(s)) for i, s in enumerate(sentences)}
    assert {i: split for i, split in splits.items() if split != ("train", "train")} == {
        0: ("test", "train"),
        1: ("validation", "train"),
        4: ("validation", "train"),
        16: ("test", "prompts"),
        20: ("test", "validation"),
        21: ("test", "prompts"),
        25: ("test", "train"),
    }


def test_spacing_case_and_punctuation_do_not_change_the_split():
    for i in range(200):
        assert rt_split(f"a film , number {i} !") == rt_split(f"A film, number {i}")
