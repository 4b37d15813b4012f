from itertools import pairwise, product

import numpy as np
import pytest
import torch

from inner_loop.attribution import table
from inner_loop.attribution.table import ScoreCache, evaluate_coalitions
from inner_loop.errors import AttributionError, RewardModelError
from inner_loop.models.callable_reward_model import CallableRewardModel
from tests.inner_loop.tiny_classifiers import (
    REWARD_MODELS,
    bert_reward_model,
    gpt2_reward_model,
    llama_reward_model,
    separately,
    spy_on,
)

MASKINGS = ["remove", "mask", "attention"]
PROMPTS = ["the film", "a quiet story", "the film"]
RESPONSES = [" is good.", " of two friends", ""]


def words_of(response):
    """Units: every word with the space before it."""
    starts = [0, *(i for i in range(1, len(response)) if response[i] == " "), len(response)]
    return list(pairwise(starts)) if response else []


def all_coalitions(n_units):
    rows = sorted(product([False, True], repeat=n_units), key=lambda row: (0 < sum(row) < n_units, sum(row)))
    return np.array(rows, dtype=bool).reshape(2**n_units, n_units)


def evaluate(reward_model, prompts=PROMPTS, responses=RESPONSES, **options):
    offsets = [words_of(response) for response in responses]
    coalitions = [all_coalitions(len(ranges)) for ranges in offsets]
    return evaluate_coalitions(reward_model, prompts, responses, offsets, coalitions, **options)


def values(results):
    return np.concatenate([result.values for result in results])


def test_removal_scores_what_is_left_of_the_text():
    reward_model = bert_reward_model()
    [result] = evaluate(reward_model, ["the film"], [" is good."], dtype="float32")
    expected = reward_model.score(["the film", "the film is good.", "the film good.", "the film is"])
    by_row = dict(zip(map(tuple, all_coalitions(2).tolist()), result.values, strict=True))
    found = [by_row[row] for row in [(False, False), (True, True), (False, True), (True, False)]]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_masks_score_the_text_with_masks():
    reward_model = bert_reward_model()
    [result] = evaluate(reward_model, ["the film"], [" is good"], masking="mask", dtype="float32")
    expected = reward_model.score(["the film [MASK] [MASK]", "the film is good"])
    np.testing.assert_allclose(result.values[:2], expected, atol=1e-5)


@pytest.mark.parametrize("make", REWARD_MODELS)
def test_attention_masking_scores_the_text_with_words_hidden(make):
    reward_model = make()
    [encoded] = reward_model.encode(["the film"], [" good of"])
    coalitions = np.array([[False, False], [True, True], [False, True]])
    [result] = evaluate_coalitions(
        reward_model, ["the film"], [" good of"], [[(0, 5), (5, 8)]], [coalitions], masking="attention", dtype="float32"
    )
    is_good = encoded.is_response & (encoded.spans[:, 0] < 5)
    reward_model.model.config.pad_token_id = 0
    with torch.no_grad():
        output = reward_model.model(
            input_ids=torch.from_numpy(encoded.ids[None]).long(), attention_mask=torch.from_numpy(~is_good[None]).long()
        )
    assert result.values[2] == pytest.approx(output.logits.item(), abs=1e-5)
    # The same as no response at all, but for the position of [SEP].
    if make is not bert_reward_model:
        assert result.values[0] == pytest.approx(reward_model.score(["the film"])[0], abs=1e-5)


@pytest.mark.parametrize("make", [llama_reward_model, gpt2_reward_model])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_words_hidden_before_the_first_attended_one_do_no_harm(make, dtype):
    results = evaluate(make(), ["", "the film"], [" is very good", " is good"], masking="attention", dtype=dtype)
    assert np.isfinite(values(results)).all()


@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("make", REWARD_MODELS)
def test_the_prompt_and_the_special_tokens_are_in_every_sequence(make, masking):
    reward_model = separately(make())
    seen = spy_on(reward_model)
    evaluate(reward_model, ["the quiet film"], [" is very good"], masking=masking)
    [encoded] = reward_model.encode(["the quiet film"], [" is very good"])
    pinned = encoded.ids[~encoded.is_response].tolist()
    n_opening = len(pinned) - (make is bert_reward_model)
    assert len(seen) == 8
    for ids in seen:
        assert ids[:n_opening] + ids[len(ids) - (len(pinned) - n_opening) :] == pinned


@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("make", REWARD_MODELS)
def test_the_other_responses_do_not_matter(make, masking):
    reward_model = make()
    prompts, responses = [*PROMPTS, "it"], [*RESPONSES, " never ends" * 4]
    together = evaluate(reward_model, prompts, responses, masking=masking, dtype="float32")
    backwards = evaluate(reward_model, prompts[::-1], responses[::-1], masking=masking, dtype="float32")[::-1]
    for index, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        [alone] = evaluate(reward_model, [prompt], [response], masking=masking, dtype="float32")
        for result in (together[index], backwards[index]):
            np.testing.assert_allclose(result.values, alone.values, atol=1e-5)
            assert result.n_evaluations == alone.n_evaluations


def test_the_same_call_gives_the_same_bits():
    reward_model = bert_reward_model()
    np.testing.assert_array_equal(values(evaluate(reward_model)), values(evaluate(reward_model)))


@pytest.mark.parametrize("n_chunks", [1, 3])
def test_every_distinct_sequence_is_scored_once(monkeypatch, n_chunks):
    monkeypatch.setattr(table, "TOKENS_IN_MEMORY", 2**22 if n_chunks == 1 else 1)
    reward_model = bert_reward_model()
    seen = spy_on(reward_model)
    # good|good: either one alone reads the same. The second response shares the empty coalition and " good".
    results = evaluate(reward_model, ["the", "the", "the"], [" good good", " good bad", " good good"], dtype="float32")
    assert sorted(map(tuple, seen)) == sorted(set(map(tuple, seen)))
    assert len(seen) == len({"", " good", " good good", " bad", " good bad"})
    assert [result.n_evaluations for result in results] == [3, 4, 3]
    assert results[0].values[2] == results[0].values[3]


def test_memory_is_bounded_by_cutting_the_batch(monkeypatch):
    whole = values(evaluate(bert_reward_model(), dtype="float32"))
    monkeypatch.setattr(table, "TOKENS_IN_MEMORY", 1)
    np.testing.assert_allclose(values(evaluate(bert_reward_model(), dtype="float32")), whole, atol=1e-5)


def test_the_empty_and_the_full_coalition_are_float32_whatever_the_rest():
    reward_model = bert_reward_model()
    response = [" of two old friends"]
    [exact] = evaluate(reward_model, ["a"], response, dtype="float32")
    [rounded] = evaluate(reward_model, ["a"], response, dtype="bfloat16")
    np.testing.assert_allclose(rounded.values[:2], exact.values[:2], atol=1e-5)
    assert 1e-4 < np.abs(rounded.values[2:] - exact.values[2:]).max() < 0.5


def test_a_coalition_that_reads_like_the_full_response_has_its_score():
    # The second unit is white space without a token of its own.
    coalitions = np.array([[False, False], [True, True], [True, False]])
    [result] = evaluate_coalitions(
        bert_reward_model(), ["the"], [" film  "], [[(0, 5), (5, 7)]], [coalitions], dtype="bfloat16"
    )
    assert result.values[2] == result.values[1]
    assert result.n_evaluations == 2


@pytest.mark.parametrize("masking", MASKINGS)
def test_units_that_a_long_prompt_pushed_out_change_nothing(masking):
    reward_model = bert_reward_model(max_position_embeddings=5)
    seen = spy_on(reward_model)
    [result] = evaluate(reward_model, ["a film"], [" good bad very quiet"], masking=masking)
    rows = all_coalitions(4)
    for row, value in zip(rows, result.values, strict=True):
        [same] = np.flatnonzero((rows == [not row[0], *row[1:]]).all(axis=1))
        assert result.values[same] == value
    good = reward_model.tokenizer.convert_tokens_to_ids("good")
    assert all(good not in ids for ids in seen)
    assert result.n_evaluations == 8


def test_every_coalition_keeps_what_the_full_sequence_kept_of_the_prompt():
    reward_model = bert_reward_model(max_position_embeddings=6)
    seen = spy_on(reward_model)
    evaluate(reward_model, ["a quiet film is"], [" very good"])
    kept = reward_model.tokenizer.convert_tokens_to_ids(["[CLS]", "film", "is"])
    assert [ids[:3] for ids in seen] == [kept] * 4


def test_where_nothing_is_left_the_end_of_text_is_read():
    reward_model = llama_reward_model()
    [result] = evaluate(reward_model, [""], ["a film"], dtype="float32")
    np.testing.assert_allclose(result.values[:2], reward_model.score(["<|endoftext|>", "a film"]), atol=1e-5)


def test_no_responses_have_no_values():
    assert evaluate_coalitions(bert_reward_model(), [], [], [], []) == []


def test_what_is_in_the_cache_is_not_scored_again():
    reward_model, cache = bert_reward_model(), ScoreCache()
    first = values(evaluate(reward_model, cache=cache, dtype="bfloat16"))
    seen = spy_on(reward_model)
    np.testing.assert_array_equal(values(evaluate(reward_model, cache=cache, dtype="bfloat16")), first)
    assert not seen
    # Of 4 + 8 + 1 sequences, the full and the empty ones are there in float32 already.
    evaluate(reward_model, cache=cache, dtype="float32")
    assert len(seen) == 8


def test_the_cache_tells_hidden_tokens_from_attended_ones():
    reward_model, cache = bert_reward_model(), ScoreCache()
    for masking in MASKINGS:
        cached = values(evaluate(reward_model, masking=masking, cache=cache, dtype="float32"))
        np.testing.assert_allclose(cached, values(evaluate(reward_model, masking=masking, dtype="float32")), atol=1e-5)


def test_the_cache_forgets_what_was_used_longest_ago():
    cache = ScoreCache(max_entries=2)
    cache.put("a", "float32", 1.0)
    cache.put("b", "float32", 2.0)
    assert cache.get("a", "float32") == 1.0
    cache.put("c", "float32", 3.0)
    assert [cache.get(text, "float32") for text in "abc"] == [1.0, None, 3.0]
    assert len(cache) == 2


def test_a_cache_serves_one_reward_model():
    cache = ScoreCache()
    evaluate(bert_reward_model(), cache=cache)
    with pytest.raises(AttributionError, match="another reward model"):
        evaluate(bert_reward_model(), cache=cache)


def test_a_callable_is_given_every_distinct_text_once():
    asked = []

    def length(texts):
        asked.extend(texts)
        return [len(text) for text in texts]

    results = evaluate(CallableRewardModel(length), ["the", "the"], [" good bad", " good good"])
    expected = ["the", "the good bad", "the bad", "the good", "the good good"]
    assert sorted(asked) == sorted(expected)
    assert [result.values.tolist() for result in results] == [[3, 12, 7, 8], [3, 13, 8, 8]]
    assert [result.n_evaluations for result in results] == [4, 3]


@pytest.mark.parametrize(
    ("bad", "version"), [("a x y", "as it is"), ("a", "with every unit absent"), ("a y", "masked")]
)
@pytest.mark.parametrize("with_score", [False, True])
def test_a_score_that_is_no_number_names_the_response(bad, version, with_score):
    def score(texts):
        return [float("nan") if text == bad else 1.0 for text in texts]

    reward_model = CallableRewardModel(score)
    if with_score:
        reward_model = type("Scorer", (), {"mask_text": "#", "score": lambda self, texts: score(texts)})()
    with pytest.raises(RewardModelError, match=f"scored response 1, {version}, as nan"):
        evaluate(reward_model, ["the", "a"], [" film", " x y"])


def test_a_transformers_score_that_is_no_number_names_the_response():
    reward_model = bert_reward_model()
    with torch.no_grad():
        reward_model.model.bert.embeddings.word_embeddings.weight[reward_model.tokenizer.vocab["bad"]] = torch.inf
    with pytest.raises(RewardModelError, match="scored response 1, as it is, as nan"):
        evaluate(reward_model, ["a", "a"], [" good film", " bad film"])


def test_too_few_scores_are_an_error():
    reward_model = type("Scorer", (), {"mask_text": "#", "score": lambda self, texts: [1.0]})()
    with pytest.raises(RewardModelError, match="returned 1 scores for 4 texts"):
        evaluate(reward_model, ["a"], [" good film"])


def test_texts_cannot_be_masked_by_attention():
    with pytest.raises(AttributionError, match="needs a transformers reward model"):
        evaluate(CallableRewardModel(lambda texts: [0.0] * len(texts)), masking="attention")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[False], [True]], r"Response 0 has 2 units; .* bool of shape \(2, 1\)"),
        ([[0, 0], [1, 1]], "are int64 of shape"),
        ([[True, True], [False, False]], "must be the empty and the full one"),
        ([[False, False]], "must be the empty and the full one"),
    ],
)
def test_coalitions_that_do_not_fit_the_units_are_refused(rows, message):
    with pytest.raises(AttributionError, match=message):
        evaluate_coalitions(bert_reward_model(), ["a"], [" good film"], [[(0, 5), (5, 10)]], [np.array(rows)])
