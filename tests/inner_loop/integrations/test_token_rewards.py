import numpy as np
import pytest
import torch

from inner_loop import ShapingFunction
from inner_loop.integrations import sampled_tokens
from inner_loop.integrations.token_rewards import on_written_tokens, shape_tokens
from inner_loop.models.prompts import Prompt
from inner_loop.ppo.rollout import decode_responses
from inner_loop.ppo.tokens import TokenBatch
from tests.inner_loop.tiny_classifiers import byte_tokenizer

LIKES_GOOD = ShapingFunction({"shap": 1.0}, reward_model=lambda texts: [float(text.count("good")) for text in texts])


def ends_one_by_one(tokenizer, prompt_ids, ids):
    """Where tokens end by the rollout's own way, which decodes every beginning from the start."""
    batch = TokenBatch(None, None, torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool))
    [response], [ends] = decode_responses(tokenizer, [Prompt("", prompt_ids)], batch)
    return response, ends


def seen(tokenizer, prompt_ids, ids):
    [shaped] = shape_tokens(
        lambda prompts, responses, scores, token_ends: [(responses[0], token_ends[0])],
        tokenizer,
        ["p"],
        [prompt_ids],
        [ids],
    )
    return shaped


def decode_in_chunks(monkeypatch, chunk):
    """Decode beginnings even where the tokenizer would make the same tokens; None leaves that short way."""
    if chunk is not None:
        monkeypatch.setattr(sampled_tokens, "CHUNK", chunk)
        monkeypatch.setattr(
            sampled_tokens, "_ends_of_the_same_tokens", lambda tokenizer, rows, texts: [None] * len(rows)
        )


@pytest.mark.parametrize("chunk", [1, 3, 64, None])
def test_tokens_end_where_decoding_every_beginning_says(tokenizer, monkeypatch, chunk):
    decode_in_chunks(monkeypatch, chunk)
    ids = tokenizer(" a slow but very good film, with café and naïve friends.")["input_ids"]
    prompt = tokenizer("the film is")["input_ids"]
    assert seen(tokenizer, prompt, ids) == ends_one_by_one(tokenizer, prompt, ids)


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_characters_of_several_tokens_end_with_their_last_byte_across_chunks(monkeypatch, chunk):
    decode_in_chunks(monkeypatch, chunk)
    tokenizer = byte_tokenizer()
    prompt, ids = tokenizer("a film")["input_ids"], tokenizer("good 🎬🎬é\ufffd ok")["input_ids"]
    ids = [*ids, tokenizer.eos_token_id]
    text, ends = seen(tokenizer, prompt, ids)
    assert (text, ends) == ends_one_by_one(tokenizer, prompt, ids)
    assert text == "good 🎬🎬é\ufffd ok"
    assert ends[-1] == ends[-2] == len(text)


def test_a_tokenizer_that_looks_far_back_is_decoded_from_the_start(monkeypatch):
    class Doubling:
        """The text of a token depends on how many came before: no window can tell."""

        def batch_decode(self, sequences, **options):
            return ["".join("x" * (1 + index % 2) for index in range(len(ids))) for ids in sequences]

    monkeypatch.setattr(sampled_tokens, "CHUNK", 3)
    monkeypatch.setattr(sampled_tokens, "CONTEXT", 1)
    text, ends = seen(Doubling(), [7], [1, 2, 3, 4])
    assert text == "x" * 6
    assert ends == [2, 3, 5, 6]


def test_ids_keep_their_rewards_where_their_text_would_be_tokenised_otherwise():
    tokenizer = byte_tokenizer()
    # Letter by letter; the tokenizer itself has a token for " good".
    ids = tokenizer.convert_tokens_to_ids(["Ġ", "g", "o", "o", "d", "Ġ", "a"])
    assert tokenizer(" good a")["input_ids"] != ids
    [shaped] = shape_tokens(LIKES_GOOD, tokenizer, ["it is"], [tokenizer("it is")["input_ids"]], [ids], [1.0])
    np.testing.assert_allclose(shaped.rewards, [0, 0, 0, 0, 1, 0, 0], atol=1e-6)


def test_no_tokens_are_refused(tokenizer):
    with pytest.raises(ValueError, match="Prompt and response 1 need at least one token"):
        shape_tokens(LIKES_GOOD, tokenizer, ["a", "b"], [[1], [1]], [[1], []])


def test_what_a_tool_wrote_goes_to_the_token_that_called_it():
    rewards = torch.tensor([[1.0, 2, 4, 8, 16, 32], [1.0, 2, 4, 8, 16, 32], [1.0, 2, 4, 8, 16, 32]])
    written = torch.tensor([[1, 1, 0, 0, 1, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]).bool()
    expected = torch.tensor([[1.0, 14, 0, 0, 48, 0], [0.0, 0, 7, 56, 0, 0], [1.0, 2, 4, 8, 16, 32]])
    torch.testing.assert_close(on_written_tokens(rewards, written), expected)
