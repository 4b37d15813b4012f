import re

import nbformat
import numpy as np
import pytest
from nbconvert import HTMLExporter

from bo_shaping.views.report import Landmarks, StudyView, token_credit_html, trial_table_html
from bo_shaping.views.report.frame import html_page
from bo_shaping.views.report.notebook import Shown
from bo_shaping.views.report.theme import theme_css
from tests.bo_shaping.conftest import REPOSITORY
from tests.bo_shaping.views.report.browser import browser, look_at_page
from tests.bo_shaping.views.report.made_up import EVIL, make_sample, make_trials, stop_early

pytestmark = pytest.mark.skipif(browser() is None, reason="there is no Chromium here")

WIDTHS = (600, 900, 1400)
NOTEBOOKS = sorted(path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb"))
MANY = ("shap", "lime", "leave_one_out", "attention", "owen", "sparse")


def wide_trials():
    """Many columns, long numbers and long reasons."""
    trials = stop_early(make_trials(MANY, 8, 2), 4)
    trials.insert(9, "learning_rate", np.linspace(1.234e-4, 5.678e-3, len(trials)))
    trials.insert(9, "max_units", np.arange(len(trials)) + 17)
    trials.loc[3, "final"] = -12.345
    trials.loc[:, "mean"] *= -123.456
    return trials


def samples():
    long = tuple(f" unbelievable{i}" for i in range(40))
    credit = {name: np.linspace(-123.4, 1.0, len(long)).tolist() for name in ("shap", "leave_one_out")}
    many = make_sample(1.0).model_copy(
        update={"tokens": list(long), "response": "".join(long), "components": credit, "rewards": credit["shap"]}
    )
    return [many, make_sample(1.0, (EVIL, "x" * 300, "")), make_sample(2.0)]


def fragments():
    landmarks = Landmarks(chosen=5, why="nearest to the recommended weights", corners={})
    return [
        trial_table_html(wide_trials(), landmarks, kl_budget=8.0),
        trial_table_html(make_trials(MANY[:3], 3, 1), landmarks),
        token_credit_html(samples(), {"shap": 0.25, "leave_one_out": 0.75}),
    ]


def notebook_page(htmls, theme):
    """The page that nbconvert makes, in the style of JupyterLab."""
    notebook = nbformat.v4.new_notebook()
    for html in htmls:
        output = nbformat.v4.new_output("execute_result", {"text/html": html, "text/plain": "x"}, execution_count=1)
        notebook.cells.append(nbformat.v4.new_code_cell("cell", outputs=[output], execution_count=1))
    return page_of(notebook, theme)


def page_of(notebook, theme):
    page, _ = HTMLExporter(template_name="lab", theme=theme).from_notebook_node(notebook)
    # Fonts and formulas that it would fetch.
    return re.sub(r'<script[^>]*src="http[^>]*></script>|<link[^>]*href="http[^>]*>', "", page)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_in_a_notebook_no_text_overlaps_or_is_cut(tmp_path, width, theme):
    page = notebook_page([Shown(html, "")._repr_html_() for html in fragments()] + fragments(), theme)
    found = look_at_page(page, tmp_path, width=width, dark=theme == "dark", roots=".trials, .tc")
    assert found["texts"] > 500
    assert found["overlapping"] == []
    assert found["cut"] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_in_a_notebook_every_cell_of_a_study_can_be_read(tmp_path, width, make_study, monkeypatch):
    view = StudyView(make_study())
    cells = [view.headline(), view.recommendation(), view.trials(), view.credit()]
    page = notebook_page([cell._repr_html_() for cell in cells], "dark")
    found = look_at_page(page, tmp_path, width=width, dark=False, roots=".bs-cell")
    assert found["texts"] > 100
    assert found["overlapping"] == []
    assert found["cut"] == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_in_the_notebooks_that_come_with_the_package_everything_can_be_read(tmp_path, name, theme, width):
    notebook = nbformat.read(REPOSITORY / "notebooks" / f"{name}.ipynb", as_version=4)
    # Code may be scrolled sideways, and the force plot of shap labels its narrow parts itself.
    roots = ".bs-cell :is(.tc, h3, p, ul, table), .jp-RenderedText pre, .jp-RenderedMarkdown :is(h1, h2, p, li)"
    found = look_at_page(page_of(notebook, theme), tmp_path, width=width, dark=theme == "dark", roots=roots)
    assert found["texts"] > 40
    assert found["overlapping"] == []
    assert found["cut"] == []


@pytest.mark.parametrize("width", [500, *WIDTHS])
@pytest.mark.parametrize("dark", [False, True])
def test_on_a_page_no_text_overlaps_or_is_cut(tmp_path, width, dark):
    page = html_page("all of them", "".join(f"<section>{html}</section>" for html in fragments()))
    found = look_at_page(page, tmp_path, width=width, dark=dark)
    assert (found["overlapping"], found["cut"], found["wide"]) == ([], [], False)


def test_the_check_finds_a_table_whose_columns_lie_over_each_other(tmp_path):
    # As JupyterLab lays tables out, and as ours was: of fixed columns whose texts do not wrap.
    style = "<style>table {table-layout: fixed; width: 100%} td {white-space: nowrap}</style>"
    row = "".join(f"<td>{'number ' * 4}{i}</td>" for i in range(12))
    found = look_at_page(f"<body>{style}<table><tr>{row}</tr></table></body>", tmp_path, width=600, dark=False)
    assert found["overlapping"]
    cut = '<body><div style="overflow: hidden; width: 5rem; white-space: nowrap">longer than its box</div></body>'
    assert look_at_page(cut, tmp_path, width=600, dark=False)["cut"]


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_stands_out_from_its_ground_in_light_and_in_dark():
    # WCAG asks for a contrast of 4.5 to 1.
    light, dark = (
        dict(re.findall(r"--bs-([\w-]+):(#\w+)", part)) for part in theme_css(":root").split("@media", maxsplit=1)
    )
    for colours in (light, dark):
        for text in ("ink", "muted", "warning", "spelt"):
            for ground in ("paper", "ground", "chosen"):
                a, b = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
                assert (a + 0.05) / (b + 0.05) >= 4.5, (text, ground)
