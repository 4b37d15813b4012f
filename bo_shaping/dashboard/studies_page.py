"""The first page: all studies at a glance, to search and to compare."""

from collections.abc import Sequence

from bo_shaping.dashboard.ages import moment
from bo_shaping.dashboard.frame import badge, escape_value, page
from bo_shaping.dashboard.links import Links
from bo_shaping.text.escaping import escape
from bo_shaping.text.wording import describe_probability
from bo_shaping.views.studies_table import StudyLine
from inner_loop.spec import SPARSE

_NONE = '<span class="none">–</span>'
HEADS = ("study", "state", "trials", "recommended mixture", "expected, 90 %", "P(better than sparse)", "last change")
NUMBERS = ("trials", "expected, 90 %", "P(better than sparse)")


def studies_page(lines: Sequence[StudyLine], where: str, links: Links, *, query: str = "", since: str = "") -> str:
    """The page.

    Args:
        lines: One per study, in the order to show.
        where: The folder, for the reader.
        links: Addresses as seen from this page.
        query: Only studies of which something contains it are shown.
        since: What the lines are a version of, for the stream of changes.
    """
    shown = [matches(line, query) for line in lines]
    rows = "".join(study_row(line, links, is_hidden=not fits) for line, fits in zip(lines, shown, strict=True))
    body = (
        f'<header><p class="what-for">{escape(where)}</p><h1>Studies</h1></header>'
        f"{_search(query)}"
        f'<form action="{escape(links.compare())}" method="get" class="list">'
        f'<div class="scroll" tabindex="0" role="region" aria-label="Studies"><table class="data studies">'
        f"<thead><tr>{_heads(links)}</tr></thead>"
        f'<tbody id="studies">{rows}</tbody></table></div>'
        f"{_nothing(lines, any(shown))}{_compare(lines, links)}</form>"
    )
    return page("Studies · bo-shaping", body, links, live=f"events?since={since}", here="studies")


def study_row(line: StudyLine, links: Links, *, is_hidden: bool = False) -> str:
    """One study as a row, with an id by which it can be exchanged."""
    low, high = line.mean_interval or (0.0, 0.0)
    trials = str(line.trials) if line.budget is None else f"{line.trials} / {line.budget}"
    expected = _NONE if line.mean is None else f"{line.mean:.2f} <small>({low:.2f} to {high:.2f})</small>"
    cells = [
        f'<th scope="row"><a href="{escape(links.study(line.name))}">{escape(line.name)}</a>'
        + (f'<small class="note">{escape(line.note)}</small>' if line.note else "")
        + "</th>",
        f"<td>{badge(line.state)}</td>",
        f'<td class="number">{trials}</td>',
        f"<td>{escape(line.best) or _NONE}</td>",
        f'<td class="number">{expected}</td>',
        f'<td class="number">{_probability(line)}</td>',
        f"<td>{_NONE if line.changed is None else moment(line.changed)}</td>",
    ]
    if not links.is_static:
        label = escape(f"Compare {line.name}")
        cells.insert(
            0, f'<td><input type="checkbox" name="study" value="{escape_value(line.name)}" aria-label="{label}"></td>'
        )
    return f'<tr id="{row_id(line.name)}"{" hidden" if is_hidden else ""}>{"".join(cells)}</tr>'


def row_id(name: str) -> str:
    """Letters and digits that stand for the name of a study."""
    return f"study-{name.encode().hex()}"


def matches(line: StudyLine, query: str) -> bool:
    """Whether every word of the query stands in what the row shows."""
    text = f"{line.name} {line.state} {line.best} {line.note}".casefold()
    return all(word in text for word in query.casefold().split())


def _heads(links: Links) -> str:
    first = "" if links.is_static else '<th scope="col"><span class="unseen">compare</span></th>'
    return first + "".join(
        f'<th scope="col"{" class=number" if head in NUMBERS else ""} '
        f'data-sort="{"number" if head in (*NUMBERS, "last change") else "word"}">{escape(head)}</th>'
        for head in HEADS
    )


def _search(query: str) -> str:
    return (
        '<form class="search" role="search" method="get"><label for="search">Search</label>'
        f'<input id="search" type="search" name="q" value="{escape_value(query)}" data-filters="studies" '
        'placeholder="name, state, mixture or note" autocomplete="off"></form>'
    )


def _compare(lines: Sequence[StudyLine], links: Links) -> str:
    if len(lines) < 2:
        return ""
    if links.is_static:
        return f'<p><a class="button" href="{escape(links.compare())}">Compare the studies</a></p>'
    return '<p><button type="submit">Compare the ticked studies</button></p>'


def _nothing(lines: Sequence[StudyLine], is_any_shown: bool) -> str:
    if not lines:
        return '<p class="empty">No study yet. Begin one with <code>bo-shaping launch CONFIG.yaml</code>.</p>'
    hidden = " hidden" if is_any_shown else ""
    return f'<p class="empty" id="no-match"{hidden}>No study matches the search.</p>'


def _probability(line: StudyLine) -> str:
    if line.prob_better_than_sparse is None:
        why = "it is sparse" if line.best == f"pure {SPARSE}" else "not searched alone"
        return f"– <small>({why})</small>" if line.best else _NONE
    return escape(describe_probability(line.prob_better_than_sparse))
