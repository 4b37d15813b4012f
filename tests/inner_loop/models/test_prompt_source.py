import csv
import io
import json

import datasets
import pyarrow
import pytest
from pyarrow import parquet

from inner_loop.errors import TaskError
from inner_loop.models.conversation import Conversation
from inner_loop.models.prompt_source import MOST_JUDGED, PromptSource
from inner_loop.spec import TaskConfig

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
TEXTS = [f"the film number {number}" for number in range(20)]


def source(path, **settings):
    return PromptSource(TaskConfig(prompts=str(path), **settings))


def line(text):
    return json.dumps({"prompt": text})


def write(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def write_table(path, columns):
    parquet.write_table(pyarrow.table(columns), path)
    return path


def everything(prompts):
    return {name: prompts.split(name) for name in ("train", "validation", "heldout")}


def all_of(divided):
    return [prompt for prompts in divided.values() for prompt in prompts]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{line('fine')}\n{line('  ')}", r"train.jsonl:2 is an empty prompt"),
        (f"{line('fine')}\nnot json", r"train.jsonl:2 is not a JSON object"),
        ('["a list"]', r"train.jsonl:1 is not a JSON object"),
        ('{"prompt": "half \\ud83d"}', r"train.jsonl:1 holds half a character \(.ud83d\); remove it"),
        ('{"prompt": [{"role": "user", "content": "\\ud83d"}]}', r"train.jsonl:1 holds half a character"),
        (
            """{"prompt": "[{'role': 'user', 'content': 'a'}]"}""",
            r"train.jsonl:1 seems to hold messages, but not as JS",
        ),
        ('{"prompt": 7}', r"train.jsonl:1 has '7' in its column 'prompt'"),
        ('{"question": "a", "answer": "b"}', r"with task.prompts_column which of its columns .*: question, answer"),
        ("", "holds no prompts for its train split"),
    ],
)
def test_unusable_prompts_are_named(tmp_path, content, message):
    write(tmp_path / "train.jsonl", content)
    with pytest.raises(TaskError, match=message):
        source(tmp_path).split("train")


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([{"role": "user", "content": [{"type": "image", "url": "x"}]}], "a message that is not only text"),
        (["Why?"], "where a message like"),
        ([{"content": "Why?"}], "where a message like"),
        ([{"role": "assistant", "content": "Because."}], "no message that could be answered"),
        ([MESSAGES[0]], "no message that could be answered"),
        ([], "no message that could be answered"),
    ],
)
def test_unusable_conversations_are_named(tmp_path, prompts, message):
    write(tmp_path / "train.jsonl", line(prompts))
    with pytest.raises(TaskError, match=f"train.jsonl:1 .*{message}"):
        source(tmp_path).split("train")


def test_a_missing_file_of_a_folder_is_named(tmp_path):
    with pytest.raises(TaskError, match=r"there is no file .*validation' that ends in \.jsonl, \.csv, \.parquet"):
        source(tmp_path).split("validation")


@pytest.mark.parametrize("name", ["./none.jsonl", "/none", "~/none.csv"])
def test_a_missing_file_is_not_looked_for_on_a_hub(name):
    with pytest.raises(TaskError, match=f"there is no file or folder at '{name}'"):
        source(name).split("train")


def test_prompts_must_be_utf8(tmp_path):
    (tmp_path / "train.jsonl").write_bytes('{"prompt": "café"}'.encode("latin-1"))
    with pytest.raises(TaskError, match=r"cannot be read as UTF-8 text .*; save it as UTF-8"):
        source(tmp_path).split("train")


def test_files_from_windows_are_read(tmp_path):
    rows = "".join(f"{line(text)}\r\n" for text in ("a café film", "this one"))
    (tmp_path / "train.jsonl").write_bytes(b"\xef\xbb\xbf" + rows.encode())
    (tmp_path / "validation.csv").write_bytes(b"\xef\xbb\xbf" + b'prompt;stars\r\n"a ""big""; film";3\r\nends;1\r\n')
    assert source(tmp_path).split("train") == ["a café film", "this one"]
    assert source(tmp_path).split("validation") == ['a "big"; film', "ends"]


def test_a_line_of_a_spreadsheet_that_does_not_fit_is_named(tmp_path):
    file = write(tmp_path / "film.csv", "prompt,stars\nfine,3\na film, they say,4\n")
    with pytest.raises(TaskError, match=r"film.csv:3 has not as many columns as the first line, prompt, stars"):
        source(file).split("train")


def test_no_parquet_file_is_named(tmp_path):
    with pytest.raises(TaskError, match=r"film.parquet' is not a Parquet file"):
        source(write(tmp_path / "film.parquet", "text")).split("train")


def test_other_files_are_refused_with_those_that_work(tmp_path):
    with pytest.raises(TaskError, match=r"film.txt' is no file that can be read; its name must end in \.jsonl"):
        source(write(tmp_path / "film.txt", "text")).split("train")


def as_jsonl(folder, prompts):
    return write(folder / "p.jsonl", "\n".join(map(line, prompts)))


def as_csv(folder, prompts):
    rows = io.StringIO()
    writer = csv.writer(rows)
    writer.writerows([["prompt"], *([prompt] for prompt in prompts)])
    return write(folder / "p.csv", rows.getvalue())


def as_parquet(folder, prompts):
    return write_table(folder / "p.parquet", {"prompt": prompts})


def as_dataset(folder, prompts):
    datasets.Dataset.from_dict({"prompt": prompts}).save_to_disk(folder / "p")
    return folder / "p"


FILES = [as_jsonl, as_csv, as_parquet, as_dataset]


@pytest.mark.parametrize("make", FILES)
def test_one_file_is_divided_by_a_seed_whatever_its_kind_and_order(tmp_path, make):
    divided = everything(source(make(tmp_path, TEXTS)))
    assert {name: len(prompts) for name, prompts in divided.items()} == {"train": 12, "validation": 4, "heldout": 4}
    assert sorted(all_of(divided)) == sorted(TEXTS)
    (other := tmp_path / "other").mkdir()
    assert everything(source(as_jsonl(other, TEXTS[::-1]))) == divided
    assert everything(source(as_jsonl(other, TEXTS), prompts_seed=1)) != divided


def test_no_prompt_stands_in_two_parts_though_it_stands_twice_in_the_file(tmp_path):
    prompts = source(as_jsonl(tmp_path, [*TEXTS, *(f" {text} " for text in TEXTS[:7])]))
    assert sorted(all_of(everything(prompts))) == sorted(TEXTS)
    assert prompts.n_repeated == 7


def test_a_size_takes_some_of_a_file(tmp_path):
    file = as_jsonl(tmp_path, TEXTS)
    assert [len(prompts) for prompts in everything(source(file, prompts_size=10)).values()] == [6, 2, 2]


def test_a_size_takes_some_of_the_training_prompts_of_a_folder(tmp_path):
    for split in ("train", "validation"):
        write(tmp_path / f"{split}.jsonl", "\n".join(line(f"{split} {text}") for text in TEXTS))
    prompts = source(tmp_path, prompts_size=5)
    assert len(prompts.split("train")) == 5
    assert len(prompts.split("validation")) == 20


def test_of_a_large_file_most_is_trained_on(tmp_path):
    many = [f"the film number {number}" for number in range(10 * MOST_JUDGED)]
    divided = everything(source(as_parquet(tmp_path, many)))
    assert len(divided["validation"]) == len(divided["heldout"]) == MOST_JUDGED


@pytest.mark.parametrize("make", [as_jsonl, as_parquet, as_dataset])
def test_conversations_are_read_from_every_kind_of_file(tmp_path, make):
    prompts = [[*MESSAGES[:1], {"role": "user", "content": text}] for text in TEXTS]
    [first, *_] = source(make(tmp_path, prompts)).split("train")
    assert isinstance(first, Conversation)
    assert [message["role"] for message in first.messages] == ["system", "user"]
    assert first == f"Be brief.\n\n{first.messages[-1]['content']}\n\n"


def test_messages_in_a_column_of_texts_are_messages(tmp_path):
    answered = [*MESSAGES, {"role": "assistant", "content": "Because."}]
    with (tmp_path / "train.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["messages"], [json.dumps(answered)], ["[{ is plain text"]])
    first, second = source(tmp_path).split("train")
    assert [message["content"] for message in first.messages] == ["Be brief.", "Why?"]
    assert second == "[{ is plain text"


def test_few_prompts_cannot_be_divided(tmp_path):
    file = write(tmp_path / "few.jsonl", "\n".join(map(line, "abcd")))
    with pytest.raises(TaskError, match=r"too few prompts for its validation split: at least 5 different ones"):
        source(file).split("validation")


def test_a_saved_dataset_is_found_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    as_dataset(tmp_path, TEXTS)
    [saved] = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert sorted(all_of(everything(source(f"~/{saved.name}")))) == sorted(TEXTS)


def test_the_answer_at_the_end_is_no_part_of_the_prompt(tmp_path):
    answered = [*MESSAGES, {"role": "assistant", "content": "Because."}]
    rows = [{"messages": answered, "id": "1"}, {"messages": [*answered, MESSAGES[1]], "id": "2"}]
    write(tmp_path / "train.jsonl", "\n".join(map(json.dumps, rows)))
    first, second = source(tmp_path).split("train")
    assert [message["content"] for message in first.messages] == ["Be brief.", "Why?"]
    assert [message["content"] for message in second.messages] == ["Be brief.", "Why?", "Because.", "Why?"]


def test_parts_of_a_content_that_are_texts_are_joined(tmp_path):
    content = [{"type": "text", "text": "Why"}, {"type": "text", "text": "?"}]
    write(tmp_path / "train.jsonl", line([{"role": "user", "content": content}]))
    assert source(tmp_path).split("train") == ["Why?\n\n"]


def test_a_column_is_chosen_by_name_or_because_it_is_the_only_one(tmp_path):
    table = write_table(tmp_path / "p.parquet", {"question": TEXTS, "prompt": ["x"] * 20})
    assert set(all_of(everything(source(table, prompts_column="question")))) == set(TEXTS)
    only = write_table(tmp_path / "q.parquet", {"question": TEXTS})
    assert set(all_of(everything(source(only)))) == set(TEXTS)
    with pytest.raises(TaskError, match=r"has no column 'text', did you mean 'question'\? It has question"):
        source(only, prompts_column="text").split("train")


@pytest.fixture
def hub(monkeypatch):
    """Datasets by name, as a hub would give them; what was asked of it."""
    held, asked = {}, []

    def load_dataset(name, revision=None):
        asked.append((name, revision))
        return held[name]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    held["asked"] = asked
    return held


def split_of(texts):
    return datasets.Dataset.from_dict({"prompt": texts})


def test_a_hub_dataset_is_taken_as_it_is_divided(hub):
    parts = {"train": TEXTS[:10], "validation": TEXTS[10:15], "test": TEXTS[15:]}
    hub["org/films"] = datasets.DatasetDict({name: split_of(texts) for name, texts in parts.items()})
    divided = everything(source("org/films", prompts_revision="v2"))
    assert {name: set(prompts) for name, prompts in divided.items()} == {
        "train": set(TEXTS[:10]), "validation": set(TEXTS[10:15]), "heldout": set(TEXTS[15:]),
    }  # fmt: skip
    assert hub["asked"] == [("org/films", "v2")]


def test_a_split_that_is_named_is_divided(hub):
    hub["org/films"] = datasets.DatasetDict({"train_sft": split_of(TEXTS), "test_sft": split_of(["x"])})
    divided = everything(source("org/films", prompts_split="train_sft"))
    assert sorted(all_of(divided)) == sorted(TEXTS)
    with pytest.raises(TaskError, match="name one of the splits of 'org/films': train_sft, test_sft"):
        source("org/films").split("train")
    with pytest.raises(TaskError, match=r"has no split 'train', did you mean 'train_sft'\? It has train_sft, test_sft"):
        source("org/films", prompts_split="train").split("train")


def test_what_no_hub_knows_is_said_in_a_sentence(monkeypatch):
    def load_dataset(*args, **kwargs):
        raise ConnectionError("Couldn't reach the Hub\nTraceback and advice")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(TaskError, match=r"no dataset could be loaded by that name: Couldn't reach the Hub\. Give a"):
        source("org/none").split("train")
