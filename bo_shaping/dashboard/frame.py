"""What every page of the dashboard has around it: navigation, style, and no script but our own file."""

import html

from bo_shaping.dashboard.links import Links
from bo_shaping.text.escaping import escape
from bo_shaping.text.hidden_characters import is_hidden


def page(title: str, body: str, links: Links, *, live: str = "", here: str = "") -> str:
    """A complete page.

    Args:
        title: Plain text for the browser's tab.
        body: HTML, with every text in it that is not ours escaped.
        links: Addresses as seen from this page.
        live: Address of the stream of changes; empty where nothing changes.
        here: Which entry of the navigation the page is: `studies` or `explorer`.
    """
    entries = [("studies", "Studies", links.home())]
    if not links.is_static:
        entries.append(("explorer", "Token credit", links.explorer()))
    navigation = "".join(
        f'<a href="{escape(address)}"{" aria-current=page" if key == here else ""}>{words}</a>'
        for key, words, address in entries
    )
    stream = f' data-live="{escape(live)}"' if live and not links.is_static else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="same-origin">\n'
        f"<title>{escape(title)}</title>\n"
        f'<link rel="icon" href="{links.asset("icon.svg")}" type="image/svg+xml">\n'
        f'<link rel="stylesheet" href="{links.asset("dashboard.css")}">\n'
        f'<script src="{links.asset("dashboard.js")}" defer></script>\n</head>\n<body{stream}>\n'
        '<a class="skip" href="#content">Skip to the content</a>\n'
        f'<nav aria-label="Pages"><a class="brand" href="{escape(links.home())}">bo-shaping</a>{navigation}'
        f'<span id="link-state" role="status"></span></nav>\n<main id="content" tabindex="-1">\n{body}\n</main>\n'
        "</body>\n</html>\n"
    )


def problem_page(title: str, message: str, links: Links) -> str:
    """A page that says what was wrong."""
    return page(title, f"<header><h1>{escape(title)}</h1></header><section><p>{escape(message)}</p></section>", links)


def section(heading: str, content: str, *, lead: str = "", name: str = "") -> str:
    """A part of a page under its heading.

    Args:
        heading: Plain text.
        content: HTML.
        lead: HTML of what to know before looking.
        name: For links into the page, and for what is exchanged when something changes.
    """
    mark = f' id="{name}"' if name else ""
    words = f'<p class="lead">{lead}</p>' if lead else ""
    return f"<section{mark}><h2>{escape(heading)}</h2>{words}{content}</section>"


def tile(what: str, value: str, detail: str = "", *, colour: str = "") -> str:
    """One fact: what it is, the value, and how sure or out of how much."""
    style = f' class="tile weight" style="--c:{colour}"' if colour else ' class="tile"'
    small = f'<dd class="range">{escape(detail)}</dd>' if detail else ""
    return f'<div{style}><dt>{escape(what)}</dt><dd class="value">{escape(value)}</dd>{small}</div>'


def badge(state: str) -> str:
    """A state as a word, in its colour."""
    kind = state.split(":", 1)[0].split(" ", 1)[0]
    known = kind if kind.isalpha() and kind.isascii() else "other"
    return f'<span class="badge {known}">{escape(state)}</span>'


def escape_value(text: str) -> str:
    """A value of a form, which the browser has to send back as it is: nothing is spelt out."""
    return "".join(
        f"&#{ord(character)};" if is_hidden(character) else html.escape(character, quote=True) for character in text
    )
