import base64
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bo_shaping.text.escaping import escape
from bo_shaping.views.report import write_report
from tests.bo_shaping.views.report.made_up import EVIL, make_front

STATES = {
    "nothing yet": {"n_finished": 0, "n_failed": 0},
    "all failed": {"n_finished": 0, "n_failed": 3},
    "one trial": {"n_finished": 1, "n_failed": 0},
    "two components": {"components": ("shap", "sparse")},
    "three components": {},
    "four components": {"components": ("shap", "lime", "owen", "sparse"), "n_finished": 6},
}


class Page(HTMLParser):
    """Tags, and everything that a browser would load or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.loads += [value for name, value in attrs if name in {"src", "href", "srcset", "action", "data"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("state", STATES)
def test_the_page_loads_and_runs_nothing(make_study, state):
    html = write_report(make_study(**STATES[state])).read_text(encoding="utf-8")
    page = Page(html)
    assert page.tags.isdisjoint({"script", "iframe", "object", "link", "base", "form"})
    assert page.handlers == []
    assert len(page.loads) >= 3
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    assert not re.search(r"https?://|@import|url\(", html)
    assert (
        "default-src &#x27;none&#x27;" in html or "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    )
    assert len(html) < 6_000_000


def test_numbers_of_the_recommendation_are_in_the_page(make_study):
    text = Page(write_report(make_study(n_finished=12)).read_text(encoding="utf-8")).text
    for number in ("0.75", "0.65 to 0.88", "0.83", "0.7 to 0.9", "2.35", "1.23 to 3.21", "6.5", "88 %", "65 %"):
        assert number in text, number


def test_what_is_uncertain_is_in_the_page(make_study):
    text = Page(write_report(make_study(n_finished=12)).read_text(encoding="utf-8")).text
    # Regret; shap, lime and sparse alone are best with 7, 14 and 21 %; the rest is left for mixtures.
    for word in ("0.042", "7 %", "14 %", "21 %", "a mixture–58 %"):
        assert word in text, word


def test_a_study_with_a_front_shows_it(make_study):
    study = make_study(n_finished=5)
    n_before = len(Page(write_report(study).read_text(encoding="utf-8")).loads)
    study.recommendation = replace(study.recommendation, front=make_front(("shap", "lime", "sparse")))
    index = write_report(study)
    page = Page(index.read_text(encoding="utf-8"))
    assert len(page.loads) == n_before + 1
    assert (index.parent / "front.png").read_bytes().startswith(b"\x89PNG")
    assert "0.750.000.250.833.002.75 to 3.506.05.2 to 7.0" in page.text


def test_model_and_failure_text_is_escaped(make_study):
    html = write_report(make_study()).read_text(encoding="utf-8")
    assert EVIL not in html
    assert not re.search("<img src=x|[\u200b\u202e]", html)
    assert f"diverged: {escape(EVIL)}" in html


def test_pictures_in_the_page_are_the_files_beside_it(make_study):
    index = write_report(make_study())
    embedded = {base64.b64decode(load.partition(",")[2]) for load in Page(index.read_text(encoding="utf-8")).loads}
    assert {file.read_bytes() for file in index.parent.glob("*.png")} == embedded
    assert {"simplex.png", "curves.png", "weights.png"} <= {file.name for file in index.parent.glob("*.png")}
    assert all(png.startswith(b"\x89PNG") for png in embedded)


def test_the_report_goes_into_the_study_unless_told_otherwise(make_study, tmp_path):
    study = make_study(n_finished=1)
    assert write_report(study) == study.path / "report" / "index.html"
    assert write_report(study, tmp_path / "a" / "b").parent == tmp_path / "a" / "b"


def test_equal_studies_give_equal_bytes(make_study, tmp_path):
    first, second = (write_report(make_study(), tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second


def test_an_interrupted_write_leaves_the_old_report(make_study, monkeypatch):
    index = write_report(make_study(n_finished=1))
    before = index.read_bytes()

    def full_disk(source, target):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="disk full"):
        write_report(make_study(n_finished=5))
    assert index.read_bytes() == before
    assert sorted(path.name for path in index.parent.iterdir()) == [
        "curves.png",
        "index.html",
        "simplex.png",
        "weights.png",
    ]


def test_a_real_study_can_be_reported(finished):
    best = finished.best()
    text = Page(write_report(finished).read_text(encoding="utf-8")).text
    assert f"{best.weights['shap']:.2f} shap" in text
    assert f"#{best.nearest_trial}, nearest to the recommended weights" in text
    assert "Only" not in text  # ten finished trials


def test_importing_the_report_leaves_pyplot_and_torch_alone():
    heavy = "('matplotlib.pyplot', 'torch', 'ax')"
    code = f"import bo_shaping.views.report, sys; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
