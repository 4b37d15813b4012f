import numpy as np
import pytest
from transformers import ByT5Tokenizer

from inner_loop.errors import AttributionError
from inner_loop.models.encoding import ResponseEncoder
from inner_loop.models.rendering import in_chat_template
from tests.inner_loop.tiny_classifiers import byte_tokenizer, word_tokenizer

TEMPLATE = (
    "{% for message in messages %}[CLS] {{ message['role'] }} {{ message['content'] }} [SEP]{% endfor %}"  # as BERT's
)


def encode(tokenizer, prompt, response, max_tokens=None, **options):
    [encoded] = ResponseEncoder(tokenizer, max_tokens, **options).encode([prompt], [response])
    return encoded


def encode_in_template(tokenizer, prompt, response, **options):
    return encode(tokenizer, prompt, response, render=in_chat_template(tokenizer, True), **options)


def response_tokens(tokenizer, encoded):
    return tokenizer.convert_ids_to_tokens(encoded.ids[encoded.is_response].tolist())


def response_texts(encoded, response):
    return [response[start:end] for start, end in encoded.response_spans]


@pytest.mark.parametrize("make", [word_tokenizer, byte_tokenizer])
@pytest.mark.parametrize(("prompt", "response"), [("The film is", " good."), ("", "a film"), ("film", ""), ("", "")])
def test_the_ids_are_those_of_the_joined_text(make, prompt, response):
    tokenizer = make()
    assert encode(tokenizer, prompt, response).ids.tolist() == tokenizer(prompt + response)["input_ids"]
    assert (
        ResponseEncoder(tokenizer, None).encode_texts([prompt + response])[0].tolist()
        == tokenizer(prompt + response)["input_ids"]
    )


def test_prompt_and_special_tokens_are_no_players():
    encoded = encode(word_tokenizer(), "The film is", " very  Good.")
    assert encoded.is_response.tolist() == [False] * 4 + [True] * 3 + [False]
    assert encoded.spans.tolist() == [[0, 0]] * 4 + [[1, 5], [7, 11], [11, 12]] + [[0, 0]]


def test_spans_are_of_the_response_as_written_whatever_the_tokenizer_normalizes():
    response = "A CAFÉ, good"
    assert response_texts(encode(word_tokenizer(), "the", " " + response), " " + response) == ["A", "CAFÉ", ",", "good"]


def test_a_token_across_the_boundary_is_the_prompts():
    tokenizer = byte_tokenizer()
    encoded = encode(tokenizer, "go", "od film")
    assert tokenizer.convert_ids_to_tokens(encoded.ids.tolist()) == ["good", "Ġfilm"]
    assert encoded.is_response.tolist() == [False, True]
    assert encoded.spans.tolist() == [[0, 0], [3, 7]]


def test_a_token_with_nothing_but_white_space_of_the_prompt_is_the_responses():
    encoded = encode(byte_tokenizer(), "go ", "film")
    assert response_texts(encoded, "film") == ["film"]


def test_the_bytes_of_one_character_share_its_place():
    encoded = encode(byte_tokenizer(), "x", "é😀")
    assert encoded.response_spans == [(0, 1)] * 2 + [(1, 2)] * 4


def test_white_space_alone_is_a_token_of_the_response():
    encoded = encode(byte_tokenizer(), "x", "a\n\n")
    assert response_texts(encoded, "a\n\n") == ["a", "\n", "\n"]


def test_a_special_token_typed_in_the_response_is_text():
    tokenizer = word_tokenizer()
    assert response_tokens(tokenizer, encode(tokenizer, "the film", " [MASK] .")) == ["[", "mask", "]", "."]


def test_a_special_token_in_the_prompt_stays_special_beside_one_typed_in_the_response():
    tokenizer = word_tokenizer()
    encoded = encode(tokenizer, "the [MASK] film", " [MASK] [SEP]")
    tokens = tokenizer.convert_ids_to_tokens(encoded.ids.tolist())
    assert tokens == ["[CLS]", "the", "[MASK]", "film", "[", "mask", "]", "[", "[UNK]", "]", "[SEP]"]
    assert response_texts(encoded, " [MASK] [SEP]") == ["[", "MASK", "]", "[", "SEP", "]"]


def test_a_special_token_that_prompt_and_response_only_make_together_is_text():
    tokenizer = byte_tokenizer()
    encoded = encode(tokenizer, "a<|endof", "text|> b")
    assert tokenizer.eos_token_id not in encoded.ids
    assert "".join(response_texts(encoded, "text|> b")).replace(" ", "") == "text|>b"


def test_the_tokenizer_parses_special_tokens_again_afterwards():
    tokenizer = word_tokenizer()
    encode(tokenizer, "the", " [MASK]")
    assert tokenizer("[MASK]", add_special_tokens=False)["input_ids"] == [tokenizer.mask_token_id]


def test_too_long_a_sequence_loses_its_oldest_tokens_and_keeps_the_special_ones():
    tokenizer = word_tokenizer()
    encoded = encode(tokenizer, "the film is", " a very good story", max_tokens=5)
    assert tokenizer.convert_ids_to_tokens(encoded.ids.tolist()) == ["[CLS]", "very", "good", "story", "[SEP]"]
    assert response_texts(encoded, " a very good story") == ["very", "good", "story"]
    [whole] = ResponseEncoder(tokenizer, 5).encode_texts(["the film is a very good story"])
    np.testing.assert_array_equal(encoded.ids, whole)


def test_the_chat_template_is_not_credited():
    tokenizer = word_tokenizer(chat_template=TEMPLATE)
    encoded = encode_in_template(tokenizer, "the film", "is [SEP] good")
    tokens = tokenizer.convert_ids_to_tokens(encoded.ids.tolist())
    assert " ".join(tokens) == "[CLS] user the film [SEP] [CLS] assistant is [ [UNK] ] good [SEP]"
    assert response_texts(encoded, "is [SEP] good") == ["is", "[", "SEP", "]", "good"]


def test_a_template_may_strip_the_response():
    tokenizer = word_tokenizer(chat_template=TEMPLATE.replace("['content']", "['content'] | trim"))
    assert response_texts(encode_in_template(tokenizer, "the", "  very good "), "  very good ") == [
        "very",
        "good",
    ]


def test_a_template_may_leave_out_the_beginning_of_a_response():
    shown = "['content'].split('</think>')[-1].lstrip('\\n')"
    tokenizer = word_tokenizer(chat_template=TEMPLATE.replace("['content']", shown))
    response = "good</think>\nvery good"
    encoded = encode_in_template(tokenizer, "the", response)
    assert response_texts(encoded, response) == ["very", "good"]
    assert encoded.response_spans[-1] == (len(response) - 4, len(response))


def test_a_template_that_changes_the_response_is_refused():
    tokenizer = word_tokenizer(chat_template=TEMPLATE.replace("['content']", "['content'] | upper"))
    with pytest.raises(AttributionError, match=r"changes what stands in a response, .*'good'"):
        encode_in_template(tokenizer, "the", "good")


def test_a_tokenizer_without_offsets_is_refused():
    with pytest.raises(AttributionError, match="ByT5Tokenizer has no offsets"):
        encode(ByT5Tokenizer(), "the", " film")
