"""The table "what you have, what you write" of docs/your-own-models.md: each row runs with small files of its kind."""

import csv
import json
import re
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import datasets
import pyarrow
import pytest
import torch
import yaml
from peft import LoraConfig, get_peft_model
from pyarrow import parquet
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from inner_loop.models.model_source import model_source
from inner_loop.spec import AttributionConfig, EvaluationConfig, PPOConfig, TaskConfig, TrialSpec, result_of
from inner_loop.trial import run_trial
from tests.docs.test_snippets import blocks
from tests.inner_loop.conftest import make_tiny_policy
from tests.inner_loop.tiny_classifiers import tiny_llama

PAGE = Path(__file__).parents[2] / "docs" / "your-own-models.md"
ROW = re.compile(r"^\| (?P<have>[^|]+) \| `(?P<write>\{.*\})` \|$", re.MULTILINE)
ROWS = {row["have"]: yaml.safe_load(row["write"]) for row in ROW.finditer(PAGE.read_text("utf-8"))}

TEXTS = [f"the film number {number} is" for number in range(40)]
CHAT_TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture
def at_work(tmp_path, monkeypatch, tokenizer):
    """A working folder in which functions are found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def tokenizer():
    return model_source("embedded", "policy").tokenizer()


def write_jsonl(file, rows):
    Path(file).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def chat(text):
    roles = ["system", "user", "assistant", "user", "assistant"]
    contents = ["Be brief.", text, "good", "and why?", "the answer"]
    return [{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)]


def save_policy(folder, tokenizer, **options):
    make_tiny_policy(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder, **options)


def save_classifier(folder, tokenizer, labels=("LABEL_0",), problem_type=None, positions=64):
    model = tiny_llama(tokenizer, max_position_embeddings=positions)
    model.config.id2label, model.config.label2id = dict(enumerate(labels)), {n: i for i, n in enumerate(labels)}
    model.config.problem_type = problem_type
    torch.manual_seed(0)
    model.score = torch.nn.Linear(model.config.hidden_size, len(labels), bias=False)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def adapt(model, folder, task_type):
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type=task_type))
    adapted.save_pretrained(folder)


def write_csv(file):
    with Path(file).open("w", encoding="utf-8-sig", newline="") as opened:
        csv.writer(opened, delimiter=";").writerows([["Nr", "Question"], *enumerate(TEXTS)])


def instruct(tokenizer):
    tokenizer.chat_template = CHAT_TEMPLATE
    save_policy("my-instruct", tokenizer)


def make_folder(tokenizer):
    Path("my-prompts").mkdir()
    write_jsonl("my-prompts/train.jsonl", [{"prompt": text} for text in TEXTS[:30]])
    write_jsonl("my-prompts/validation.jsonl", [{"prompt": text} for text in TEXTS[30:]])


def make_chats(tokenizer):
    instruct(tokenizer)
    write_jsonl("chats.jsonl", [{"messages": chat(text)} for text in TEXTS])


def make_hub(tokenizer, monkeypatch):
    split = datasets.Dataset.from_dict({"prompt": TEXTS})
    monkeypatch.setattr(datasets, "load_dataset", lambda name, revision: {"my-org/my-prompts": as_dict(split)}[name])


def as_dict(split):
    return datasets.DatasetDict({"train": split, "test": split})


def make_adapter(tokenizer):
    save_policy("base", tokenizer)
    adapt(AutoModelForCausalLM.from_pretrained("base"), "my-adapter", "CAUSAL_LM")


def make_reward_adapter(tokenizer):
    save_policy("base", tokenizer)
    adapt(AutoModelForSequenceClassification.from_pretrained("base", num_labels=1), "my-reward-adapter", "SEQ_CLS")


def make_chat_reward(tokenizer):
    tokenizer.chat_template = CHAT_TEMPLATE
    save_classifier("my-chat-reward", tokenizer)


class RewardServer(BaseHTTPRequestHandler):
    """Scores a list of texts by their lengths."""

    def do_POST(self):
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps([len(text) / 10 for text in texts]).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Nothing on the terminal."""


def make_server(tokenizer, request):
    server = HTTPServer(("127.0.0.1", 0), RewardServer)
    Thread(target=server.serve_forever, daemon=True).start()
    request.addfinalizer(server.server_close)
    request.addfinalizer(server.shutdown)
    [code] = [code for _, code in blocks(PAGE, "python") if "def score(texts)" in code]
    Path("my_server.py").write_text(code.replace("localhost:8000", f"127.0.0.1:{server.server_port}"), encoding="utf-8")


STARS = [f"{stars} stars" for stars in range(1, 6)]

KINDS = {
    "a folder with": make_folder,
    "one file of chats": make_chats,
    "a CSV file": lambda _: write_csv("sheet.csv"),
    "a Parquet file": lambda _: parquet.write_table(pyarrow.table({"prompt": TEXTS}), "prompts.parquet"),
    "a dataset on the Hugging Face hub": make_hub,
    "a dataset that": lambda _: datasets.Dataset.from_dict({"prompt": TEXTS}).save_to_disk("saved-dataset"),
    "prompts of which": lambda _: write_jsonl("long.jsonl", [{"prompt": f"{text} one of the best"} for text in TEXTS]),
    "an instruct model": instruct,
    "a LoRA adapter of a language": make_adapter,
    "a LoRA adapter of a reward": make_reward_adapter,
    "a classifier of five": lambda tokenizer: save_classifier("my-stars", tokenizer, STARS),
    "a reward model of several": lambda tokenizer: save_classifier(
        "my-attributes", tokenizer, ["helpful", "verbose", "correct"], "regression"
    ),
    "a reward model that was trained": make_chat_reward,
    "a language model that can judge": lambda tokenizer: save_policy("my-judge", tokenizer),
    "a reward model behind a server": make_server,
    "responses that are longer": lambda tokenizer: save_classifier("my-reward", tokenizer, positions=16),
}
"""What makes the files of a row, by how the row begins."""


@pytest.mark.parametrize("have", ROWS)
def test_what_is_written_runs_with_what_somebody_has(have, at_work, tokenizer, monkeypatch, request):
    [make] = [make for beginning, make in KINDS.items() if have.startswith(beginning)]
    extras = {make_hub: {"monkeypatch": monkeypatch}, make_server: {"request": request}}
    make(tokenizer, **extras.get(make, {}))
    spec = TrialSpec(
        weights={"shap": 0.5, "sparse": 0.5},
        task=TaskConfig(**({"response_tokens": 12} | ROWS[have])),
        attribution=AttributionConfig(budget=8),
        ppo=PPOConfig(steps=1, rollout_size=4, minibatch_size=4),
        evaluation=EvaluationConfig(n_prompts=4),
        n_samples=2,
    )
    result = result_of(run_trial(spec))
    assert result.curve[0].kl == 0.0
    assert len(set(result.scores)) > 1
    assert all(sample.components["shap"] for sample in result.samples)


def test_every_kind_is_in_the_table():
    assert len(ROWS) == len(KINDS)
    assert all(any(have.startswith(beginning) for have in ROWS) for beginning in KINDS)
