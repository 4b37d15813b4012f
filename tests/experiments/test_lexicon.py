import pytest

from experiments import lexicon


def test_praise_is_above_blame():
    pytest.importorskip("vaderSentiment", reason="the lexicon is in the extra `models`")
    good, bad, neither = lexicon.score(["a wonderful, moving film", "a dull and terrible mess", "a film"])
    assert -1 <= bad < -0.4 < neither < 0.4 < good <= 1
