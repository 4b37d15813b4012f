import re
from html.parser import HTMLParser

import numpy as np
import pytest

from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.views.report.chips import direction, signed
from bo_shaping.views.report.explain_page import explain_page
from tests.bo_shaping.views.report.made_up import EVIL, make_credit


class Page(HTMLParser):
    """Tags, attributes that load or run something, titles and colours of the chips, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.active: list[str] = []
        self.chips: list[dict[str, str]] = []
        self.directions: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        attributes = dict(attrs)
        self.active += [name for name in attributes if name.startswith("on") or name in {"src", "href", "action"}]
        if attributes.get("class") == "tok":
            self.chips.append(attributes)
        if tag == "div" and "dir" in attributes:
            self.directions.append(attributes["dir"])

    def handle_data(self, data):
        self.text += data


def numbers(text):
    return [float(number.replace("−", "-")) for number in re.findall(r"[+−]\d+\.\d+", text)]


def test_model_text_is_shown_and_the_page_loads_and_runs_nothing():
    html = explain_page([make_credit(f"p{EVIL}", f" <script>x</script> {EVIL}")], f"model {EVIL}")
    page = Page(html)
    assert page.active == []
    assert page.tags.isdisjoint({"script", "img", "iframe", "object", "link", "base", "form"})
    assert not re.search(r"https?://|@import|url\(", html)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    assert not re.search("[\u200b\u202e]", html)
    assert "<script>x</script>" in page.text
    # Once in the name and once in the prompt; in the response it is cut into units.
    assert page.text.count(visible_text(EVIL)) == 2
    assert "onerror=alert(1)>\\u202egnp\\u200b[bold" in page.text


def test_units_add_up_to_the_score_less_the_base_value():
    page = Page(explain_page([make_credit("The film", " is not bad", [0.25, 1.5, -2.125])], "m"))
    score, base, difference = numbers(re.search(r"score .*?8 evaluations", page.text)[0])
    assert (score, base, difference) == (-0.875, -0.5, -0.375)
    assert score - base == difference
    hovers = [float(chip["title"].split()[0]) for chip in page.chips]
    assert hovers == [0.25, 1.5, -2.125]
    assert numbers(page.text[page.text.index("shapleysum") :])[:4] == [-0.375, 0.25, 1.5, -2.125]


def test_colours_are_scaled_by_the_largest_credit_of_the_response():
    page = Page(explain_page([make_credit("", "a b", [2.0, -1.0]), make_credit("", "c", [0.125])], "m"))
    pattern = r"background:rgba\((\d+),\d+,(\d+),(\d\.\d\d)\)"
    raises, lowers, alone = (re.fullmatch(pattern, chip["style"]) for chip in page.chips)
    assert int(raises[1]) > int(raises[2])
    assert int(lowers[1]) < int(lowers[2])
    assert float(raises[3]) == 2 * float(lowers[3]) == float(alone[3])


def test_every_method_has_a_row_and_every_response_a_card():
    credits_ = [make_credit("p", "one two", methods=("shapley", "lime")), make_credit("q", "three")]
    text = Page(explain_page(credits_, "m")).text
    assert re.findall(r"response \d of \d", text) == ["response 1 of 2", "response 2 of 2"]
    assert text.index("p") < text.index("shapleysum") < text.index("limesum") < text.index("response 2 of 2")


def test_a_deviation_is_shown_where_values_are_estimates():
    estimated, exact = (explain_page([make_credit("p", "one two", exact=exact)], "m") for exact in (False, True))
    assert "±0.0625" in estimated
    assert "standard deviation 0.062500" in estimated
    assert not re.search(r"±\d", exact)


@pytest.mark.parametrize("response", ["", "one"])
def test_a_response_of_no_or_one_unit_has_its_card(response):
    text = Page(explain_page([make_credit("p", response)], "m")).text
    assert "response 1" not in text
    assert ("no units" in text) == (response == "")


def test_a_constant_reward_has_neither_sign_nor_colour():
    page = Page(explain_page([make_credit("p", "one two", np.zeros(2))], "m"))
    assert [chip["style"][-6:] for chip in page.chips] == [",0.00)"] * 2
    assert re.findall(r"(?:one| two) (\S+?) ±", page.text) == ["0", "0"]


def test_text_runs_in_its_own_direction():
    page = Page(explain_page([make_credit("p", "הסרט נפלא"), make_credit("p", "fine הסרט")], "m"))
    assert page.directions == ["rtl", "ltr"]
    assert direction("... 12 ") == "ltr"


def test_a_value_that_rounds_to_zero_has_no_sign():
    assert [signed(value, 1) for value in (-0.04, 0.0, -0.06, 1.0)] == ["0", "0", "−0.1", "+1.0"]
