import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import ByT5Tokenizer, RobertaConfig, RobertaForSequenceClassification

from inner_loop.errors import RewardModelError, TaskError
from inner_loop.models.callable_reward_model import CallableRewardModel
from inner_loop.models.reward_models import as_reward_model, load_reward_model, score_responses
from inner_loop.models.transformers_reward_model import TOKENS_PER_BATCH, TransformersRewardModel, _mask_text
from inner_loop.spec import ScoringConfig
from tests.inner_loop.tiny_classifiers import (
    REWARD_MODELS,
    bert_reward_model,
    byte_tokenizer,
    llama_reward_model,
    spy_on,
    tiny_bert,
    tiny_gpt2,
    tiny_llama,
)
from tests.inner_loop.tiny_models import TINY

TEXTS = ["a wonderful film", "dull", "this is one of the worst movies i have ever seen in my life .", ""]


@pytest.fixture(scope="module")
def embedded():
    return load_reward_model("embedded")


def test_scores_do_not_depend_on_the_batch(embedded):
    alone = [embedded.score([text])[0] for text in TEXTS]
    np.testing.assert_allclose(embedded.score(TEXTS), alone, atol=1e-4)
    np.testing.assert_allclose(embedded.score(TEXTS[::-1]), alone[::-1], atol=1e-4)


def test_scores_are_log_odds_of_the_classifier(embedded):
    encoded = embedded.tokenizer(TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        logits = embedded.model(**encoded).logits[0].tolist()
    expected = logits[0] if len(logits) == 1 else logits[1] - logits[0]
    assert embedded.score(TEXTS[:1])[0] == pytest.approx(expected, abs=1e-5)


def test_praise_scores_above_blame(embedded):
    praise, blame = embedded.score(["a wonderful , moving film .", "a dull , stupid mess ."])
    assert praise > 0 > blame


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_names_the_text(bad):
    model = CallableRewardModel(lambda texts: [1.0, bad])
    with pytest.raises(RewardModelError, match=r"text 1 as .*; the text is 'second'"):
        model.score(["first", "second"])


def test_the_wrong_number_of_scores_is_an_error():
    with pytest.raises(RewardModelError, match="returned 1 scores for 2 texts"):
        CallableRewardModel(lambda texts: [1.0]).score(["first", "second"])


@pytest.mark.parametrize("scores", [["0.5"], ["good"], [b"1"], ["0.5", 1.0]], ids=repr)
def test_scores_that_are_no_numbers_are_refused(scores):
    reward_model = as_reward_model(lambda texts: scores)
    with pytest.raises(RewardModelError, match="must return one number per text"):
        reward_model.score(["text"] * len(scores))


def test_a_function_is_found_by_its_import_path():
    assert as_reward_model("builtins:list").score([3, 4]) == [3.0, 4.0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_:score", "cannot be imported: there is no module 'no_such_module_' on the Python path"),
        (":score", "cannot be imported"),
        ("math:pi", "names no function; write module:function"),
        ("./no/such/folder", "no model folder at"),
    ],
)
def test_a_reward_model_that_is_not_there(name, message):
    with pytest.raises(TaskError, match=message):
        as_reward_model(name)


def test_an_encoder_without_a_head_is_refused_and_not_given_a_random_one(tmp_path, embedded):
    from transformers import BertModel

    BertModel(embedded.model.config).save_pretrained(tmp_path)
    embedded.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(TaskError, match="is not a trained classifier: it has no weights for classifier"):
        load_reward_model(str(tmp_path))


def sequences_of(reward_model, texts):
    return [np.array(reward_model.tokenizer(text)["input_ids"], dtype=np.int32) for text in texts]


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
@pytest.mark.parametrize("pad", ["none", "eos", "other"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_causal_models_are_read_at_the_last_token_whatever_the_padding(make, pad, side):
    tokenizer = byte_tokenizer(padding_side=side)
    model = make(tokenizer, pad_token_id={"none": None, "eos": tokenizer.eos_token_id, "other": 7}[pad])
    texts = ["a good film<|endoftext|>", "bad", "film<|endoftext|><|endoftext|>", "a film that is so very long"]
    scores = TransformersRewardModel(model, tokenizer).score(texts)
    with torch.no_grad():
        for text, score in zip(texts, scores, strict=True):
            hidden = model.base_model(torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state
            assert score == pytest.approx(model.score(hidden)[0, -1].item(), abs=1e-5)


def test_the_padding_id_is_the_models_own_again_afterwards():
    reward_model = llama_reward_model()
    reward_model.score(["a", "a good film"])
    assert reward_model.model.config.pad_token_id is None


@pytest.mark.parametrize("make", REWARD_MODELS)
def test_the_company_in_a_batch_does_not_change_a_score(make):
    reward_model = make()
    texts = ["a", "the film is good", "bad", "the story of two old friends and it never ends", "film . film ."]
    alone = [reward_model.score([text])[0] for text in texts]
    assert np.std(alone) > 0.1
    np.testing.assert_allclose(reward_model.score(texts), alone, atol=1e-5)
    np.testing.assert_allclose(reward_model.score(texts[::-1]), alone[::-1], atol=1e-5)


def test_batches_are_bounded_in_padded_tokens_and_of_similar_length(monkeypatch):
    monkeypatch.setitem(TOKENS_PER_BATCH, "cpu", 24)
    reward_model = bert_reward_model()
    shapes = []
    reward_model.model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    reward_model.score(["good " * n for n in (1, 40, 1, 6, 6, 2, 6, 1)])
    assert shapes == [(4, 4), (3, 8), (1, 42)]


def test_more_sequences_than_words_still_find_a_padding_id():
    tokenizer = byte_tokenizer()
    reward_model = TransformersRewardModel(tiny_llama(tokenizer), tokenizer)
    sequences = [np.array([last], dtype=np.int32) for last in range(len(tokenizer))] + [
        np.array([1, 2], dtype=np.int32)
    ]
    together = reward_model.score_sequences(sequences)
    np.testing.assert_allclose(
        together[::40], [reward_model.score_sequences([s])[0] for s in sequences[::40]], atol=1e-5
    )


def test_too_long_a_text_keeps_its_end():
    reward_model = bert_reward_model(max_position_embeddings=6)
    assert reward_model.score(["bad " * 50 + "a very good story"]) == reward_model.score(["a very good story"])


def test_positions_that_the_model_never_uses_do_not_count():
    # RoBERTa's positions begin behind its padding id, here 3: of 12 rows, 8 are for tokens.
    tokenizer = byte_tokenizer()
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        **TINY,
        max_position_embeddings=12,
        pad_token_id=3,
        num_labels=1,
    )
    reward_model = TransformersRewardModel(RobertaForSequenceClassification(config), tokenizer)
    assert len(reward_model.encode(["x" * 50], [""])[0].ids) == 8
    reward_model.score(["x" * 50])


def test_no_tokens_at_all_are_scored_as_the_end_of_text():
    reward_model = llama_reward_model()
    np.testing.assert_allclose(reward_model.score(["", "a"]), reward_model.score(["<|endoftext|>", "a"]), atol=1e-5)


@pytest.mark.parametrize("make", REWARD_MODELS)
def test_a_complemented_token_is_there_but_not_attended_to(make):
    reward_model = make()
    [ids] = sequences_of(reward_model, ["the film is good"])
    hidden = np.isin(np.arange(len(ids)), [1, 3])
    attended = torch.from_numpy(~hidden[None].copy()).long()
    reward_model.model.config.pad_token_id = 0
    with torch.no_grad():
        logits = reward_model.model(input_ids=torch.from_numpy(ids[None]).long(), attention_mask=attended).logits
    longer = np.concatenate([ids, ids])
    scores = reward_model.score_sequences([np.where(hidden, ~ids, ids), longer])
    assert scores[0] == pytest.approx(logits.item(), abs=1e-5)
    assert scores[0] != pytest.approx(reward_model.score_sequences([ids])[0], abs=1e-3)


def test_bfloat16_is_near_float32_and_leaves_the_model_alone():
    reward_model = bert_reward_model()
    sequences = sequences_of(reward_model, ["the film is good", "bad", "a quiet story"])
    exact, rounded = (reward_model.score_sequences(sequences, dtype) for dtype in ("float32", "bfloat16"))
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 0.3
    np.testing.assert_array_equal(reward_model.score_sequences(sequences), exact)
    assert reward_model.model.dtype == torch.float32


@pytest.mark.parametrize(
    ("can_multiply", "hidden_size", "dtype"), [(False, 64, "float32"), (True, 64, "bfloat16"), (True, 16, "float32")]
)
def test_auto_is_bfloat16_where_the_processor_multiplies_it_and_products_matter(
    monkeypatch, can_multiply, hidden_size, dtype
):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: can_multiply)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    reward_model = bert_reward_model(hidden_size=hidden_size)
    assert reward_model.resolve_dtype("auto") == dtype
    assert reward_model.resolve_dtype("float32") == "float32"


def test_responses_are_scored_after_their_prompts():
    reward_model = bert_reward_model()
    assert score_responses(reward_model, ["the film", "a"], [" is good", " story"]) == pytest.approx(
        reward_model.score(["the film is good", "a story"]), abs=1e-6
    )


def test_special_tokens_typed_in_a_response_are_scored_as_text():
    reward_model = bert_reward_model()
    seen = spy_on(reward_model)
    score_responses(reward_model, ["the"], [" [MASK]"])
    reward_model.score(["the [MASK]"])
    words = [reward_model.tokenizer.convert_ids_to_tokens(ids) for ids in seen]
    assert words == [["[CLS]", "the", "[", "mask", "]", "[SEP]"], ["[CLS]", "the", "[MASK]", "[SEP]"]]


def test_a_callable_is_given_prompt_and_response_as_one_text():
    assert score_responses(CallableRewardModel(lambda texts: [len(text) for text in texts]), ["ab"], ["cde"]) == [5.0]


def test_a_tokenizer_without_offsets_can_still_score():
    tokenizer = ByT5Tokenizer()
    reward_model = TransformersRewardModel(tiny_bert(tokenizer), tokenizer)
    assert reward_model.score_responses(["a "], ["film"]) == reward_model.score(["a film"])


def test_a_head_of_three_labels_needs_a_choice():
    message = r"it has 3 labels \(0: LABEL_0, 1: LABEL_1, 2: LABEL_2\); say with task.label which one is the score"
    with pytest.raises(TaskError, match=message):
        bert_reward_model(num_labels=3)


@pytest.mark.parametrize(
    ("reward_model", "what"),
    [
        ("embedded", "the tokenizer of 'embedded' has no chat template"),
        ("builtins:list", "the function 'builtins:list' reads texts as they are"),
        (list, "not given by name reads texts as they are"),
    ],
)
def test_a_chat_template_that_cannot_be_applied_is_an_error_and_not_ignored(reward_model, what):
    with pytest.raises(TaskError, match=rf"task.chat_template: .*{what}"):
        as_reward_model(reward_model, ScoringConfig(chat_template=True))


def test_a_model_that_reads_the_last_position_whatever_the_mask_is_refused(embedded):
    config = copy.deepcopy(embedded.model.config)
    config.summary_type = "last"
    with pytest.raises(TaskError, match="reads its score at the last position"):
        TransformersRewardModel(SimpleNamespace(config=config), embedded.tokenizer)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({"mask_token": "[M]", "unk_token": "[U]"}, "[M]"),
        ({"unk_token": "[U]"}, "[U]"),
        ({"unk_token": "<end>", "eos_token": "<end>"}, "..."),
        ({}, "..."),
    ],
)
def test_what_stands_for_a_masked_unit_never_ends_a_text(tokens, expected):
    names = ("mask_token", "unk_token", "bos_token", "eos_token", "pad_token")
    tokenizer = SimpleNamespace(**{name: tokens.get(name) for name in names})
    assert _mask_text(tokenizer) == expected


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros((2, 1)), r"scores of shape \(2, 1\) for 2 texts"),
        (3, r"scores of shape \(\) for 2 texts"),
        (["a", "b"], "one number per text, got"),
    ],
)
def test_what_is_not_one_number_per_text_is_an_error(returned, message):
    with pytest.raises(RewardModelError, match=message):
        CallableRewardModel(lambda texts: returned).score(["first", "second"])
