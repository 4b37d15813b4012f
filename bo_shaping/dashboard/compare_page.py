"""Several studies side by side: their facts, how they are set up, and how their best trials learned."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bo_shaping.config import StudyConfig
from bo_shaping.dashboard.facts import study_facts
from bo_shaping.dashboard.frame import badge, page, section
from bo_shaping.dashboard.links import Links
from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.text.escaping import escape
from bo_shaping.text.hidden_characters import visible_text
from bo_shaping.views.report.style import INK, new_figure, say_nothing_yet, tidy_axes

MOST = 8
"""Studies that are compared at most: as many as a person can tell apart."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a828e", "#8c6d31")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def compare_page(views: Sequence[StudyView], links: Links, names: Sequence[str]) -> str:
    """The page; `names` are the studies that can be chosen."""
    if len(views) < 2:
        body = (
            "<header><h1>Compare studies</h1></header><section><p>Tick two or more studies in the "
            f'<a href="{escape(links.home())}">list</a>, then compare them here.</p></section>'
        )
        return page("Compare · bo-shaping", body, links, here="studies")
    query = "&".join(f"study={escape(links.study(v.name).split('study/')[1].split('/')[0])}" for v in views)
    picture = _picture(links, query)
    body = (
        f'<header><p class="what-for">{len(views)} of {len(names)} studies</p><h1>Compare studies</h1></header>'
        f"{_caution(views)}"
        + section("The facts", _facts(views, links))
        + section(
            "How their best trials learned",
            picture,
            lead="Of each study the trial nearest to its recommendation, or its best so far. Left, who learns faster; "
            "right, who is better for the same KL.",
        )
        + section("How they are set up", _differences(views), lead="Settings that are not the same in all of them.")
    )
    return page("Compare · bo-shaping", body, links, here="studies")


def compare_figure(views: Sequence[StudyView]) -> Figure:
    """Reward by step and by KL of one trial of each study."""
    lines = [(view, view.landmarks.chosen, view.curves.get(view.landmarks.chosen or 0, [])) for view in views]
    known = [(place, *line) for place, line in enumerate(lines) if line[1] is not None and line[2]]
    if not known:
        return say_nothing_yet("No learning curve yet")
    figure = new_figure(10.2, 4.2 + 0.2 * len(known))
    by_step, by_kl = figure.subplots(1, 2, sharey=True)
    for place, view, index, curve in known:
        look = {"color": _COLOURS[place % 8], "marker": _MARKERS[place % 8], "markersize": 4.5, "linewidth": 1.8}
        mean = [point.mean for point in curve]
        by_step.errorbar([p.step for p in curve], mean, yerr=[p.sem for p in curve], elinewidth=0.8, **look)
        by_kl.plot([p.kl for p in curve], mean, label=_plain(f"{view.name}, trial {index}"), **look)
    for ax, label in ((by_step, "PPO step"), (by_kl, "KL to the reference policy, nats per response")):
        tidy_axes(ax)
        ax.set_xlabel(label)
    by_step.xaxis.set_major_locator(MaxNLocator(integer=True))
    by_step.set_ylabel("validation reward (unshaped)")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8.5, frameon=False, labelcolor=INK)
    return figure


def _plain(text: str) -> str:
    """A label that is drawn as it is: no mathematics, and never hidden from the legend."""
    return visible_text(text).replace("$", r"\$").lstrip("_")


def _picture(links: Links, query: str) -> str:
    def address(kind: str) -> str:
        return f"{links.root}compare/curves.{kind}" + ("" if links.is_static else f"?{query}")

    def save(kind: str) -> str:
        return f'<a href="{address(kind)}" download="compare.{kind}" aria-label="curves as {kind}">{kind.upper()}</a>'

    saves = " ".join(save(kind) for kind in ("png", "svg", "csv"))
    return (
        f'<figure><picture><source srcset="{address("dark.svg")}" media="(prefers-color-scheme: dark)">'
        f'<img src="{address("svg")}" alt="Learning curves of the best trial of each study"></picture>'
        f"<figcaption><span>download</span> {saves}</figcaption></figure>"
    )


def _caution(views: Sequence[StudyView]) -> str:
    first = views[0].config
    others = [view.name for view in views if not _is_comparable(first, view.config)]
    if not others:
        return ""
    return (
        '<section class="notes"><h2>Read this with the numbers</h2><p>'
        f"{escape(', '.join(others))} {'has' if len(others) == 1 else 'have'} another task, evaluation or "
        f"objective than {escape(views[0].name)}: their rewards are not on one scale.</p></section>"
    )


def _is_comparable(one: StudyConfig, other: StudyConfig) -> bool:
    return (one.task, one.evaluation, one.objective) == (other.task, other.evaluation, other.objective)


def _facts(views: Sequence[StudyView], links: Links) -> str:
    heads = "".join(
        f'<th scope="col"><a href="{escape(links.study(view.name))}">{escape(view.name)}</a> {badge(view.state)}</th>'
        for view in views
    )
    per_view = [study_facts(view) for view in views]
    labels = ("recommended mixture", "expected reward", "P(better than sparse)", "expected KL", "trials")
    rows = "".join(
        f'<tr><th scope="row">{label}</th>'
        + "".join(f"<td>{escape(facts[i][1])}<br><small>{escape(facts[i][2])}</small></td>" for facts in per_view)
        + "</tr>"
        for i, label in enumerate(labels)
    )
    return _table(heads, rows, "Facts of each study")


def _differences(views: Sequence[StudyView]) -> str:
    flat = [_flat(view.config.model_dump(mode="json", exclude={"name", "storage"})) for view in views]
    keys = sorted({key for settings in flat for key in settings})
    differing = [key for key in keys if len({repr(settings.get(key)) for settings in flat}) > 1]
    if not differing:
        return '<p class="empty">They are set up alike.</p>'
    heads = "".join(f'<th scope="col">{escape(view.name)}</th>' for view in views)
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(key)}</code></th>'
        + "".join(f"<td>{escape(_short(settings.get(key)))}</td>" for settings in flat)
        + "</tr>"
        for key in differing
    )
    return _table(heads, rows, "Settings that differ")


def _table(heads: str, rows: str, label: str) -> str:
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table class="data"><thead><tr><td></td>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _flat(data: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _short(value: object) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 120 else f"{text[:119]}…"


def compare_table(views: Sequence[StudyView]) -> tuple[list[str], list[list[object]]]:
    """One row per point of the curves that are drawn."""
    rows: list[list[object]] = [
        [view.name, view.landmarks.chosen, point.step, point.mean, point.sem, point.kl]
        for view in views
        if view.landmarks.chosen is not None
        for point in view.curves.get(view.landmarks.chosen, [])
    ]
    return ["study", "trial", "step", "mean", "sem", "kl"], rows
