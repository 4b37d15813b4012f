import json

import pytest

from experiments.prepare.pairs import (
    Demonstration,
    Pair,
    PrepareError,
    as_row,
    divide,
    key,
    read_demonstrations,
    read_pairs,
)
from inner_loop.models.conversation import Conversation

USER = {"role": "user", "content": "Why?"}


def answer(text):
    return {"role": "assistant", "content": text}


def texts(count=24):
    return [{"prompt": f"number {i} is", "chosen": f" good {i}", "rejected": f" bad {i}"} for i in range(count)]


@pytest.fixture
def write(tmp_path):
    def write_rows(rows, name="pairs.jsonl"):
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        return str(path)

    return write_rows


def test_texts_are_read_once_each(write):
    pairs = read_pairs(write([*texts(), *texts(4)]))
    assert len(pairs) == 24
    assert pairs[1] == Pair("number 1 is", " good 1", " bad 1")


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": [USER], "chosen": [answer("yes")], "rejected": [answer("no")]},
        {"prompt": [USER], "chosen": "yes", "rejected": "no"},
        {"chosen": [USER, answer("yes")], "rejected": [USER, answer("no")]},
        {"prompt": "Why?", "chosen": [USER, answer("yes")], "rejected": [USER, answer("no")]},
        {"prompt": "Why?", "chosen": [answer("yes")], "rejected": [answer("no")]},
        {
            "prompt": [USER],
            "chosen": [USER, answer([{"type": "text", "text": "yes"}])],
            "rejected": [USER, answer("no")],
        },
    ],
)
def test_a_conversation_is_one_however_it_is_written(write, columns):
    pair = next(pair for pair in read_pairs(write([*texts(), columns])) if pair.chosen == "yes")
    assert isinstance(pair.prompt, Conversation)
    assert (pair.prompt.messages, pair.rejected) == ((USER,), "no")
    assert as_row(pair.prompt) == {"prompt": [USER]}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"prompt": "a", "choosen": " b", "rejected": " c"}, "has no 'chosen', did you mean 'choosen'?"),
        ({"chosen": " b", "rejected": " c"}, "has no 'prompt'"),
        ({"prompt": " ", "chosen": " b", "rejected": " c"}, "is an empty prompt"),
        ({"prompt": "a", "chosen": "", "rejected": " c"}, "'chosen' is empty"),
        ({"prompt": "a", "chosen": " b", "rejected": " b"}, "are the same; remove the line"),
        ({"prompt": "a", "chosen": " b", "rejected": 3}, "has '3' as 'rejected' where a text or a list"),
        ({"prompt": 3, "chosen": " b", "rejected": " c"}, "has '3' as 'prompt'"),
        ({"prompt": [USER], "chosen": [USER], "rejected": [answer("no")]}, "'chosen' do not end with an answer"),
        ({"prompt": [{"x": 1}], "chosen": " b", "rejected": " c"}, "where a message like"),
        (
            {"chosen": [USER, answer("yes")], "rejected": [{**USER, "content": "How?"}, answer("no")]},
            "before the chosen and the rejected answer differ",
        ),
        (
            {"prompt": "How?", "chosen": [USER, answer("yes")], "rejected": [USER, answer("no")]},
            "does not end with its prompt",
        ),
        (
            {"prompt": [{**USER, "content": "How?"}], "chosen": [USER, answer("y")], "rejected": [USER, answer("n")]},
            "is not its prompt",
        ),
    ],
)
def test_a_line_that_cannot_be_used_is_named(write, columns, said):
    path = write([*texts(2), columns, *texts()])
    with pytest.raises(PrepareError, match=r"pairs\.jsonl:3") as refused:
        read_pairs(path)
    assert said in str(refused.value)
    assert "task.prompts" not in str(refused.value)


def test_a_line_that_is_no_json_is_named(write, tmp_path):
    (tmp_path / "broken.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": \n')
    with pytest.raises(PrepareError, match=r"broken\.jsonl:2 is not a JSON object"):
        read_pairs(str(tmp_path / "broken.jsonl"))


def test_too_little_is_refused(write, tmp_path):
    with pytest.raises(PrepareError, match=r"has 19 different pairs on 19 prompts, and at least 20 on 10"):
        read_pairs(write(texts(19)))
    one_prompt = [{**row, "prompt": "the same"} for row in texts()]
    with pytest.raises(PrepareError, match="24 different pairs on 1 prompts"):
        read_pairs(write(one_prompt))
    with pytest.raises(PrepareError, match="There is no file"):
        read_pairs(str(tmp_path / "nothing.jsonl"))
    with pytest.raises(PrepareError, match="has 3 different demonstrations"):
        read_demonstrations(write([{"prompt": "a", "completion": f" {i}"} for i in range(3)]))


def test_a_dataset_is_read_by_its_split(write, tmp_path):
    import datasets

    parts = {name: datasets.Dataset.from_list(texts()) for name in ("train_prefs", "test_prefs")}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    assert len(read_pairs(str(tmp_path / "saved"), "test_prefs")) == 24
    with pytest.raises(PrepareError, match="has the splits train_prefs, test_prefs; name one of them with --split"):
        read_pairs(str(tmp_path / "saved"))


def test_demonstrations_are_completions_or_messages(write):
    rows = [{"prompt": f"{i} is", "completion": f" {i}"} for i in range(20)]
    found = read_demonstrations(write([*rows, {"messages": [USER, answer("yes")]}, {"prompt": "a", "chosen": " b"}]))
    assert found[0] == Demonstration("0 is", " 0")
    assert found[20].prompt.messages == (USER,)
    assert found[21] == Demonstration("a", " b")


def test_no_prompt_is_on_both_sides_and_the_order_of_a_file_changes_nothing():
    pairs = [Pair(f"{i % 15} is{' ' * (i % 2)}", f" good {i}", " bad") for i in range(60)]
    trained, heldout = divide(pairs, 0.2, seed=0)
    assert {key(pair.prompt) for pair in trained}.isdisjoint(key(pair.prompt) for pair in heldout)
    assert sorted(map(str, [*trained, *heldout])) == sorted(map(str, pairs))
    assert len(heldout) == 12  # a fifth, in whole prompts of four pairs
    assert set(divide(pairs[::-1], 0.2, seed=0)[1]) == set(heldout)
    assert set(divide(pairs, 0.2, seed=1)[1]) != set(heldout)
