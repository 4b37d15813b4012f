import copy

import pytest

from inner_loop.errors import TaskError
from inner_loop.models.conversation import Conversation
from inner_loop.models.prompts import prepare_prompts
from inner_loop.spec import TaskConfig

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
SYSTEM = {"role": "system", "content": "be kind"}
TURNS = [
    {"role": "user", "content": "the film is good"},
    {"role": "assistant", "content": "a slow start"},
    {"role": "user", "content": "one of the best of the year"},
]


@pytest.fixture
def chat_tokenizer(tokenizer):
    own = copy.deepcopy(tokenizer)
    own.chat_template = TEMPLATE
    return own


def read(tokenizer, texts, **settings):
    """The prepared prompts, and what the policy reads of each."""
    prepared = prepare_prompts(texts, TaskConfig(**({"max_prompt_tokens": 100} | settings)), tokenizer)
    return prepared, [tokenizer.decode(prompt.ids, skip_special_tokens=True) for prompt in prepared.prompts]


def test_a_plain_prompt_is_given_as_it_is(tokenizer):
    prepared, [seen] = read(tokenizer, ["the film is"])
    assert prepared.prompts[0].ids == tokenizer("the film is")["input_ids"]
    assert seen == "the film is"


def test_a_conversation_is_rendered_by_the_policys_template_with_the_place_of_the_answer(chat_tokenizer):
    prepared, _ = read(chat_tokenizer, [Conversation([SYSTEM, *TURNS])])
    turns = "<user> the film is good <assistant> a slow start <user> one of the best of the year"
    expected = f"<system> be kind {turns} <assistant> "
    assert prepared.prompts[0].ids == chat_tokenizer(expected, add_special_tokens=False)["input_ids"]
    assert prepared.prompts[0].text == "be kind\n\nthe film is good\n\na slow start\n\none of the best of the year\n\n"


def test_a_plain_prompt_can_be_asked_in_the_template(chat_tokenizer):
    prepared, _ = read(chat_tokenizer, ["the film is"], policy_chat_template=True)
    [prompt] = prepared.prompts
    assert prompt.ids == chat_tokenizer("<user> the film is <assistant> ", add_special_tokens=False)["input_ids"]
    assert prompt.text.messages == ({"role": "user", "content": "the film is"},)


def test_a_conversation_can_be_read_without_a_template(tokenizer):
    prepared, _ = read(tokenizer, [Conversation([SYSTEM, TURNS[0]])], policy_chat_template=False)
    assert prepared.prompts[0].ids == tokenizer("be kind\n\nthe film is good\n\n")["input_ids"]


def test_texts_and_conversations_may_be_mixed(chat_tokenizer):
    prepared, _ = read(chat_tokenizer, ["the film", Conversation(TURNS[:1]), "this one"])
    alone = [read(chat_tokenizer, [prompt.text])[0].prompts[0].ids for prompt in prepared.prompts]
    assert [prompt.ids for prompt in prepared.prompts] == alone


def test_a_policy_without_a_template_is_refused_conversations(tokenizer):
    with pytest.raises(TaskError, match=r"has no chat template .*policy_chat_template: false"):
        read(tokenizer, [Conversation(TURNS[:1])])


def test_what_a_template_cannot_write_is_said(chat_tokenizer):
    chat_tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(
        TaskError, match="cannot write a conversation of the roles system, user: System role not supported"
    ):
        read(chat_tokenizer, [Conversation([SYSTEM, TURNS[0]])])


LONG = "one of the best films of the year and it never ends"


def test_a_long_prompt_is_an_error_unless_something_else_is_chosen(tokenizer):
    with pytest.raises(TaskError, match=r"a prompt of 'embedded' has \d+ tokens, over max_prompt_tokens = 4"):
        read(tokenizer, ["the", LONG], max_prompt_tokens=4)


def test_long_prompts_can_be_left_out(tokenizer):
    prepared, seen = read(tokenizer, ["the film", LONG, "this"], max_prompt_tokens=4, long_prompts="drop")
    assert (seen, prepared.n_dropped) == (["the film", "this"], 1)
    with pytest.raises(TaskError, match=r"all 1 prompts of a split .* more than max_prompt_tokens = 4"):
        read(tokenizer, [LONG], max_prompt_tokens=4, long_prompts="drop")


def test_a_long_prompt_can_lose_its_beginning(tokenizer):
    prepared, [seen, short] = read(tokenizer, [LONG, "the film"], max_prompt_tokens=4, long_prompts="truncate")
    assert (prepared.n_truncated, short) == (1, "the film")
    [prompt, _] = prepared.prompts
    assert len(prompt.ids) <= 4
    assert LONG.endswith(seen)
    # The reward model reads what the policy reads.
    assert prompt.text == LONG[-len(prompt.text) :]
    assert prompt.ids == tokenizer(prompt.text)["input_ids"]


def test_a_character_of_many_bytes_is_cut_as_a_whole(tokenizer):
    prepared, _ = read(tokenizer, ["😀" * 12], max_prompt_tokens=5, long_prompts="truncate")
    assert len(prepared.prompts[0].ids) <= 5
    assert set(prepared.prompts[0].text) == {"😀"}


def test_a_long_conversation_loses_its_oldest_turns_and_keeps_the_rest_of_its_template(chat_tokenizer):
    conversation = Conversation([SYSTEM, *TURNS])
    whole = len(read(chat_tokenizer, [conversation])[0].prompts[0].ids)
    prepared, _ = read(chat_tokenizer, [conversation], max_prompt_tokens=whole - 1, long_prompts="truncate")
    assert prepared.prompts[0].text.messages == (SYSTEM, TURNS[2])
    last = len(read(chat_tokenizer, [Conversation([SYSTEM, TURNS[2]])])[0].prompts[0].ids)
    prepared, _ = read(chat_tokenizer, [conversation], max_prompt_tokens=last - 2, long_prompts="truncate")
    [prompt] = prepared.prompts
    system, turn = prompt.text.messages
    assert system == SYSTEM
    assert turn["content"]
    assert TURNS[2]["content"].endswith(turn["content"])
    expected = f"<system> be kind <user> {turn['content']} <assistant> "
    assert prompt.ids == chat_tokenizer(expected, add_special_tokens=False)["input_ids"]


ALTERNATING = (
    "{% set first = 1 if messages[0]['role'] == 'system' else 0 %}{% for m in messages[first:] %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ m['content'] }} {% endfor %}"
)


@pytest.mark.parametrize("max_prompt_tokens", range(6, 60, 3))
def test_templates_that_insist_on_the_order_of_roles_can_be_cut_anywhere(chat_tokenizer, max_prompt_tokens):
    chat_tokenizer.chat_template = ALTERNATING
    answer = {"role": "assistant", "content": "a slow start"}
    conversation = Conversation([SYSTEM, *[TURNS[0], answer] * 5, TURNS[2]])
    settings = {"max_prompt_tokens": max_prompt_tokens, "long_prompts": "truncate"}
    [prompt] = read(chat_tokenizer, [conversation], **settings)[0].prompts
    assert len(prompt.ids) <= max_prompt_tokens
    kept = prompt.text.messages
    assert TURNS[2]["content"].endswith(kept[-1]["content"])
    # One turn more would not have fitted.
    if 2 <= len(kept) < len(conversation.messages):
        longer = Conversation([*kept, answer, TURNS[0]])
        assert len(read(chat_tokenizer, [longer])[0].prompts[0].ids) > max_prompt_tokens - 3


def test_a_limit_below_the_template_is_said(chat_tokenizer):
    with pytest.raises(TaskError, match="3 tokens leave no place for the prompt beside what the chat template"):
        read(chat_tokenizer, [Conversation([SYSTEM, *TURNS])], max_prompt_tokens=3, long_prompts="truncate")
