import base64
import re
from html import unescape

from bo_shaping.views.report.explain_page import credits_html
from bo_shaping.views.report.shown import Picture, Shown
from bo_shaping.views.report.style import new_figure
from bo_shaping.views.report.tokens import token_credit_html
from tests.bo_shaping.views.report.made_up import make_credit, make_sample


def test_a_picture_is_an_image_that_notebooks_show_without_trusting_them():
    picture = Picture.of(new_figure(4.0, 2.0), "what it shows")
    data, metadata = picture._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"}
    assert base64.b64decode(data["image/png"]) == picture.png
    assert metadata["image/png"]["width"] == 384  # four inches of 96 pixels
    assert repr(picture) == data["text/plain"] == "what it shows"


def as_untrusted(html):
    """The words of HTML that has lost its style, as notebooks show it that nobody has trusted."""
    bare = re.sub(r"<style>.*?</style>", "", Shown(html, "")._repr_html_(), flags=re.DOTALL)
    return unescape(re.sub(r"</?(?:div|p|section|details|summary)[^>]*>|<br>", "\n", bare))


def test_without_its_style_credit_can_still_be_told_from_text():
    text = re.sub("<[^>]*>", "", as_untrusted(credits_html([make_credit("p", " very good", [0.25, 1.0])])))
    assert " very +0.250 ±0.062 |  good +1.000 ±0.062 | " in text
    assert "raises the score The number under" in text
    text = re.sub("<[^>]*>", "", as_untrusted(token_credit_html([make_sample(1.0)])))
    assert " good +0.50 |  film +0.75 | end −0.25 | " in text
