import pytest

from inner_loop.integrations.sampled_tokens import decode_sampled
from inner_loop.units.response_units import policy_token_ends


def test_a_response_as_its_tokenizer_would_write_it_ends_where_the_offsets_say(tokenizer):
    text = " very good film, really"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    [decoded], [ends] = decode_sampled(tokenizer, [[*ids, tokenizer.eos_token_id]])
    assert decoded == text
    assert ends == [*policy_token_ends(tokenizer, [text])[0], len(text)]


def test_other_tokens_of_the_same_text_have_ends_of_their_own(tokenizer):
    # "good" letter by letter: no tokenizer would write it so.
    ids = [tokenizer(letter, add_special_tokens=False)["input_ids"][-1] for letter in "good"]
    [decoded], [ends] = decode_sampled(tokenizer, [ids])
    assert (decoded, ends) == ("good", [1, 2, 3, 4])


def test_a_character_of_several_tokens_is_there_with_the_last_of_them(tokenizer):
    ids = tokenizer("é☃", add_special_tokens=False)["input_ids"]
    [decoded], [ends] = decode_sampled(tokenizer, [[ids[0], *ids]])
    assert ends[-1] == len(decoded)
    assert ends == sorted(ends)
    assert len(ends) == len(ids) + 1


@pytest.mark.parametrize("n_special", [1, 3])
def test_a_response_of_special_tokens_alone_is_no_text(tokenizer, n_special):
    assert decode_sampled(tokenizer, [[tokenizer.eos_token_id] * n_special]) == ([""], [[0] * n_special])


def test_a_special_token_in_the_middle_ends_where_the_one_before_it_does(tokenizer):
    words = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in (" good", " film")]
    ids = [*words[0], tokenizer.eos_token_id, *words[1]]
    [decoded], [ends] = decode_sampled(tokenizer, [ids])
    assert decoded == " good film"
    assert ends[len(words[0])] == ends[len(words[0]) - 1] == len(" good")


def test_nothing_sampled_is_nothing(tokenizer):
    assert decode_sampled(tokenizer, []) == ([], [])
