import json

import pytest
import torch

from experiments import headlines, summaries
from experiments.articles import ASKS, as_prompt
from tests.inner_loop.tiny_classifiers import word_tokenizer

ARTICLE = "The cat sat on the mat. It was warm there and the cat liked it a great deal."


@pytest.fixture
def knows_cats(monkeypatch):
    """Embeddings of two directions: cats, and everything else."""

    def embed(texts):
        return torch.tensor([[0.0, 0.0] if not t.strip() else [1.0, 0.0] if "cat" in t else [0.0, 1.0] for t in texts])

    monkeypatch.setattr(summaries, "embed", embed)
    summaries._article_embedding.cache_clear()
    yield
    summaries._article_embedding.cache_clear()


def test_a_prompt_ends_with_a_whole_sentence_and_asks_for_a_summary():
    article = "A title\n\n" + "One two three four five six seven eight nine ten. " * 12
    prompt = as_prompt(article)
    assert prompt.endswith(" ten." + ASKS)
    assert "title" not in prompt
    assert len(prompt.removesuffix(ASKS).split()) == 60
    assert as_prompt("A title\n\nToo short to be told shorter.") is None
    assert as_prompt("A title\n\n" + "word " * 200) is None


@pytest.mark.usefixtures("knows_cats")
def test_the_reward_is_nearness_less_length_and_copying():
    near, far, copied, long, empty, again = summaries.score(
        [
            f"{ARTICLE}{ASKS} A cat likes warmth.",
            f"{ARTICLE}{ASKS} Shares fell again.",
            f"{ARTICLE}{ASKS} The cat sat on the mat.",
            f"{ARTICLE}{ASKS} A cat" + " x" * 38,
            f"{ARTICLE}{ASKS}",
            f"{ARTICLE}{ASKS} A cat likes warmth.{ASKS}",
        ]
    )
    assert near == pytest.approx(5.0)
    assert far == pytest.approx(0.0)
    assert copied == pytest.approx(5.0 - 2.0)
    assert long == pytest.approx(5.0 - 0.05 * 10)
    assert empty == 0.0
    assert again == pytest.approx(5.0)


def test_a_summary_without_words_is_near_to_nothing(monkeypatch):
    from transformers import BertConfig, BertModel

    tokenizer = word_tokenizer()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    encoder = BertModel(BertConfig(vocab_size=len(tokenizer), **sizes)).eval()
    monkeypatch.setattr(summaries, "_loaded", lambda: (tokenizer, encoder))
    rows = summaries.embed(["the cat sat", " ", "a mat"])
    assert rows.norm(dim=-1).tolist() == pytest.approx([1.0, 0.0, 1.0])
    alone = summaries.embed(["a mat"])
    assert torch.allclose(rows[2], alone[0], atol=1e-5)  # whatever it stands beside


@pytest.fixture
def one_headline(tmp_path, monkeypatch):
    file = tmp_path / "articles.jsonl"
    file.write_text(
        json.dumps({"prompt": ARTICLE + ASKS, "headline": "The cat's keeper didn't find a warm mat"}) + "\n"
    )
    monkeypatch.setattr(headlines, "FILE", file)
    headlines._headlines.cache_clear()
    yield
    headlines._headlines.cache_clear()


@pytest.mark.usefixtures("one_headline")
def test_a_headline_judges_by_the_words_that_a_summary_shares_with_it():
    summaries_of_it = ("Cat, on a warm mat!", "cat cat cat cat", "The of it's.", "", f"a mat{ASKS} warm")
    # The headline's words are cat, keeper, didnt, warm and mat; those of the last summary mat, tl, dr and warm.
    shared = [6 / 8, 2 / 9, 0.0, 0.0, 4 / 9]
    assert headlines.score([f"{ARTICLE}{ASKS} {summary}" for summary in summaries_of_it]) == pytest.approx(shared)


@pytest.mark.usefixtures("one_headline")
def test_an_article_without_a_headline_is_named():
    with pytest.raises(ValueError, match=r"no headline of the article 'Shares fell.'; make it again: python -m"):
        headlines.score([f"Shares fell.{ASKS} They fell."])
