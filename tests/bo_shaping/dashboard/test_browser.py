"""The pages in a real browser: they load without an error, follow a study that runs, and execute nothing."""

import time

import pytest

pytest.importorskip("starlette", reason="needs starlette (extra dashboard)")
pytest.importorskip("selenium", reason="needs selenium (extra dev)")

from bo_shaping.dashboard.server import make_app
from experiments.browser import browser, find_chromium
from tests.bo_shaping.bare_study import bare_study
from tests.bo_shaping.dashboard.conftest import run_trial
from tests.bo_shaping.dashboard.hostile import HOSTILE
from tests.bo_shaping.dashboard.serving import serving
from tests.bo_shaping.dashboard.test_hostile import hostile_study

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="needs chromium and chromedriver")


@pytest.fixture
def address(shelf, chromium):
    """Where the dashboard listens."""
    with serving(make_app(shelf)) as place:
        yield place
        chromium.get("about:blank")
        chromium.get_log("browser")


@pytest.fixture(scope="module")
def chromium():
    with browser(1200, 900) as driver:
        yield driver


def errors_of(driver):
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def wait_for(driver, script, seconds=30.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := driver.execute_script(f"return {script}"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"never true: {script}")


PICTURES_SEEN = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"


def test_every_page_loads_without_an_error_and_executes_no_hostile_text(chromium, address, studies):
    hostile_study(studies)
    evil = "<img src=x onerror=window.executed=1>"
    bare_study(studies / "plain").path.rename(studies / evil)
    run_trial(bare_study(studies / "third"), 0)
    driver = chromium
    pages = ["/", "/study/toy/", "/study/toy/trial/0/", *(f"/study/toy/trial/{i}/" for i in (1, 2, 3, 36, 50))]
    pages += ["/compare/?study=toy&study=third", "/explorer/", "/?q=%3Cimg%20src=x%20onerror=window.executed=1%3E"]
    for page in pages:
        driver.get(address + page)
        driver.execute_script("for (const image of document.images) image.loading = 'eager'")
        wait_for(driver, PICTURES_SEEN)
        assert driver.execute_script("return window.executed") is None, page
        assert errors_of(driver) == [], page
    driver.get(f"{address}/study/toy/")
    driver.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert driver.execute_script("return document.querySelectorAll('#trials script, #trials img').length") == 0
    shown = driver.execute_script("return document.getElementById('notes').textContent")
    assert sum(" ".join(text.split()) in shown for text in HOSTILE if text.isprintable()) >= 35


def test_a_study_is_followed_while_it_runs(chromium, address, toy):
    driver = chromium
    driver.get(f"{address}/study/toy/")
    wait_for(driver, "document.getElementById('link-state').className === 'on'")
    time.sleep(1.5)
    picture = driver.execute_script("return document.querySelector('img[data-picture=curves]').src")
    run_trial(toy, 3, reason="</script><script>window.executed=1</script>")
    wait_for(driver, "document.querySelector('#trial-3').dataset.state === 'completed'")
    assert "4 of 14" in driver.execute_script("return document.getElementById('facts').textContent")
    assert driver.execute_script("return document.querySelector('img[data-picture=curves]').src") != picture
    assert driver.execute_script("return window.executed") is None
    assert errors_of(driver) == []


def test_tables_are_filtered_while_somebody_types_and_by_keyboard_alone(chromium, address, toy):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    driver = chromium
    driver.get(f"{address}/study/toy/")
    field = driver.find_element(By.ID, "filter")
    field.send_keys("not finite")
    visible = "[...document.querySelectorAll('#trials tr')].filter(row => !row.hidden).map(row => row.id).join()"
    wait_for(driver, f"{visible} === 'trial-2'")
    field.clear()
    field.send_keys(" ", Keys.BACKSPACE, Keys.TAB)
    assert driver.switch_to.active_element.get_attribute("id") == "states"
    driver.switch_to.active_element.send_keys("completed")
    wait_for(driver, f"{visible} === 'trial-0,trial-1'")
    driver.get(f"{address}/study/toy/")
    driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert driver.switch_to.active_element.text == "Skip to the content"


def test_a_hostile_text_is_explained_and_executes_nothing(chromium, address):
    driver = chromium
    driver.get(f"{address}/explorer/")
    fill = "const form = document.forms[0]; form.response.value = arguments[0]; form.requestSubmit()"
    driver.execute_script(fill, " a good film </script><img src=x onerror=window.executed=1>")
    wait_for(driver, "!!document.querySelector('iframe.paper')", seconds=150)
    assert "score" in driver.execute_script("return document.querySelector('.tc').textContent")
    assert driver.execute_script("return window.executed") is None
    time.sleep(0.5)
    assert errors_of(driver) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_nothing_is_wider_than_the_page(address, toy, width, scheme):
    with browser(width, 900, scheme=scheme) as driver:
        for page in ("/", "/study/toy/", "/study/toy/trial/0/", "/compare/?study=toy", "/explorer/"):
            driver.get(address + page)
            widths = driver.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
            assert widths[0] <= widths[1], page
            back = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
            assert (back == "rgb(15, 18, 22)") == (scheme == "dark")


def test_files_work_without_a_server(chromium, shelf, toy, tmp_path):
    from bo_shaping.dashboard.static_site import write_static

    index = write_static(shelf, tmp_path / "site")
    driver = chromium
    for page in (index, index.parent / "study" / "toy" / "index.html"):
        driver.get(page.as_uri())
        driver.execute_script("for (const image of document.images) image.loading = 'eager'")
        wait_for(driver, PICTURES_SEEN)
        assert errors_of(driver) == []


def test_tables_are_sorted_by_keyboard_and_stay_so_when_a_row_comes(chromium, address, toy, studies):
    from selenium.webdriver.common.keys import Keys

    driver = chromium
    driver.get(f"{address}/study/toy/")
    order = "[...document.querySelectorAll('#trials > tr')].map(row => row.id.slice(6)).join()"
    assert driver.execute_script(f"return {order}") == "0,1,2,3"
    head = driver.execute_script(
        "return [...document.querySelectorAll('button.sorts')].find(b => b.textContent === 'reward')"
    )
    head.send_keys(Keys.ENTER)
    # Rewards 1 and 0.5, and two trials without one, which stand last in either order.
    assert driver.execute_script(f"return {order}") == "0,1,2,3"
    head.send_keys(Keys.ENTER)
    assert driver.execute_script(f"return {order}") == "1,0,2,3"
    assert head.find_element("xpath", "..").get_attribute("aria-sort") == "ascending"
    assert driver.execute_script("return document.activeElement.textContent") == "reward"
    run_trial(toy, 4, mean=0.7)
    wait_for(driver, f"{order} === '1,4,0,2,3'")
    driver.get(address)
    assert driver.execute_script("return document.querySelectorAll('#studies').length") == 1
    assert errors_of(driver) == []
