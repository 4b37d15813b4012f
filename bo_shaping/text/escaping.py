"""Text that a model, a config or an exception wrote, made safe and honest to show in HTML.

Markup is escaped, and what cannot be seen is spelt out.
"""

import html

from bo_shaping.text.hidden_characters import spelt_pieces, visible_text


def escape(text: object) -> str:
    """HTML for an element or a quoted attribute: hidden characters spelt out, then markup escaped."""
    return html.escape(visible_text(str(text)), quote=True)


def escape_marked(text: str) -> str:
    """As `escape`, for elements only: spelt-out characters are set apart, so that nobody takes them for the text."""
    return "".join(
        f'<span class="esc">{piece}</span>' if spelt else html.escape(piece, quote=True)
        for piece, spelt in spelt_pieces(text)
    )
