"""The table of trials: one row each, with a link to its page."""

from bo_shaping.config.searched_parameter import Value
from bo_shaping.dashboard.frame import badge
from bo_shaping.dashboard.links import Links
from bo_shaping.dashboard.study_view import StudyView
from bo_shaping.storage.records import TrialRecord
from bo_shaping.text.escaping import escape
from bo_shaping.text.wording import describe_attempts, describe_value, describe_weights
from bo_shaping.views.report.style import component_colours
from bo_shaping.views.status import TrialStatus

_NONE = '<span class="none">–</span>'


def trials_head(view: StudyView) -> str:
    """The row of headings."""
    space = view.config.search_space
    texts = ["#", "state", "mixture", *space.components, *space.parameters, "reward"]
    texts += [*(["final"] if _has_final(view) else []), "KL", "seconds", "origin", "remarks"]
    words = {name for name, parameter in space.choices.items() if parameter.are_words}
    return "<tr>" + "".join(_head(text, text in words) for text in texts) + "</tr>"


def trial_rows(view: StudyView, links: Links, *, only: str = "") -> dict[str, str]:
    """The rows by their ids, in the order of the trials; those not in the state `only`, if one is given, are hidden."""
    has_final = _has_final(view)
    return {
        f"trial-{trial.record.index}": _row(view, trial, links, has_final, bool(only) and trial.status != only)
        for trial in view.trials
    }


def highlighted(view: StudyView) -> str:
    """What the marked row is."""
    marks = view.landmarks
    marked = f" The marked row is trial {marks.chosen}, {marks.why}." if marks.chosen is not None else ""
    over = view.kl_limit is not None and marks.chosen is not None and _is_over(view, marks.chosen)
    warning = " It is over the KL budget." if over else ""
    return f"Reward is the {view.status.reward}.{marked}{warning}"


def weights_bar(weights: dict[str, float], components: tuple[str, ...] | list[str]) -> str:
    """A mixture as a bar, for the eye; the numbers stand beside it."""
    colours = component_colours(list(components))
    parts = "".join(
        f'<i style="width:{100 * min(max(weights.get(name, 0.0), 0.0), 1.0):.1f}%;background:{colours[name]}"></i>'
        for name in components
    )
    return f'<span class="bar" role="img" aria-label="{escape(describe_weights(weights))}">{parts}</span>'


def remarks_html(trial: TrialStatus) -> str:
    """Why a trial failed or was stopped, how its earlier attempts ended, and how far a running one is."""
    record = trial.record
    if trial.status == "running":
        step = trial.progress
        words = f"step {step.step} of {step.n_steps}" if step is not None else "starting"
        return f'<progress value="{trial.done:.3f}" max="1" aria-label="progress"></progress> <small>{words}</small>'
    remarks = [] if record.step is None else [f"at step {record.step}"]
    remarks += [record.reason] if record.reason else []
    remarks += describe_attempts(record.earlier)
    return "<br>".join(f"<small>{escape(remark)}</small>" for remark in remarks)


def _row(view: StudyView, trial: TrialStatus, links: Links, has_final: bool, is_hidden: bool) -> str:
    record, space = trial.record, view.config.search_space
    address = escape(links.trial(view.name, record.index))
    cells = [
        f'<th scope="row" class="number"><a href="{address}">{record.index}</a></th>',
        f"<td>{badge(trial.status)}</td>",
        f"<td>{weights_bar(record.weights, space.components)}</td>",
        *(_number(record.weights.get(name), ".2f") for name in space.components),
        *(_setting(record.parameters.get(name)) for name in space.parameters),
        f'<td class="number">{reward_html(record)}</td>',
        *([_number(record.final, ".3f")] if has_final else []),
        _kl_cell(record, view.kl_limit),
        _number(record.seconds, ".0f"),
        f"<td>{escape(record.origin)}</td>",
        f'<td class="remark">{remarks_html(trial)}</td>',
    ]
    chosen = ' class="chosen"' if record.index == view.landmarks.chosen else ""
    hidden = " hidden" if is_hidden else ""
    return f'<tr id="trial-{record.index}" data-state="{trial.status}"{chosen}{hidden}>{"".join(cells)}</tr>'


def reward_html(record: TrialRecord) -> str:
    """The reward with its standard error."""
    if record.mean is None:
        return _NONE
    return f"{record.mean:.3f}" + ("" if record.sem is None else f" <small>± {record.sem:.3f}</small>")


def _kl_cell(record: TrialRecord, limit: float | None) -> str:
    if record.kl is None:
        return f'<td class="number">{_NONE}</td>'
    over = limit is not None and record.kl > limit
    return f'<td class="number{" over" if over else ""}">{record.kl:.2f}{" &gt; budget" if over else ""}</td>'


def _is_over(view: StudyView, index: int) -> bool:
    trial = view.trial(index)
    kl = trial.record.kl if trial is not None else None
    return kl is not None and view.kl_limit is not None and kl > view.kl_limit


def _has_final(view: StudyView) -> bool:
    return any(trial.record.final is not None for trial in view.trials)


def _head(text: str, are_words: bool) -> str:
    if text in ("mixture", "remarks"):
        return f'<th scope="col">{text}</th>'
    if are_words or text in ("state", "origin"):
        return f'<th scope="col" data-sort="word">{escape(text)}</th>'
    return f'<th scope="col"{"" if text == "#" else " class=number"} data-sort="number">{escape(text)}</th>'


def _setting(value: Value | None) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    return f'<td class="number">{_NONE if value is None else describe_value(value)}</td>'


def _number(value: float | None, form: str) -> str:
    return f'<td class="number">{_NONE if value is None else format(value, form)}</td>'
