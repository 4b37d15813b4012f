import copy
import pickle

from inner_loop.models.conversation import Conversation, identity, messages_of

SYSTEM, WHY, BECAUSE = (
    {"role": role, "content": text} for role, text in [("system", "S"), ("user", "W"), ("assistant", "B")]
)


def test_a_conversation_is_a_text_that_keeps_its_messages():
    conversation = Conversation([SYSTEM, WHY])
    assert conversation == "S\n\nW\n\n"
    for other in (copy.deepcopy(conversation), pickle.loads(pickle.dumps(conversation))):  # noqa: S301 - our own
        assert (other, other.messages) == (conversation, (SYSTEM, WHY))


def test_a_plain_text_is_a_users_message():
    assert messages_of("W") == (WHY,)
    assert messages_of(Conversation([SYSTEM, WHY])) == (SYSTEM, WHY)


def test_the_oldest_turns_go_first_up_to_the_next_of_the_user_and_never_the_system_message():
    conversation = Conversation([SYSTEM, WHY, BECAUSE, WHY, BECAUSE, BECAUSE, WHY])
    assert conversation.n_turns == 3
    assert conversation.without_oldest_turns(1).messages == (SYSTEM, WHY, BECAUSE, BECAUSE, WHY)
    assert conversation.without_oldest_turns(2).messages == (SYSTEM, WHY)
    assert conversation.without_oldest_turns(0) == conversation
    greeted = Conversation([BECAUSE, WHY])
    assert greeted.without_oldest_turns(1).messages == (WHY,)
    assert Conversation([WHY]).n_turns == 1


def test_prompts_are_the_same_if_the_same_is_said_by_the_same():
    written = {**WHY, "content": " W\n", "id": 7}
    assert identity(Conversation([SYSTEM, written])) == identity(Conversation([SYSTEM, WHY]))
    assert identity(Conversation([SYSTEM, WHY])) != identity(Conversation([{**SYSTEM, "role": "user"}, WHY]))
    assert identity(" W ") == identity("W")
