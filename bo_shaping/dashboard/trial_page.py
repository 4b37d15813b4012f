"""The page of one trial: what it ran with, how it trained, what its tokens were paid before and after."""

from bo_shaping.dashboard.frame import badge, page, section, tile
from bo_shaping.dashboard.links import Links
from bo_shaping.dashboard.study_page import figure_html
from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.dashboard.trials_rows import remarks_html
from bo_shaping.text.escaping import escape
from bo_shaping.text.hidden_characters import visible_lines
from bo_shaping.text.wording import describe_value, describe_weights
from bo_shaping.views.report.style import component_colours
from bo_shaping.views.report.tokens import token_credit_html
from bo_shaping.views.status import TrialStatus
from inner_loop.spec import TrialResult

LOG_BYTES = 20_000
"""How much of the end of a log is shown."""


def trial_page(view: StudyView, trial: TrialStatus, links: Links, version: str = "", *, since: str = "") -> str:
    """The page.

    Args:
        view: The study.
        trial: One of its trials.
        links: Addresses as seen from this page.
        version: Of its picture.
        since: What the page is a version of, for the stream of changes.
    """
    index = trial.record.index
    results = view.results(index)
    parts = trial_parts(view, trial)
    body = (
        f'<header><p class="what-for">trial of <a href="{escape(links.study(view.name))}">{escape(view.name)}</a> '
        f'<span id="state">{parts["state"]}</span></p>'
        f"<h1>Trial {index}: {escape(describe_weights(trial.record.weights))}</h1></header>"
        f"{_neighbours(view, index, links)}"
        f'<dl class="tiles" id="facts">{parts["facts"]}</dl><div id="remarks">{parts["remarks"]}</div>'
        + section(
            "How it trained",
            figure_html(view, "training", links, version, trial=index),
            lead="Large dots are evaluations on the validation prompts, small ones what was sampled while it learned.",
        )
        + _credit(view, trial, results)
        + _log(view, index)
    )
    return page(f"Trial {index} of {view.name} · bo-shaping", body, links, live=f"events?since={since}", here="studies")


def trial_parts(view: StudyView, trial: TrialStatus) -> dict[str, str]:
    """What of the page changes while the trial runs, as HTML by id."""
    remarks = remarks_html(trial)
    return {
        "state": badge(trial.status),
        "facts": _facts(view, trial),
        "remarks": f'<section class="notes">{remarks}</section>' if remarks else "",
    }


def _facts(view: StudyView, trial: TrialStatus) -> str:
    record = trial.record
    colours = component_colours(list(view.config.search_space.components))
    tiles = [
        tile(f"weight of {name}", f"{weight:.2f}", colour=colours.get(name, "#7a828e"))
        for name, weight in record.weights.items()
    ]
    tiles += [tile(name, describe_value(value)) for name, value in record.parameters.items()]
    if record.mean is not None:
        sem = "" if record.sem is None else f"± {record.sem:.3f}"
        tiles.append(tile(view.status.reward, f"{record.mean:.3f}", sem))
    if record.final is not None:
        tiles.append(tile("reward at the end", f"{record.final:.3f}"))
    if record.kl is not None:
        over = view.kl_limit is not None and record.kl > view.kl_limit
        tiles.append(tile("KL, nats per response", f"{record.kl:.2f}", "over the KL budget" if over else ""))
    if record.seconds is not None:
        tiles.append(tile("seconds", f"{record.seconds:.0f}", f"seeds {' '.join(map(str, record.seeds))}"))
    origin = {"model": "chosen by the model", "design": "of the first design", "attached": "given by a person"}
    tiles.append(tile("origin", record.origin, origin.get(record.origin, "")))
    return "".join(tiles)


def _neighbours(view: StudyView, index: int, links: Links) -> str:
    known = [trial.record.index for trial in view.trials]
    place = known.index(index)
    before = known[place - 1] if place else None
    after = known[place + 1] if place + 1 < len(known) else None
    steps = [
        f'<a rel="{rel}" href="{escape(links.trial(view.name, other))}">{words} {other}</a>'
        for rel, words, other in (("prev", "← trial", before), ("next", "trial →", after))
        if other is not None
    ]
    return f'<p class="standing">{" &nbsp; ".join(steps)}</p>' if steps else ""


def _credit(view: StudyView, trial: TrialStatus, results: list[TrialResult]) -> str:
    if not results or not results[0].samples:
        words = "comes with the result of the trial." if trial.status == "running" else "was not kept for this trial."
        return section("What each token was paid", f'<p class="empty">Token credit {words}</p>')
    content = f"<h3>After training</h3>{token_credit_html(results[0].samples, trial.record.weights)}"
    if results[0].before:
        # The cards show responses from the highest to the lowest score: these are the same prompts, not the same rows.
        content = (
            '<h3>Before training</h3><p class="lead">What the policy said to these prompts before its first step.'
            f"</p>{token_credit_html(results[0].before, trial.record.weights)}{content}"
        )
    return section(
        "What each token was paid",
        content,
        lead="Validation responses: the credit that each component gives, and the mixture that was trained on.",
    )


def _log(view: StudyView, index: int) -> str:
    file = view.folder.trial(index).log_file
    try:
        with file.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - LOG_BYTES))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    if not text.strip():
        return ""
    lines = "\n".join(escape(line) for line in visible_lines(text).splitlines())
    words = "What it printed" if size <= LOG_BYTES else f"The last {LOG_BYTES // 1000} kB of what it printed"
    return f'<section><details><summary>{words}</summary><pre tabindex="0">{lines}</pre></details></section>'
