import copy
import pickle

from inner_loop.models.conversation import Conversation, messages_of

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


def test_the_oldest_turn_goes_first_and_never_the_system_message():
    conversation = Conversation([SYSTEM, WHY, BECAUSE, WHY])
    shorter = conversation.without_oldest_turn()
    assert shorter.messages == (SYSTEM, BECAUSE, WHY)
    assert shorter.without_oldest_turn().messages == (SYSTEM, WHY)
    assert shorter.without_oldest_turn().without_oldest_turn() is None
