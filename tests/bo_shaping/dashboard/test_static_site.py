from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("starlette", reason="needs starlette (extra dashboard)")

from bo_shaping.dashboard.static_site import write_static
from tests.bo_shaping.bare_study import add_trial, bare_study
from tests.bo_shaping.dashboard.conftest import run_trial


class Links(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("href", "src", "srcset") and value]


def test_every_page_is_a_file_and_every_link_leads_to_one(shelf, toy, studies, tmp_path):
    second = bare_study(studies / "second", seed=3)
    run_trial(second, 0)
    second.path.rename(studies / "a & b")
    broken = bare_study(studies / "broken")
    broken.journal.path.write_text("no journal\n")
    index = write_static(shelf, tmp_path / "site")
    assert index == tmp_path / "site" / "index.html"
    pages = list((tmp_path / "site").rglob("*.html"))
    names = {str(page.relative_to(tmp_path / "site").parent) for page in pages}
    assert names >= {
        ".",
        "study/toy",
        "study/a & b",
        "study/broken",
        "study/toy/trial/0",
        "study/toy/trial/3",
        "compare",
    }
    for page in pages:
        links = Links(page.read_text()).found
        assert links
        for link in links:
            parts = urlsplit(link)
            assert not parts.scheme
            assert not parts.netloc
            assert not link.startswith("/")
            if parts.path:
                target: Path = page.parent / unquote(parts.path)
                assert target.is_file(), (page, link)


def test_files_wait_for_no_server(shelf, toy, tmp_path):
    page = (write_static(shelf, tmp_path / "site").parent / "study" / "toy" / "index.html").read_text()
    assert "data-live" not in page
    assert "explorer" not in page


def test_writing_again_replaces_what_was_there(shelf, toy, studies, tmp_path, state_of):
    before = state_of(studies)
    write_static(shelf, tmp_path / "site")
    run_trial(toy, 3)
    index = write_static(shelf, tmp_path / "site")
    assert "completed" in (index.parent / "study" / "toy" / "trial" / "3" / "index.html").read_text()
    assert set(state_of(studies)) > set(before)


def test_the_command_writes_them(bo_shaping, toy, studies, tmp_path):
    code, out, _ = bo_shaping("serve", studies, "--static", tmp_path / "site")
    assert code == 0
    assert out.strip() == str(tmp_path / "site" / "index.html")
    code, _, err = bo_shaping("serve", tmp_path / "nothing")
    assert code == 2
    assert "There is no folder" in err
    code, _, err = bo_shaping("serve", toy.path, "--static", tmp_path / "site")
    assert code == 2
    assert "is a study; name the folder that holds it" in err


def test_no_page_says_where_on_the_machine_the_studies_are(client, shelf, toy, studies, tmp_path, monkeypatch):
    # Nor of a study outside the usual folder, whose commands need its path, nor of one that cannot be read.
    monkeypatch.setenv("BO_SHAPING_STUDIES", str(tmp_path / "elsewhere"))
    bare_study(studies / "broken").journal.path.write_text("no journal\n")
    add_trial(bare_study(studies / "left"), 0, "running")
    write_static(shelf, tmp_path / "site")
    pages = [page.read_text() for page in (tmp_path / "site").rglob("*.html")]
    pages += [client.get(address).text for address in ("/", "/study/toy/", "/study/left/", "/study/broken/")]
    assert any("bo-shaping resume left" in page for page in pages)
    assert any("is damaged in line 1" in page for page in pages)
    assert [page for page in pages if str(tmp_path) in page] == []
