from html.parser import HTMLParser

import pytest

from bo_shaping.text.escaping import escape, escape_marked
from bo_shaping.text.hidden_characters import visible_text
from tests.bo_shaping.views.report.made_up import EVIL


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<b>", "&lt;b&gt;"),
        ("\"x' & y", "&quot;x&#x27; &amp; y"),
        ("a\u200bb", "a\\u200bb"),  # zero-width space
        ("\u202egnp", "\\u202egnp"),  # right-to-left override
        ("\u2066x\u2069", "\\u2066x\\u2069"),  # isolates
        ("\x00\x1b[31m", "\\u0000\\u001b[31m"),
        ("a\r\n\tb", "a\\r\\n\\tb"),
        ("\u3164\u2800\ufe0f\xa0", "\\u3164\\u2800\\ufe0f\\u00a0"),  # fillers, variation selector, odd space
        ("\U000e0041", "\\U000e0041"),  # tag character
        ("\ud800", "\\ud800"),  # half a surrogate pair
    ],
)
def test_markup_and_hidden_characters_are_spelt_out(raw, shown):
    assert escape(raw) == shown


def test_what_people_write_stays_readable():
    text = "naïve cafe\u0301, 日本語, שלום, 😀, 3 € − 2"
    assert escape(text) == text


def test_an_attribute_cannot_be_left():
    class Attributes(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, attrs))

    payload = '" onmouseover="alert(1)' + EVIL
    seen = []
    Attributes().feed(f'<i title="{escape(payload)}">')
    assert seen == [("i", [("title", visible_text(payload))])]


def test_marked_text_sets_spelt_out_characters_apart():
    # A model may write the six characters \u200b itself: only the real one is marked.
    assert escape_marked("\\u200b") == "\\u200b"
    assert escape_marked("<\u200b") == '&lt;<span class="esc">\\u200b</span>'
