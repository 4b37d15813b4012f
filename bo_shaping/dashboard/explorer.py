"""The explorer of token credit: type a prompt and a response, and see what earned the score."""

from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from bo_shaping.config.explain_choices import METHODS, MIN_BUDGET, UNITS
from bo_shaping.dashboard.explaining import (
    MOST_BUDGET,
    MOST_CHARACTERS,
    ExplainingProcess,
    Question,
)
from bo_shaping.dashboard.frame import escape_value, page, section
from bo_shaping.dashboard.links import Links
from bo_shaping.dashboard.shelf import Shelf
from bo_shaping.errors import BoShapingError, ExplainInputError
from bo_shaping.text.escaping import escape
from inner_loop.spec.task_config import is_function

MOST_BYTES = 100_000
"""Of what a form sends."""
KEPT_PLOTS = 16

EXAMPLE = ("This film is", " a quiet and beautiful story, although the ending is far too long.")

SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""What the plot of the shap package may do in its frame: be seen."""

Form = Mapping[str, list[str]]


class Explorer:
    """Shows the form, and answers what it asks."""

    def __init__(self, shelf: Shelf, process: ExplainingProcess | None = None) -> None:
        self._shelf = shelf
        self._process = process or ExplainingProcess()
        self._plots: OrderedDict[int, str] = OrderedDict()
        self._n_plots = 0

    def page(self, asked: Mapping[str, str]) -> str:
        """The empty form, or one that a link has filled in."""
        form = {key: [asked[key]] for key in ("prompt", "response", "study") if key in asked}
        if "response" not in form:
            form |= {"prompt": [EXAMPLE[0]], "response": [EXAMPLE[1]]}
        return self._page(form, "")

    def answer(self, form: Form) -> str:
        """The form with its answer, or with what was wrong with it."""
        try:
            answer = self._process.ask(self._question(form))
        except (ExplainInputError, BoShapingError) as error:
            return self._page(form, f'<section class="error" role="alert"><p>{escape(str(error))}</p></section>')
        ours = section("What earned the score", answer["ours"])
        plot = ""
        if answer["shap"]:
            self._n_plots += 1
            self._plots[self._n_plots] = answer["shap"]
            while len(self._plots) > KEPT_PLOTS:
                self._plots.popitem(last=False)
            first = escape(form.get("method", ["shapley"])[0])
            plot = section(
                "The same in the shap package's own plot",
                f'<iframe class="paper" sandbox="" src="shap/{self._n_plots}" title="Text plot of shap"></iframe>',
                lead=f"Values of {first}. Red raises the score and blue lowers it, as above.",
            )
        return self._page(form, ours + plot)

    def shap_plot(self, number: int) -> Response | None:
        """The plot of an answer, for its frame; None if it is too old."""
        if (plot := self._plots.get(number)) is None:
            return None
        html = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>shap</title><body>{plot}</body></html>'
        return HTMLResponse(html, headers={"Content-Security-Policy": SANDBOX, "Cache-Control": "no-store"})

    async def read_form(self, request: Request) -> Form:
        """What was sent, if it is of a size that a person types."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return {"too_long": ["yes"]}
        return parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True, max_num_fields=50)

    def close(self) -> None:
        """End the process that explains."""
        self._process.close()

    def _question(self, form: Form) -> Question:
        if "too_long" in form:
            raise ExplainInputError(f"That is more than {MOST_BYTES // 1000} kB; take a shorter text.")
        budget = form.get("budget", ["64"])[0]
        if not budget.isascii() or not budget.isdigit() or len(budget) > 6:
            raise ExplainInputError(f"The budget is a whole number from {MIN_BUDGET} to {MOST_BUDGET}.")
        name = form.get("study", [""])[0]
        model, scoring = "embedded", {}
        if name:
            task = self._shelf.folder(name).config().task
            if is_function(task.reward_model):
                raise ExplainInputError(
                    f"The reward model of {name} is a function, whose code the dashboard does not run; use: "
                    "bo-shaping explain"
                )
            model, scoring = task.reward_model, task.scoring.model_dump(mode="json")
        # A form sends line breaks as two characters.
        texts = {key: form.get(key, [""])[0].replace("\r\n", "\n") for key in MOST_CHARACTERS}
        methods = tuple(dict.fromkeys(form.get("method", [])))
        return Question(
            **texts,
            methods=methods,
            units=form.get("units", ["auto"])[0],
            budget=int(budget),
            reward_model=model,
            scoring=scoring,
        )

    def _page(self, form: Form, answer: str) -> str:
        methods, units = form.get("method", ["shapley"]), form.get("units", ["auto"])[0]
        body = (
            '<header><p class="what-for">no study, no training</p><h1>What earned the score?</h1></header>'
            '<form method="post" action="./" data-waits="Asking the reward model …"><section>'
            f"{_area('prompt', 'Prompt (never masked)', form)}{_area('response', 'Response', form)}"
            "<fieldset><legend>Method; several to compare, the first one in shap's plot</legend>"
            f"{_boxes(methods)}</fieldset>"
            f'<div class="fields">{_choice("units", "Units", UNITS, units)}'
            '<label class="field"><span>Budget, evaluations</span><input type="number" name="budget" '
            f'min="{MIN_BUDGET}" max="{MOST_BUDGET}" value="{escape_value(form.get("budget", ["64"])[0][:6])}"></label>'
            f"{self._models(form)}</div>"
            '<button type="submit">Explain</button></section></form>'
            f'<div aria-live="polite">{answer}</div>'
        )
        return page("Token credit · bo-shaping", body, Links(1), here="explorer")

    def _models(self, form: Form) -> str:
        chosen, options = form.get("study", [""])[0], ['<option value="">the one that ships with the package</option>']
        for name in self._shelf.names():
            is_chosen = " selected" if name == chosen else ""
            options.append(f'<option value="{escape_value(name)}"{is_chosen}>that of {escape(name)}</option>')
        return f'<label class="field"><span>Reward model</span><select name="study">{"".join(options)}</select></label>'


def _area(name: str, label: str, form: Form) -> str:
    # A browser drops one line break after the tag.
    text = escape_value(form.get(name, [""])[0][: MOST_CHARACTERS[name] + 1_000])
    attributes = f'name="{name}" maxlength="{MOST_CHARACTERS[name]}" rows="3"'
    return f'<label class="field"><span>{label}</span><textarea {attributes}>\n{text}</textarea></label>'


def _boxes(chosen: list[str]) -> str:
    def box(method: str) -> str:
        is_on = " checked" if method in chosen else ""
        return f'<label><input type="checkbox" name="method" value="{method}"{is_on}> {method}</label> '

    return "".join(map(box, METHODS))


def _choice(name: str, label: str, choices: tuple[str, ...], chosen: str) -> str:
    options = "".join(f"<option{' selected' if choice == chosen else ''}>{choice}</option>" for choice in choices)
    return f'<label class="field"><span>{label}</span><select name="{name}">{options}</select></label>'
