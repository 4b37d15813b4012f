import re
from html.parser import HTMLParser

import pytest

from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.views.report import token_credit_html
from tests.bo_shaping.views.report.made_up import EVIL, make_sample


class Chips(HTMLParser):
    """Collects tags, and title and style of every token."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.chips: list[dict[str, str]] = []
        self.text = ""
        self.feed(fragment)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        attributes = dict(attrs)
        assert not any(name.startswith("on") for name in attributes)
        if attributes.get("class") in ("tok", "tok on"):
            self.chips.append(attributes)

    def handle_data(self, data):
        self.text += data


def test_model_text_is_shown_and_never_markup():
    fragment = token_credit_html([make_sample(1.0, (EVIL, "\u200b", ""))])
    parsed = Chips(fragment)
    assert parsed.tags == {
        *("style", "div", "p", "span", "small", "bdi", "b", "br"),
        *("details", "summary", "table", "thead", "tbody", "tr", "th", "td"),
    }
    assert not re.search("[\u200b\u202e]", fragment)
    assert visible_text(EVIL) in parsed.text


def test_every_credit_is_written_with_its_sign_and_shown_on_hover():
    parsed = Chips(token_credit_html([make_sample(2.0)]))
    # shap 1.5, 0.75, -0.25; sparse 0, 0, 2; half and half.
    hovers = [float(chip["title"].split()[0]) for chip in parsed.chips]
    assert hovers == [1.5, 0.75, -0.25, 0.0, 0.0, 2.0, 0.75, 0.375, 0.875]
    assert "+0.75" in parsed.text
    assert "−0.25" in parsed.text


def test_colour_follows_sign_and_is_clamped():
    # The last token is left out of the scale, so its credit is far off it.
    credit = {"shap": [-0.25, 0.75, 1e12]}
    parsed = Chips(token_credit_html([make_sample(0.5).model_copy(update={"components": credit})]))
    pattern = r"background:rgba\((\d+),\d+,(\d+),(\d\.\d\d)\)"
    lowers, raises, last = (re.fullmatch(pattern, chip["style"]) for chip in parsed.chips[:3])
    assert int(lowers[1]) < int(lowers[2])
    assert int(raises[1]) > int(raises[2])
    assert float(lowers[3]) == pytest.approx(float(raises[3]) / 3, abs=0.01)
    assert last[3] == raises[3]


def sample_of(tokens, components, unit_tokens=()):
    return make_sample(0.0, tokens).model_copy(
        update={"components": components, "rewards": components["shap"], "unit_tokens": list(unit_tokens)}
    )


def blocks(sample):
    """Text and credit of each block of the first row."""
    html = token_credit_html([sample]).partition('class="name">shap')[2].partition('class="row')[0]
    return re.findall(r"<bdi>([^<]*)</bdi>.*?<small[^>]*>([^<]*)</small>", html)


def test_a_unit_is_one_block_with_its_credit_as_it_was_written():
    tokens = (" a", " stunn", "ing", ",", " dull", "")
    sample = sample_of(tokens, {"shap": [0.5, 0.0, 0.0, 1.75, -0.25, 2.0]}, unit_tokens=[0, 3, 4])
    assert blocks(sample) == [(" a", "+0.50"), (" stunning,", "+1.75"), (" dull", "−0.25")]
    assert "4 tokens" not in token_credit_html([sample])
    assert "3 tokens, the last of them &#x27;,&#x27;" in token_credit_html([sample])


def test_where_it_is_paid_is_a_detail():
    html = token_credit_html([sample_of((" stunn", "ing", ""), {"shap": [0.0, 1.25, 2.0]}, unit_tokens=[1])])
    detail = re.sub("<[^>]+>", " ", html.partition("<details")[2]).split()
    assert [word for word in detail if word in ("stunn", "ing", "end", "0", "+1.25", "+2.00")][-9:] == [
        *("stunn", "0", "0"), *("ing", "+1.25", "+1.25"), *("end", "+2.00", "+2.00")
    ]  # fmt: skip


def test_a_result_that_names_no_units_has_blocks_that_end_where_credit_was_paid():
    tokens = (" excell", "ent", ",", " film", "")
    sparse, uniform = [0.0] * 4 + [1.0], [0.2] * 5
    sample = sample_of(tokens, {"shap": [0.0, 0.0, 1.81, 0.5, -1.0], "sparse": sparse, "uniform": uniform})
    assert blocks(sample) == [(" excellent,", "+1.81"), (" film", "+0.50")]


def test_without_any_such_credit_words_are_whole():
    sample = sample_of((" excell", "ent", " film", ""), {"shap": [0.25, 0.25, 0.5, 1.0]})
    assert blocks(sample) == [(" excellent", "+0.50"), (" film", "+0.50")]


def test_a_response_that_was_cut_says_that_its_last_part_carries_the_end():
    html = token_credit_html([sample_of((" very", " good"), {"shap": [0.25, 3.5]}, unit_tokens=[0, 1])])
    assert '<bdi> good</bdi><span class="end"> + end</span>' in html


def test_a_long_response_stays_small():
    n = 100_000
    sample = sample_of(tuple(f" word{i}" for i in range(n)), {"shap": [0.5] * n}, unit_tokens=range(n))
    html = token_credit_html([sample])
    assert len(html) < 500_000
    assert "(99600 parts in between, +49800.00 together)" in html
    assert "the first 400 of 100000 tokens" in html


def test_rows_are_in_the_order_of_the_weights():
    text = Chips(token_credit_html([make_sample(1.0)], {"sparse": 0.75, "shap": 0.25})).text
    assert text.index("sparse × 0.75") < text.index("shap × 0.25") < text.index("mixture")


def test_weights_stand_beside_the_components():
    text = Chips(token_credit_html([make_sample(1.0)], {"shap": 0.25, "sparse": 0.75})).text
    assert "shap × 0.25" in text
    assert "sparse × 0.75" in text


def test_many_responses_are_sampled_from_best_to_worst():
    text = Chips(token_credit_html([make_sample(float(s)) for s in (3, 1, 5, 2, 4)], max_responses=3)).text
    assert re.findall(r"score ([+-]\d\.\d\d)", text) == ["+5.00", "+3.00", "+1.00"]


@pytest.mark.parametrize("tokens", [(" good", " film", ""), ("", "", "")])
def test_the_end_token_is_named(tokens):
    assert "end" in Chips(token_credit_html([make_sample(0.0, tokens)])).text


def test_no_samples_give_nothing():
    assert token_credit_html([]) == ""
