import math

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForTokenClassification, LlamaConfig, LlamaForCausalLM

from inner_loop import ShapingFunction
from inner_loop.attribution import explain, token_models
from inner_loop.errors import AttributionError
from inner_loop.models.transformers_reward_model import TransformersRewardModel
from inner_loop.spec import AttributionConfig, ScoringConfig
from tests.inner_loop.tiny_classifiers import byte_tokenizer, tiny_bert, word_tokenizer
from tests.inner_loop.tiny_models import TINY

PROMPTS, RESPONSES = ["the film is", "a"], [" very good , not bad", " quiet story"]


def language_model(folder, seed, tokenizer):
    torch.manual_seed(seed)
    config = LlamaConfig(vocab_size=len(tokenizer), **TINY, max_position_embeddings=64, initializer_range=0.5)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def token_scorer(folder, num_labels):
    tokenizer = word_tokenizer()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer), **TINY, max_position_embeddings=64, num_labels=num_labels, initializer_range=0.5
    )
    BertForTokenClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def likes_good(texts):
    return [float(text.count("good")) for text in texts]


def logprob_of(folder, prompt, response):
    """log p(y | x), a token at a time."""
    model, tokenizer = LlamaForCausalLM.from_pretrained(folder).eval(), byte_tokenizer()
    ids, n_prompt = tokenizer(prompt + response)["input_ids"], len(tokenizer(prompt)["input_ids"])
    total = 0.0
    for end in range(n_prompt, len(ids)):
        with torch.no_grad():
            logits = model(torch.tensor([ids[:end]])).logits[0, -1]
        total += torch.log_softmax(logits, dim=-1)[ids[end]].item()
    return total


def test_implicit_credit_is_the_log_ratio_of_the_two_models(tmp_path):
    model, reference = (language_model(tmp_path / str(seed), seed, byte_tokenizer()) for seed in (1, 2))
    named = {"model": model, "reference": reference, "beta": 0.5}
    credits_ = explain(likes_good, PROMPTS, RESPONSES, methods=("implicit",), implicit=named)
    for credit, prompt, response in zip(credits_, PROMPTS, RESPONSES, strict=True):
        expected = 0.5 * (logprob_of(model, prompt, response) - logprob_of(reference, prompt, response))
        assert abs(expected) > 0.1
        assert credit.values["implicit"].sum() == pytest.approx(expected, abs=1e-4)
        assert credit.pieces["implicit"].values.sum() == pytest.approx(expected, abs=1e-4)
    same = explain(likes_good, PROMPTS, RESPONSES, methods=("implicit",), implicit={"model": model, "reference": model})
    np.testing.assert_array_equal(same[0].values["implicit"], 0)


def test_two_models_of_different_tokens_are_refused(tmp_path):
    model = language_model(tmp_path / "bytes", 1, byte_tokenizer())
    reference = language_model(tmp_path / "words", 1, word_tokenizer())
    with pytest.raises(AttributionError, match="must have the same tokens"):
        explain(likes_good, ["a"], [" b"], methods=("implicit",), implicit={"model": model, "reference": reference})


@pytest.mark.parametrize("num_labels", [1, 2])
def test_a_token_classifier_says_what_each_token_earned_or_is_worth_so_far(tmp_path, num_labels):
    folder = token_scorer(tmp_path / "scorer", num_labels)
    model, tokenizer = BertForTokenClassification.from_pretrained(folder).eval(), word_tokenizer()
    with torch.no_grad():
        logits = model(**tokenizer("the film is very good", return_tensors="pt")).logits[0].numpy()
    scores = logits[4:6, 0] if num_labels == 1 else logits[4:6, 1] - logits[4:6, 0]
    options = {"methods": ("token_model",), "units": "tokens", "masking": "remove"}
    [credit] = explain(likes_good, ["the film is"], [" very good"], token_model={"model": folder}, **options)
    np.testing.assert_allclose(credit.pieces["token_model"].values, scores, atol=1e-5)
    named = {"model": folder, "scores": "values"}
    [credit] = explain(likes_good, ["the film is"], [" very good"], token_model=named, **options)
    np.testing.assert_allclose(credit.pieces["token_model"].values, [scores[0], scores[1] - scores[0]], atol=1e-5)


def test_both_are_made_to_conserve_the_score_and_keep_their_differences(tmp_path):
    model, reference = (language_model(tmp_path / str(seed), seed, byte_tokenizer()) for seed in (1, 2))
    config = AttributionConfig(
        implicit={"model": model, "reference": reference}, token_model={"model": token_scorer(tmp_path / "scorer", 1)}
    )
    shaping = ShapingFunction({"implicit": 0.5, "token_model": 0.5}, config, reward_model=likes_good)
    ends = [[5, 10, 12, 16, 20], [6, 12, 12]]
    for credit, ends_, shaped in zip(
        explain(likes_good, PROMPTS, RESPONSES, methods=("token_model",), token_model=config.token_model.model_dump()),
        ends,
        shaping(PROMPTS, RESPONSES, [3.0, -1.0], token_ends=ends),
        strict=True,
    ):
        for values in (*shaped.components.values(), shaped.rewards):
            assert values.sum() == pytest.approx(shaped.score, abs=1e-9)
        plain = credit.on_tokens("token_model", np.array(ends_))
        gaps = shaped.components["token_model"] - plain
        np.testing.assert_allclose(gaps, gaps[0])


@pytest.mark.parametrize("method", ["implicit", "token_model"])
def test_of_a_long_response_only_what_the_reward_model_read_has_credit(tmp_path, method):
    tokenizer = word_tokenizer(model_max_length=12)
    prompt, response = "the film is", " a very good story of two old friends and it never ends"
    settings = {
        "implicit": {"model": language_model(tmp_path / "m", 1, byte_tokenizer()),
                     "reference": language_model(tmp_path / "r", 2, byte_tokenizer())},
        "token_model": {"model": token_scorer(tmp_path / "scorer", 1)},
    }  # fmt: skip
    options = {"methods": (method,), "units": "words", method: settings[method]}

    def credit_of(long_responses):
        scoring = ScoringConfig(long_responses=long_responses)
        [credit] = explain(
            TransformersRewardModel(tiny_bert(tokenizer), tokenizer, scoring), [prompt], [response], **options
        )
        return credit

    [whole] = explain(likes_good, [prompt], [response], **options)
    # Windows are the reward model's: the other model reads the response in one go.
    np.testing.assert_allclose(credit_of("windows").pieces[method].values, whole.pieces[method].values, atol=1e-6)
    tail = credit_of("tail")
    assert [response[slice(*part)] for part in tail.unread] == [" a very"]
    ends = np.array([len(" a very"), len(response)])
    on_tokens, all_of_it = tail.on_tokens(method, ends), whole.on_tokens(method, ends)
    assert on_tokens[0] == 0
    assert all_of_it[0] != 0
    assert on_tokens[1] == pytest.approx(all_of_it[1], abs=1e-6)
    assert tail.values[method].sum() == pytest.approx(all_of_it[1], abs=1e-6)


def test_small_batches_give_the_same(tmp_path, monkeypatch):
    model, reference = (language_model(tmp_path / str(seed), seed, byte_tokenizer()) for seed in (1, 2))
    options = {"methods": ("implicit",), "implicit": {"model": model, "reference": reference}}
    together = explain(likes_good, PROMPTS, RESPONSES, **options)
    monkeypatch.setattr(token_models, "LOGITS_PER_BATCH", 1)
    for one, other in zip(together, explain(likes_good, PROMPTS, RESPONSES, **options), strict=True):
        np.testing.assert_allclose(one.values["implicit"], other.values["implicit"], atol=1e-4)


@pytest.mark.parametrize("method", ["implicit", "token_model"])
def test_a_model_that_nobody_named_is_asked_for(method):
    with pytest.raises(AttributionError, match=f"has to be named: set attribution.{method}"):
        explain(likes_good, ["a"], [" b"], methods=(method,))


def test_what_is_no_such_model_is_refused(tmp_path):
    with pytest.raises(AttributionError, match=r"attribution.token_model: .* could not be loaded: .* no model folder"):
        explain(likes_good, ["a"], [" b"], methods=("token_model",), token_model={"model": "./nowhere"})
    three = token_scorer(tmp_path / "three", 3)
    with pytest.raises(AttributionError, match=r"one label .* or two .*, got 3"):
        explain(likes_good, ["a"], [" b"], methods=("token_model",), token_model={"model": three})
    headless = language_model(tmp_path / "lm", 1, byte_tokenizer())
    with pytest.raises(AttributionError, match="has no weights for"):
        explain(likes_good, ["a"], [" b"], methods=("token_model",), token_model={"model": headless})


def test_an_empty_response_has_no_credit(tmp_path):
    folder = token_scorer(tmp_path / "scorer", 1)
    config = AttributionConfig(token_model={"model": folder})
    [shaped] = ShapingFunction({"token_model": 1.0}, config, reward_model=likes_good)(
        ["a"], [""], [2.0], token_ends=[[0]]
    )
    assert shaped.rewards.tolist() == [2.0]
    assert math.isfinite(shaped.base_value)
