"""Every page, looked at by axe-core: wide and on a phone, light and dark, with what can be unfolded unfolded.

A page is loaded once and looked at in three shapes. Beside that: it is no wider than the window, every picture says
what it shows, and whoever goes through it by keyboard sees where they are.
"""

import time

import pytest

pytest.importorskip("starlette", reason="needs starlette (extra dashboard)")
pytest.importorskip("selenium", reason="needs selenium (extra dev)")

from bo_shaping.config import StudyConfig
from bo_shaping.dashboard.explorer import Explorer
from bo_shaping.dashboard.server import make_app
from bo_shaping.dashboard.shelf import Shelf
from bo_shaping.dashboard.static_site import write_static
from bo_shaping.views.report import write_report
from bo_shaping.views.report.explain_page import credits_html, explain_page
from experiments.axe import SCRIPT, violations
from experiments.browser import browser, find_chromium, resize, set_scheme
from tests.bo_shaping.bare_study import add_trial, bare_study
from tests.bo_shaping.dashboard.conftest import run_trial
from tests.bo_shaping.dashboard.serving import serving
from tests.bo_shaping.views.report.made_up import (
    MadeUpStudy,
    make_best,
    make_credit,
    make_result,
    make_surface,
    make_trials,
)

pytestmark = [
    pytest.mark.skipif(find_chromium() is None, reason="needs chromium and chromedriver"),
    pytest.mark.skipif(not SCRIPT.is_file(), reason="needs axe-core: python -m experiments.axe (uses npm)"),
]

SHAPES = ((1200, "light"), (1200, "dark"), (360, "dark"))
PAGES = (
    "/",
    "/?q=no+study+has+this+name",
    "/study/toy/",
    "/study/empty/",
    "/study/toy/trial/0/",
    "/study/toy/trial/2/",
    "/study/toy/trial/3/",
    "/compare/?study=toy&study=other",
    "/compare/",
    "/explorer/",
    "/study/nowhere/",
)


class Answering:
    """Stands for the process that explains: axe-core looks at the page, not at the credit."""

    def ask(self, question):
        question.check()
        credit = [(-1.0) ** place * place for place in range(len(question.response.split()))]
        plot = '<p style="color: #000">a good film</p>'
        return {
            "ours": credits_html([make_credit(question.prompt, question.response, credit)]),
            "shap": plot,
        }

    def close(self):
        pass


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    studies = tmp_path_factory.mktemp("studies")
    toy = bare_study(studies / "toy")
    run_trial(toy, 0)
    run_trial(toy, 1, weights={"shap": 0.0, "lime": 0.0, "sparse": 1.0}, mean=0.5)
    add_trial(toy, 2, "failed", reason="the rewards were not finite")
    toy.trial(2).log_file.write_text("a line that it printed\n")
    add_trial(toy, 3, "running")
    add_trial(toy, 4, "stopped", mean=0.1, step=3, reason="it fell behind")
    toy.add_note("a first look")
    run_trial(bare_study(studies / "other"), 0)
    bare_study(studies / "empty")
    return Shelf(studies)


@pytest.fixture(scope="module")
def address(shelf):
    with serving(make_app(shelf, explorer=Explorer(shelf, Answering()))) as place:
        yield place


@pytest.fixture(scope="module")
def chromium():
    with browser(1200, 900) as driver:
        yield driver
        driver.get("about:blank")


def wrong_with(driver, shapes=SHAPES):
    """What is wrong with the page that is open, in every shape."""
    driver.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    wrong = []
    for width, scheme in shapes:
        resize(driver, width, 900)
        set_scheme(driver, scheme)
        wrong += [f"{width} {scheme}: {each}" for each in violations(driver)]
        wide = driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
        wrong += [f"{width} {scheme}: {wide} pixels wider than the window"] if wide > 0 else []
    return wrong


@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_wrong_with_a_page(chromium, address, page):
    chromium.get(address + page)
    assert wrong_with(chromium) == []


@pytest.mark.parametrize(("budget", "found"), [("16", "iframe.paper"), ("abc", "[role=alert]")])
def test_nor_with_an_answer(chromium, address, budget, found):
    chromium.get(f"{address}/explorer/")
    chromium.execute_script(
        "const form = document.forms[0]; form.budget.type = 'text'; form.budget.value = arguments[0]; form.submit()",
        budget,
    )
    end = time.monotonic() + 30
    while not chromium.execute_script(f"return !!document.querySelector('{found}')") and time.monotonic() < end:
        time.sleep(0.05)
    words = chromium.execute_script("return document.body.innerText")
    assert chromium.execute_script(f"return !!document.querySelector('{found}')"), words
    assert wrong_with(chromium) == []


def test_nor_with_files(chromium, tmp_path):
    run_trial(bare_study(tmp_path / "studies" / "toy"), 0)
    index = write_static(Shelf(tmp_path / "studies"), tmp_path / "site")
    for page in (index, index.parent / "study" / "toy" / "index.html"):
        chromium.get(page.as_uri())
        assert wrong_with(chromium) == [], page


def test_nor_with_the_report(chromium, tmp_path):
    components = ("shap", "lime", "sparse")
    outcomes = {index: make_result(float(index), 2.0 * index) for index in range(12)}
    study = MadeUpStudy(
        tmp_path,
        "toy",
        StudyConfig(name="toy"),
        make_trials(components, 12, 1),
        outcomes,
        make_best(components, 12),
        make_surface(components),
    )
    chromium.get(write_report(study).as_uri())
    assert chromium.execute_script("return document.querySelectorAll('table').length") > 2
    assert wrong_with(chromium) == []


def test_nor_with_the_page_of_explain(chromium, tmp_path):
    page = tmp_path / "explain.html"
    page.write_text(explain_page([make_credit("the film", " is not bad", [0.25, 1.5, -2.0])], "a model"))
    chromium.get(page.as_uri())
    assert wrong_with(chromium) == []


def test_the_check_finds_what_is_wrong(chromium, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text('<html><title>x</title><main><h1>x</h1><p style="color: #aaa">pale</p><img src=""></main></html>')
    chromium.get(page.as_uri())
    wrong = wrong_with(chromium, SHAPES[:1])
    assert {each.split(": ")[1] for each in wrong} >= {"color-contrast", "image-alt", "html-has-lang"}


def test_by_keyboard_everything_can_be_reached_and_is_seen(chromium, address):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    set_scheme(chromium, "light")
    resize(chromium, 1200, 900)
    chromium.get(f"{address}/study/toy/")
    wanted = chromium.execute_script(
        "return [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]"
        ".filter(element => element.checkVisibility()).length"
    )
    seen, unseen = set(), []
    for _ in range(wanted + 20):
        ActionChains(chromium).send_keys(Keys.TAB).perform()
        where, is_outlined = chromium.execute_script(
            "const element = document.activeElement; const style = getComputedStyle(element);"
            "const isSeen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;"
            "return [element.outerHTML.slice(0, 120), isSeen]"
        )
        if where.startswith("<body"):
            break
        seen.add(where)
        unseen += [] if is_outlined else [where]
    assert unseen == []
    assert len(seen) >= wanted * 0.9
