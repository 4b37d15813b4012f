import pytest

from experiments.benchmarks.attribution.snippets import SIZES, exact_snippets
from experiments.embedded.splits import Corpus, Example


@pytest.fixture
def corpus():
    texts = [
        " ".join(f"w{length}.{copy}.{place}" for place in range(length))
        for length in range(8, 19)
        for copy in "abcdefgh"
    ]
    held_out = tuple(Example(text, 0) for text in texts)
    return Corpus(*(held_out if name == "rt_test" else () for name in Corpus.__dataclass_fields__))


def test_snippets_are_different_held_out_sentences_of_the_wanted_sizes(corpus):
    snippets = exact_snippets(corpus, 16)
    held_out = {example.text for example in corpus.rt_test}
    assert {snippet.prompt + snippet.response for snippet in snippets} <= held_out
    assert len({snippet.response for snippet in snippets}) == 16
    assert [len(snippet.units) for snippet in snippets] == list(2 * SIZES)


def test_a_third_of_the_snippets_follow_a_prompt(corpus):
    prompts = [snippet.prompt for snippet in exact_snippets(corpus, 12)]
    assert [len(prompt.split()) for prompt in prompts] == [0, 0, 0, 0, 5, 5, 0, 0, 0, 0, 5, 5]


def test_they_are_the_same_each_time(corpus):
    assert exact_snippets(corpus, 8) == exact_snippets(corpus, 24)[:8]
