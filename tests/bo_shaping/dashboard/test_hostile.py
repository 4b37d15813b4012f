import json
import re
from html.parser import HTMLParser

import pytest

from bo_shaping.text.hidden_characters import is_hidden
from tests.bo_shaping.bare_study import add_trial, bare_study
from tests.bo_shaping.dashboard.conftest import run_trial, sample
from tests.bo_shaping.dashboard.hostile import HOSTILE

OURS = {
    "html",
    "head",
    "meta",
    "title",
    "link",
    "script",
    "body",
    "a",
    "nav",
    "span",
    "main",
    "header",
    "p",
    "h1",
    "h2",
    "h3",
    "b",
    "dl",
    "div",
    "dt",
    "dd",
    "section",
    "ul",
    "li",
    "figure",
    "picture",
    "source",
    "img",
    "figcaption",
    "form",
    "label",
    "input",
    "select",
    "option",
    "noscript",
    "button",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "small",
    "br",
    "i",
    "progress",
    "details",
    "summary",
    "pre",
    "style",
    "bdi",
    "time",
    "code",
    "textarea",
    "fieldset",
    "legend",
}


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.strange: list[str] = []
        self.n_scripts = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.n_scripts += tag == "script"
        self.strange += [tag] if tag not in OURS else []
        self.strange += [f"{tag} {name}" for name, _ in attrs if name.startswith("on")]
        links = [value or "" for name, value in attrs if name in ("href", "src", "srcset", "action")]
        self.strange += [link for link in links if "javascript:" in link.partition("?")[0]]


def check(html: str) -> None:
    elements = Elements(html)
    assert elements.strange == []
    assert elements.n_scripts == 1
    assert [character for character in html if is_hidden(character) and character != "\n"] == []


def hostile_study(studies):
    """A study whose every text is hostile."""
    folder = bare_study(studies / "toy")
    run_trial(folder, 0, samples=[sample((*HOSTILE, ""), prompt=text, score=i) for i, text in enumerate(HOSTILE[:4])])
    for index, text in enumerate(HOSTILE, start=1):
        add_trial(folder, index, "failed", reason=text, earlier=(text,))
        folder.trial(index).log_file.write_text(text)
    for text in HOSTILE:
        folder.add_note(text)
    return folder


def test_no_text_of_a_study_becomes_a_part_of_a_page(client, studies):
    hostile_study(studies)
    for address in (
        "/",
        "/study/toy/",
        "/study/toy/trial/0/",
        *(f"/study/toy/trial/{i}/" for i in range(1, len(HOSTILE))),
    ):
        answer = client.get(address)
        assert answer.status_code == 200
        check(answer.text)


def test_no_text_becomes_a_part_of_an_event(shelf, studies):
    pytest.importorskip("starlette", reason="needs starlette (extra dashboard)")
    from bo_shaping.dashboard.events import changes
    from bo_shaping.dashboard.pages import Pages

    hostile_study(studies)
    for look in (Pages(shelf).look_at_studies, lambda: Pages(shelf).look_at_study("toy")):
        change = changes(None, look()[1]())
        assert "\n" not in json.dumps(change)
        for html in (*change.get("parts", {}).values(), *change["rows"].values()):
            assert re.findall(r"<(script|svg|iframe|img|body|video|object|meta|base)\b", html) == []


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "a\"b'c&d", "100%", "a b?c#d", "\u202eevil", "x;y=1", "-rf"]
)
def test_names_of_folders_are_shown_and_found_whatever_they_are(client, studies, name):
    bare_study(studies / "plain").path.rename(studies / name)
    page = client.get("/").text
    check(page)
    address = (
        re.search(r'<th scope="row"><a href="([^"]*)"', page).group(1).replace("&#x27;", "'").replace("&amp;", "&")
    )
    study = client.get(str(client.base_url.join("/").join(address)))
    assert study.status_code == 200
    check(study.text)


def test_the_search_and_the_filter_send_nothing_back_unescaped(client, studies):
    hostile_study(studies)
    for text in HOSTILE:
        html = client.get("/", params={"q": text}).text
        assert Elements(html).strange == []
        assert Elements(client.get("/study/toy/", params={"status": text}).text).strange == []
        assert Elements(client.get("/compare/", params={"study": [text, "toy"]}).text).strange == []
        assert Elements(client.get("/explorer/", params={"prompt": text, "response": text}).text).strange == []


def test_a_token_of_a_megabyte_and_a_hundred_thousand_tokens_make_a_page_that_can_be_shown(client, studies):
    folder = bare_study(studies / "toy")
    run_trial(folder, 0, samples=[sample(("x" * 1_000_000, ""), prompt="p" * 1_000_000)])
    run_trial(folder, 1, samples=[sample(tuple([" w"] * 100_000))])
    for index, words in ((0, "998000 more characters"), (1, "100000 tokens")):
        page = client.get(f"/study/toy/trial/{index}/").text
        assert words in page
        assert len(page) < 1_500_000


def test_cells_of_a_spreadsheet_are_no_formulas():
    from bo_shaping.dashboard.tables import csv_text

    text = csv_text((["name"], [["=1+1"], ["+1"], ["-x"], ["@a"], [-1.5], [None]]))
    assert text.splitlines() == ["name", "'=1+1", "'+1", "'-x", "'@a", "-1.5", '""']
