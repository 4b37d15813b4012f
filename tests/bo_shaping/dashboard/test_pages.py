import re
import sqlite3
from html.parser import HTMLParser

import pytest

from bo_shaping.cli.serving import serve
from bo_shaping.storage.database import Database
from tests.bo_shaping.bare_study import add_trial, bare_study
from tests.bo_shaping.dashboard.conftest import run_trial

STUDY_PICTURES = ("simplex", "weights", "curves", "kl", "alike", "timeline")


class Outline(HTMLParser):
    """What a page is made of: elements in order, texts, and addresses that it asks for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset") and value]


def test_the_list_shows_state_trials_and_the_last_note(client, toy, studies):
    bare_study(studies / "empty")
    page = client.get("/").text
    assert page.count("<tr id=") == 2
    assert "4 / 14" in page
    assert "interrupted" in page
    assert "unfinished" in page
    assert "a first look" in page


def test_the_list_can_be_searched_without_a_script(client, toy, studies):
    bare_study(studies / "other")
    rows = re.findall(r'<tr id="study-([0-9a-f]+)"( hidden)?', client.get("/?q=OTHER").text)
    assert {bytes.fromhex(name).decode(): bool(hidden) for name, hidden in rows} == {"toy": True, "other": False}


def test_a_damaged_study_hides_no_other(client, toy, studies):
    broken = bare_study(studies / "broken")
    broken.journal.path.write_text("no journal\n")
    page = client.get("/").text
    assert "damaged" in page
    assert ">toy</a>" in page
    answer = client.get("/study/broken/")
    assert answer.status_code == 500
    assert "damaged in line 1" in answer.text


def test_no_studies_is_said_with_the_way_to_one(client):
    assert "bo-shaping launch CONFIG.yaml" in client.get("/").text


def test_a_study_begins_with_five_facts(client, toy):
    page = client.get("/study/toy/").text
    facts = re.search(r'<dl class="tiles" id="facts">(.*?)</dl>', page).group(1)
    names = re.findall(r"<dt>(.*?)</dt>", facts)
    assert len(names) == 5
    assert names[0] == "recommended mixture"
    assert "P(better than sparse)" in names
    assert "3 of 14" in facts


def test_every_picture_of_a_study_can_be_downloaded(client, toy):
    page = client.get("/study/toy/").text
    for name in STUDY_PICTURES:
        assert f'download="toy-{name}.csv"' in page
        assert client.get(f"/study/toy/picture/{name}.png").content.startswith(b"\x89PNG")
        light, dark = (client.get(f"/study/toy/picture/{name}.{kind}").text for kind in ("svg", "dark.svg"))
        assert "<svg" in light
        assert light != dark
        lines = client.get(f"/study/toy/picture/{name}.csv").text.splitlines()
        assert len({line.count(",") for line in lines}) == 1


def test_curves_show_trials_that_still_run(client, toy):
    rows = client.get("/study/toy/picture/curves.csv").text.splitlines()
    assert [row.split(",")[1] for row in rows if row.startswith("3,")] == ["running"]
    assert 'id="running"' in client.get("/study/toy/picture/curves.svg").text


def test_the_timeline_puts_trials_that_overlap_on_lanes_of_their_own(shelf, toy, studies):
    import os

    from bo_shaping.dashboard.study_view import StudyView
    from bo_shaping.dashboard.timeline import timeline_spans

    for index, (start, end) in {0: (1000.0, 1010.0), 1: (1005.0, 1020.0)}.items():
        folder = toy.trial(index).path
        os.utime(folder / "spec.json", (start, start))
        os.utime(folder / "result.json", (end, end))
        add_trial(toy, index, "completed", seconds=end - start)
    run_trial(toy, 4)
    folder = toy.trial(4).path
    os.utime(folder / "spec.json", (1012.0, 1012.0))
    os.utime(folder / "result.json", (1015.0, 1015.0))
    lanes = {span.trial: span.lane for span in timeline_spans(StudyView.of(shelf.folder("toy")))}
    assert lanes == {0: 0, 1: 1, 4: 0}


def test_trials_can_be_filtered_by_state_without_a_script(client, toy):
    rows = re.findall(
        r'<tr id="trial-(\d)" data-state="\w+"[^>]*?( hidden)?>', client.get("/study/toy/?status=failed").text
    )
    assert {int(index): bool(hidden) for index, hidden in rows} == {0: True, 1: True, 2: False, 3: True}


def test_a_trial_shows_its_token_credit_before_and_after_training(client, toy):
    page = client.get("/study/toy/trial/0/").text
    before, after = page.index("Before training"), page.index("After training")
    assert page.index("score <b>-1.00</b>") < after
    assert before < after < page.index("score <b>+1.00</b>")
    assert client.get("/study/toy/trial/0/picture/training.csv").text.count("\n") == 4


def test_a_failed_trial_says_why_and_shows_what_it_printed(client, toy):
    toy.trial(2).log_file.write_text("Traceback: no\x1b[31m luck\n")
    page = client.get("/study/toy/trial/2/").text
    assert "the rewards were not finite" in page
    assert r"no\u001b[31m luck" in page


def test_studies_are_compared_side_by_side_with_what_differs(client, toy, studies):
    bare_study(studies / "other", seed=7, evaluation={"n_prompts": 32})
    page = client.get("/compare/?study=toy&study=other").text
    assert "<code>seed</code>" in page
    assert "not on one scale" in page
    assert client.get("/compare/curves.csv?study=toy&study=other").text.splitlines()[1].startswith("toy,")
    assert "Tick two or more" in client.get("/compare/?study=toy").text


@pytest.mark.parametrize("address", [
    "/study/none/", "/study/toy/trial/9/", "/study/toy/trial/x/", "/study/toy/picture/none.svg",
    "/study/toy/picture/curves.exe", "/static/secret", "/study/%2e%2e%2ftoy/", "/explorer/shap/7",
])  # fmt: skip
def test_what_is_not_there_is_not_found(client, toy, address):
    answer = client.get(address)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_pages_hold_no_script_of_their_own_and_ask_only_this_server(client, toy):
    for address in ("/", "/study/toy/", "/study/toy/trial/0/", "/compare/", "/explorer/"):
        outline = Outline(client.get(address).text)
        assert outline.tags.count("script") == 1
        assert outline.handlers == []
        assert [link for link in outline.addresses if "//" in link] == []
        assert outline.tags.count("h1") == 1
        assert {"nav", "main", "title"} <= set(outline.tags)


def test_links_between_the_pages_lead_somewhere(client, toy):
    for address in ("/", "/study/toy/", "/study/toy/trial/1/"):
        for link in set(Outline(client.get(address).text).addresses):
            if not link.startswith("#"):
                assert client.get(str(client.base_url.join(address).join(link))).status_code == 200, (address, link)


def test_looking_changes_no_file_and_opens_no_database(client, toy, studies, state_of, monkeypatch):
    def refuse(*_args, **_settings):
        raise AssertionError("a database was opened")

    monkeypatch.setattr(Database, "__init__", refuse)
    monkeypatch.setattr(sqlite3, "connect", refuse)
    (studies / "toy" / "study.db").write_bytes(b"not looked at")
    text = toy.config_file.read_text()
    toy.config_file.write_text(text.replace("storage: null", "storage: postgresql://me:secret@nowhere/x"))
    before = state_of(studies)
    addresses = ["/", "/study/toy/", "/study/toy/trial/0/", "/study/toy/trial/3/", "/compare/?study=toy&study=toy"]
    addresses += [f"/study/toy/picture/{name}.svg" for name in STUDY_PICTURES]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code == 200
        assert "secret" not in answer.text
    assert state_of(studies) == before


def test_nothing_can_be_written(client, toy):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/study/toy/").status_code == 405


def test_pictures_are_asked_for_again_only_when_they_have_changed(client, toy):
    first = client.get("/study/toy/picture/kl.svg")
    tag = first.headers["etag"]
    assert client.get("/study/toy/picture/kl.svg", headers={"If-None-Match": tag}).status_code == 304
    run_trial(toy, 5, mean=3.0, kl=1.5)
    assert client.get("/study/toy/picture/kl.svg", headers={"If-None-Match": tag}).status_code == 200


def test_the_command_is_there():
    assert "nothing is written" in serve.__doc__
