import time

import pytest

pytest.importorskip("starlette", reason="needs starlette (extra dashboard)")

from bo_shaping.dashboard.explaining import MOST_BUDGET, ExplainingProcess, Question
from bo_shaping.errors import ExplainInputError
from tests.bo_shaping.bare_study import bare_study
from tests.bo_shaping.dashboard.hostile import HOSTILE
from tests.bo_shaping.dashboard.test_hostile import Elements

FORM = {"prompt": "This film is", "response": " a good story", "method": "shapley", "units": "words", "budget": "16"}


@pytest.fixture(scope="module")
def process():
    process = ExplainingProcess()
    yield process
    process.close()


def test_a_text_is_explained_with_shaps_own_plot_beside(client):
    answer = client.post("/explorer/", data=FORM | {"method": ["shapley", "lime"]})
    assert answer.status_code == 200
    assert "8 evaluations" in answer.text
    assert answer.text.count('class="row"') == 2
    frame = client.get("/explorer/shap/1")
    assert "sandbox" in frame.headers["content-security-policy"]
    assert "script-src" not in frame.headers["content-security-policy"]
    assert "good" in frame.text


def test_hostile_texts_come_back_as_texts(process):
    answer = process.ask(Question(prompt=HOSTILE[0], response=" ".join(HOSTILE[:12]), budget=8, units="words"))
    for html in answer.values():
        found = Elements(html)
        assert {"script", "img", "iframe", "body", "object"}.isdisjoint(found.strange)
        assert [name for name in found.strange if " on" in name] == []
        assert found.n_scripts == 0
    assert "&lt;script&gt;" in answer["ours"]


@pytest.mark.parametrize(("change", "message"), [
    ({"response": " "}, "Write a response"),
    ({"response": "x" * 6_001}, "6001 characters; at most 6000"),
    ({"prompt": "x" * 4_001}, "4001 characters"),
    ({"methods": ()}, "Choose a method"),
    ({"methods": ("nothing",)}, "no method of that name"),
    ({"methods": ("shapley", "lime", "owen", "prefix", "solo")}, "at most 4 methods"),
    ({"units": "pages"}, "no such units"),
    ({"budget": 1}, "between 2 and 1024"),
    ({"budget": MOST_BUDGET + 1}, "between 2 and 1024"),
])  # fmt: skip
def test_what_is_too_much_is_refused_before_anything_runs(change, message):
    process = ExplainingProcess()
    with pytest.raises(ExplainInputError, match=message):
        process.ask(Question(**{"response": "a text", **change}))
    assert process._process is None


def test_a_form_that_no_person_types_is_refused(client):
    answer = client.post("/explorer/", data=FORM | {"response": "x" * 200_000})
    assert "more than 100 kB" in answer.text
    answer = client.post("/explorer/", data=FORM | {"budget": "1e9"})
    assert "whole number" in answer.text


def test_the_code_of_a_studys_reward_model_is_not_run(client, studies):
    bare_study(studies / "mine", task={"reward_model": "os:getcwd"})
    answer = client.post("/explorer/", data=FORM | {"study": "mine"})
    assert "is a function, whose code the dashboard does not run" in answer.text
    answer = client.post("/explorer/", data=FORM | {"study": "../mine"})
    assert "There is no study" in answer.text


def test_a_question_that_takes_too_long_is_ended_and_the_next_one_is_answered(process):
    hasty = ExplainingProcess(patience=0.05)
    with pytest.raises(ExplainInputError, match=r"took more than 0 seconds and was ended"):
        hasty.ask(Question(response="a good film"))
    assert hasty._process is None
    assert "ours" in process.ask(Question(response="a good film"))


def test_one_text_at_a_time(process, monkeypatch):
    monkeypatch.setattr("bo_shaping.dashboard.explaining.WAIT_SECONDS", 0.05)
    with process._busy:
        started = time.monotonic()
        with pytest.raises(ExplainInputError, match="one is at a time"):
            process.ask(Question(response="a good film"))
        assert time.monotonic() - started < 5


def test_a_process_that_died_is_replaced(process):
    assert "ours" in process.ask(Question(response="a good film"))
    process._process.kill()
    process._process.wait()
    assert "ours" in process.ask(Question(response="a good film"))


def test_a_model_that_is_not_there_is_said(process):
    with pytest.raises(ExplainInputError, match="nowhere"):
        process.ask(Question(response="a good film", reward_model="/nowhere/model"))
