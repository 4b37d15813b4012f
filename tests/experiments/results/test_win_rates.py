import pytest

from experiments.results.win_rates import as_pairs, in_words, judge_pairs

PROMPTS = ["a", "b", "c", "d"]
OURS = ["long answer", "long answer", "x", "long answer"]
THEIRS = ["x", "x", "long answer", "x"]


class PrefersLonger:
    """Reads pairs fairly."""

    def score(self, texts):
        return [float(len(first) - len(second)) for first, second in map(parts, texts)]


class PrefersFirst:
    """Does not read at all."""

    def score(self, texts):
        return [1.0 for _ in texts]


def parts(text):
    first, _, second = text.partition("\n\nAnswer B: ")
    return first.partition("Answer A: ")[2], second


def test_a_judge_that_reads_gives_the_true_share():
    found = judge_pairs(PrefersLonger(), PROMPTS, OURS, THEIRS)
    assert found.rate.value == pytest.approx(0.75)
    assert 0 <= found.rate.low < 0.75 < found.rate.high <= 1
    assert (found.agrees, found.first) == (1.0, 0.5)
    turned = judge_pairs(PrefersLonger(), PROMPTS, THEIRS, OURS)
    assert turned.rate.value == pytest.approx(0.25)


def test_a_judge_that_prefers_what_comes_first_decides_nothing():
    found = judge_pairs(PrefersFirst(), PROMPTS, OURS, THEIRS)
    assert found.rate.value == 0.5
    assert (found.agrees, found.first) == (0.0, 1.0)
    assert in_words(found, "judge", 4).endswith("ask a better judge.")


def test_answers_are_told_apart():
    assert as_pairs([" one"], ["two "]) == ["Answer A: one\n\nAnswer B: two"]
