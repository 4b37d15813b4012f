"""The page of one study: the five facts first, then pictures, then every trial."""

from collections.abc import Sequence

from bo_shaping.dashboard.ages import span
from bo_shaping.dashboard.facts import facts_html
from bo_shaping.dashboard.frame import badge, page, section
from bo_shaping.dashboard.links import Links
from bo_shaping.dashboard.pictures import PICTURES, TRIAL_PICTURES, shown_pictures
from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.dashboard.trials_rows import highlighted, trial_rows, trials_head
from bo_shaping.text.escaping import escape
from bo_shaping.text.passwords import without_password
from bo_shaping.views.credit_similarity import similarity_rows
from bo_shaping.views.status import STATUSES


def study_page(view: StudyView, links: Links, versions: dict[str, str], *, only: str = "", since: str = "") -> str:
    """The page.

    Args:
        view: The study.
        links: Addresses as seen from this page.
        versions: Of its pictures: a new one means a new picture.
        only: A state; only trials in it are shown at first.
        since: What the page is a version of, for the stream of changes.
    """
    parts = study_parts(view, links)
    body = (
        f'<header><p class="what-for">reward-shaping study <b>{escape(view.name)}</b> <span id="state">{parts["state"]}'
        f'</span></p><h1 id="headline">{parts["headline"]}</h1></header>'
        f'<dl class="tiles" id="facts">{parts["facts"]}</dl>'
        f'<p class="standing" id="standing">{parts["standing"]}</p>'
        f'<div id="notes">{parts["notes"]}</div>'
        f"{_pictures(view, links, versions)}"
        f"{_trials(view, links, only)}"
        f"{_configuration(view)}"
    )
    return page(f"{view.name} · bo-shaping", body, links, live=f"events?since={since}", here="studies")


def study_parts(view: StudyView, links: Links) -> dict[str, str]:
    """What of the page changes while a study runs, as HTML by id; its rows are `trial_rows`."""
    return {
        "state": badge(view.state),
        "headline": escape(view.verdict.headline),
        "facts": facts_html(view),
        "standing": _standing(view),
        "notes": _notes(view.verdict.notes),
    }


def _standing(view: StudyView) -> str:
    left = view.seconds_left()
    rest = f"; about {span(left)} to go, if trials take as long as before" if left else ""
    return escape(view.status.headline() + rest)


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<section class="notes"><h2>Read this with the numbers</h2><ul>{items}</ul></section>'


def _pictures(view: StudyView, links: Links, versions: dict[str, str]) -> str:
    drawn = {name: figure_html(view, name, links, versions.get(name, "")) for name in shown_pictures(view)}
    pair = f'<div class="pair">{drawn.pop("simplex")}{drawn.pop("weights")}</div>'
    where = section(
        "Where the best weights are",
        pair,
        lead="Trials show what was measured, each with its own settings. The recommendation is the highest point of "
        "the posterior mean, not the luckiest trial; the draws show where else the best weights may be.",
    )
    details = {"alike": _alike(view)}
    return where + "".join(
        section(PICTURES[name].heading, html + details.get(name, ""), lead=escape(PICTURES[name].lead))
        for name, html in drawn.items()
    )


def figure_html(view: StudyView, name: str, links: Links, version: str = "", *, trial: int | None = None) -> str:
    """A picture in light and dark, with what can be downloaded of it."""
    picture = (PICTURES | TRIAL_PICTURES)[name]
    folder = f"study/{view.name}"
    if trial is not None:
        folder = f"{folder}/trial/{trial}"
    address = {
        kind: escape(links.picture(folder, f"{name}.{kind}", version)) for kind in ("svg", "dark.svg", "png", "csv")
    }
    about = escape(f"{picture.heading}: {picture.alt}")
    saves = " ".join(
        f'<a href="{escape(links.picture(folder, f"{name}.{kind}"))}" download="{escape(view.name)}-{name}.{kind}" '
        f'aria-label="{escape(picture.heading)} as {kind.upper()}">{kind.upper()}</a>'
        for kind in ("png", "svg", "csv")
    )
    return (
        f'<figure><picture data-name="{name}"><source srcset="{address["dark.svg"]}" '
        f'media="(prefers-color-scheme: dark)" data-picture="{name}"><img src="{address["svg"]}" '
        f'alt="{about}" loading="lazy" data-picture="{name}"></picture>'
        f"<figcaption><span>download</span> {saves}</figcaption></figure>"
    )


def _alike(view: StudyView) -> str:
    similarity = view.similarity
    if similarity is None:
        return ""
    heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in (*similarity.components, "tokens paid"))
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in similarity_rows(similarity)
    )
    return (
        '<details><summary>In numbers</summary><div class="scroll" tabindex="0" role="region" '
        f'aria-label="Correlation of components"><table class="data"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _trials(view: StudyView, links: Links, only: str) -> str:
    states = "".join(
        f'<option value="{state}"{" selected" if state == only else ""}>{state} ({view.status.count(state)})</option>'
        for state in STATUSES
        if view.status.count(state) or state == only
    )
    filters = (
        '<form class="filters" method="get"><label for="filter">Filter</label><input id="filter" type="search" '
        'data-filters="trials" autocomplete="off" placeholder="origin, number, reason">'
        '<label for="states">state</label>'
        f'<select id="states" name="status" data-states="trials"><option value="">all ({len(view.trials)})</option>'
        f'{states}</select><noscript><button type="submit">Show</button></noscript></form>'
    )
    rows = "".join(trial_rows(view, links, only=only).values())
    table = (
        '<div class="scroll" tabindex="0" role="region" aria-label="Trials"><table class="data"><thead>'
        f'{trials_head(view)}</thead><tbody id="trials">{rows}</tbody></table></div>'
        '<p class="empty" id="no-match" hidden>No trial matches.</p>'
    )
    return section("Trials", filters + table, lead=escape(highlighted(view)), name="all-trials")


def _configuration(view: StudyView) -> str:
    lines = "\n".join(escape(line) for line in without_password(view.config.to_yaml()).splitlines())
    text = f'<pre tabindex="0">{lines}</pre>'
    return f"<section><details><summary>Configuration of the study</summary>{text}</details></section>"
