import pytest

from inner_loop.attribution import explain
from inner_loop.units.turns import split_turns

MARKS = {
    "chatml": ("<|im_end|>\n<|im_start|>tool\n", "<|im_end|>\n<|im_start|>assistant\n"),
    "llama": (
        "<|eot_id|><|start_header_id|>ipython<|end_header_id|>\n\n",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "gemma": ("<end_of_turn>\n<start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n"),
    "zephyr": ("</s>\n<|user|>\n", "</s>\n<|assistant|>\n"),
    "plain": ("\n\nHuman: ", "\n\nAssistant: "),
}


def turns(text):
    return [text[start:end] for start, end in split_turns(text)]


@pytest.mark.parametrize("marks", MARKS.values(), ids=MARKS)
def test_a_unit_is_a_turn_of_the_model_with_what_it_was_told_before(marks):
    other, own = marks
    first, second, third = turns(f"call one{other}result one{own}call two{other}result two{own}done")
    assert first.startswith("call one")
    assert "result one" not in first
    assert second.endswith("call two" + ("" if other.startswith("\n") else other.split("\n")[0].split("<|start_h")[0]))
    assert "result one" in second
    assert third.endswith("done")
    assert "result two" in third


def test_what_nobody_answered_belongs_to_the_turn_before_it():
    assert turns("one\nuser: two") == ["one\nuser: two"]
    assert turns("one\nuser: two\nassistant: three\nuser: four") == [
        "one",
        "\nuser: two\nassistant: three\nuser: four",
    ]


def test_several_tools_between_two_turns_are_one_unit_with_the_second():
    assert turns("one\ntool: a\ntool: b\nassistant: two") == ["one", "\ntool: a\ntool: b\nassistant: two"]


@pytest.mark.parametrize("text", ["a plain answer", "the user: a study", "I say assistant: no", ""])
def test_a_text_without_marks_is_one_turn(text):
    assert turns(text) == ([text] if text else [])


def test_a_response_may_begin_with_the_mark_of_the_model():
    assert turns("assistant: one\nuser: x\nassistant: two") == ["assistant: one", "\nuser: x\nassistant: two"]


def test_turns_get_credit():
    def likes_seven(texts):
        return [float("7" in text) for text in texts]

    response = " I look it up.\nuser: Well?\nassistant: So it is 7."
    [credit] = explain(likes_seven, ["How many?"], [response], units="turns")
    assert credit.values["shapley"].tolist() == [0.0, 1.0]
