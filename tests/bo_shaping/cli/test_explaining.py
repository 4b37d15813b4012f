import json
import re
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

import inner_loop.attribution
from bo_shaping.config.explain_choices import METHODS
from bo_shaping.views.explain_text import print_credits
from tests.bo_shaping.views.report.made_up import EVIL, make_credit


@pytest.fixture
def asked(monkeypatch):
    """Made-up explanations; yields what `explain` was asked for."""
    calls = {}

    def explain(reward_model, prompts, responses, *, methods, **settings):
        calls.update(settings, reward_model=reward_model, methods=methods)
        return [make_credit(*pair, methods=methods) for pair in zip(prompts, responses, strict=True)]

    monkeypatch.setattr("inner_loop.attribution.explain", explain)
    return calls


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    def refuse(name, **settings):
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr("inner_loop.models.reward_models.as_reward_model", refuse)


def printed(credits_, **console):
    terminal = Console(highlight=False, record=True, **({"width": 80} | console))
    with terminal.capture() as capture:
        print_credits(credits_, terminal)
    return capture.get()


def test_a_reader_can_add_up_the_units_to_the_score(bo_shaping, asked):
    code, out, _ = bo_shaping("explain", "--prompt", "The film", "--response", " is very good")
    assert code == 0
    rows = re.findall(r"^ *([+-]\d+\.\d+|0) +(\d+\.\d+)  (.*?) *$", out, re.MULTILINE)
    assert [unit for _, _, unit in rows] == [" is", " very", " good"]
    full, base, rest = map(float, re.search(r"score (\S+) - base value (\S+) = (\S+); 8 evaluations", out).groups())
    assert full - base == pytest.approx(rest, abs=1e-9)
    assert sum(float(value) for value, _, _ in rows) == pytest.approx(rest, abs=1e-9)
    assert re.search(r"^ *\+0\.7500 +sum", out, re.MULTILINE)


def test_the_defaults_are_shapley_values_of_the_embedded_reward_model(bo_shaping, asked):
    bo_shaping("explain", "--response", "x")
    assert asked == {
        "reward_model": "embedded", "methods": ["shapley"], "units": "auto", "budget": 64, "masking": "remove",
        "chat_template": None, "label": None, "long_responses": "tail",
    }  # fmt: skip


def test_every_option_reaches_the_explanation(bo_shaping, asked):
    options = "--method lime --method owen --method lime --units words --masking mask --budget 10 --reward-model m:f"
    options += " --chat-template --label good --long-responses head"
    bo_shaping("explain", "--response", "x", *options.split())
    assert asked == {
        "reward_model": "m:f", "methods": ["lime", "owen"], "units": "words", "budget": 10, "masking": "mask",
        "chat_template": True, "label": "good", "long_responses": "head",
    }  # fmt: skip


def test_the_methods_offered_are_all_that_explain_the_reward_model():
    assert set(inner_loop.attribution.METHODS) - set(METHODS) == {"implicit", "token_model"}


def test_a_file_is_explained_line_by_line_and_json_holds_everything(bo_shaping, asked, tmp_path):
    pairs = [{"prompt": "p é", "response": " one two", "stars": 5}, {"prompt": "", "response": ""}]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\ufeff" + "\r\n\r\n".join(map(json.dumps, pairs)) + "\n", encoding="utf-8")
    code, out, _ = bo_shaping("explain", "--file", file, "--method", "lime", "--method", "attention", "--json")
    first, empty = json.loads(out)
    expected = make_credit("p é", " one two", methods=("lime", "attention"))
    assert code == 0
    assert (first["prompt"], first["response"]) == ("p é", " one two")
    assert (first["base_value"], first["full_value"], first["n_evaluations"]) == (-0.5, expected.full_value, 4)
    assert first["units"][1] == {
        "text": " two", "start": 4, "end": 8,
        "values": {"lime": expected.values["lime"][1], "attention": expected.values["attention"][1]},
        "std": {"lime": expected.std["lime"][1], "attention": expected.std["attention"][1]},
    }  # fmt: skip
    assert empty["units"] == []
    assert re.findall(r"Response \d of \d", bo_shaping("explain", "--file", file)[1]) == [
        "Response 1 of 2",
        "Response 2 of 2",
    ]


GOOD_LINE = b'{"prompt": "p", "response": "r"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no file FILE."),
        (b"\n \n", "FILE is empty; write lines like {"),
        (GOOD_LINE + b"\n{'prompt'}\n", "FILE:3 is not JSON (Expecting property name enclosed in double quotes at"),
        (GOOD_LINE + b"[1]", "FILE:2 is not a JSON object; write one per line: {"),
        (b'{"prompt": "p", "reponse": "r"}', "FILE:1 has no 'response', only 'prompt', 'reponse'; a line looks like {"),
        (b"{}", "FILE:1 has no 'prompt', nothing; a line looks like {"),
        (b'{"prompt": "p", "response": null}', "FILE:1: 'response' is not a text; put it in quotes."),
        (GOOD_LINE * 3 + b'{"prompt": "\xff", "response": "r"}', "FILE:4 is not UTF-8; save the file as UTF-8."),
        (b'{"prompt": "p", "response": "\\ud800"}', "FILE:1: 'response' has half of a surrogate pair"),
        (b"[" * 100_000, "FILE:1 is not JSON ("),
    ],
)
def test_a_bad_file_is_named_with_its_line_before_anything_is_loaded(
    bo_shaping, nothing_is_loaded, tmp_path, content, message
):
    file = tmp_path / "pairs.jsonl"
    if content is not None:
        file.write_bytes(content)
    code, out, err = bo_shaping("explain", "--file", file)
    assert code == 2
    assert err.startswith(f"bo-shaping: {message.replace('FILE', str(file))}")
    assert len(err.splitlines()) == 1
    assert out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give --response TEXT (with --prompt), or --file F.jsonl"),
        (("--prompt", "p"), "Give --response TEXT (with --prompt), or --file F.jsonl"),
        (("--response", "r", "--file", "f.jsonl"), "Give either --file or --response (with --prompt), not both."),
        (("--prompt", "p", "--file", "f.jsonl"), "Give either --file or --response (with --prompt), not both."),
        (("--response", "\udcff"), "--response is not valid UTF-8."),
        (("--response", "r", "--method", "shaply"), "--method 'shaply' does not exist, did you mean 'shapley'?"),
        (("--response", "r", "--units", "word"), "--units 'word' does not exist, did you mean 'words'?"),
        (("--response", "r", "--masking", "drop"), "--masking 'drop' does not exist, did you mean"),
        (("--response", "r", "--budget", "-3"), "--budget must be at least 2, the full and the empty response, got -3"),
        (("--response", "r", "--html", "no/folder/page.html"), "--html: there is no folder "),
        (("--response", "r", "--html", "."), "--html: . is a folder; name a file in it."),
    ],
)
def test_bad_settings_are_one_clear_sentence_before_anything_is_loaded(
    bo_shaping, nothing_is_loaded, arguments, message
):
    code, out, err = bo_shaping("explain", *arguments)
    assert code == 2
    assert err.startswith(f"bo-shaping: {message}")
    assert len(err.splitlines()) == 1
    assert out == ""


def test_text_is_never_markup_nor_control():
    out = printed([make_credit(EVIL, f" a{EVIL} \x1b[31m\nb")])
    assert re.search("[\u202e\u200b\x1b]", out) is None
    assert "\\u202e" in out
    assert "\\u001b[31m" in out
    assert "[bold red]x[/bold red]" in "".join(out.split("\n")).replace("  ", "")


def test_a_terminal_shows_red_where_the_score_is_raised_and_blue_where_it_is_lowered():
    out = printed([make_credit("", "up down", [2.0, -1.0])], force_terminal=True, color_system="truecolor")
    (up, down) = re.findall(r"\x1b\[38;2;0;0;0;48;2;(\d+);\d+;(\d+)m(?=up| down)", out)
    assert int(up[0]) > int(up[1])
    assert int(down[0]) < int(down[1])


def test_sixteen_colours_are_enough():
    out = printed([make_credit("", "up down so", [2.0, -2.0, 0.1])], force_terminal=True, color_system="standard")
    assert "\x1b[97;41mup\x1b[0m\x1b[97;44m down\x1b[0m so" in out


def test_a_narrow_terminal_gets_a_table_per_method():
    credit = make_credit("p", "one two three", methods=METHODS[:5])
    wide, narrow = printed([credit], width=100), printed([credit], width=40)
    assert wide.count("sum") == 1
    assert narrow.count("sum") == 5
    assert all(len(line) <= 40 for line in narrow.splitlines() if not line.startswith("score"))
    for value in re.findall(r"[+-]\d\.\d\d\d", wide):
        assert value in narrow


def test_exact_values_have_no_deviation():
    exact = make_credit("p", "one two", exact=True)
    assert "±" not in printed([exact])
    assert "± std" in printed([make_credit("p", "one two")])


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_numbers_of_any_size_keep_four_digits(scale):
    out = printed([make_credit("p", "a b", np.array([1.2345, -0.5]) * scale)])
    assert re.search(r"\+(0\.0000123[45]|1\.23[45]|12345\d) ", out)


def test_a_response_without_units_says_so():
    out = printed([make_credit("p", "")])
    assert "no units" in out
    assert "score -0.50 - base value -0.50 = 0; 1 evaluation\n" in out


def test_the_page_is_written_whole_or_not_at_all(bo_shaping, asked, tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    code, out, _ = bo_shaping("explain", "--response", " fine", "--html", page)
    assert (code, out.strip()) == (0, str(page))
    before = page.read_text(encoding="utf-8")
    assert " fine</bdi>" in before
    code, out, _ = bo_shaping("explain", "--response", " other", "--html", page, "--json")
    assert json.loads(out)[0]["response"] == " other"
    assert " other</bdi>" in page.read_text(encoding="utf-8")

    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
    assert bo_shaping("explain", "--response", " third", "--html", page)[0] == 2
    assert " other</bdi>" in page.read_text(encoding="utf-8")


def test_explaining_needs_no_ax_and_asking_for_help_no_torch():
    script = (
        "import sys\nfrom bo_shaping import cli\n"
        "def run(*arguments):\n"
        "    sys.argv = ['bo-shaping', *arguments]\n"
        "    try:\n        cli.main()\n    except SystemExit as stop:\n        assert not stop.code, stop.code\n"
        "    print([name for name in ('ax', 'botorch', 'torch', 'matplotlib') if name in sys.modules])\n"
        "run('--help')\n"
        "run('explain', '--reward-model', 'tests.bo_shaping.closed_form:count_good', '--units', 'words',\n"
        "    '--response', ' very good')\n"
    )
    command = [sys.executable, "-c", script]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "[]" in lines
    assert re.search(r"^ \+1\.000 +good", "\n".join(lines), re.MULTILINE)
    assert "ax" not in lines[-1]
    assert "botorch" not in lines[-1]
