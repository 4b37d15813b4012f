"""The notebooks as they are committed: with outputs of a real run, and with nothing of the machine that ran them."""

import re

import nbformat
import pytest

from bo_shaping.views.report import look
from experiments.run_notebooks import MACHINE, NOTEBOOKS, with_clean_outputs, without_machine

MOST_CELLS = {
    "bring_your_own_inner_loop": 20,
    "compare_credit_methods": 20,
    "continue_an_ax_experiment": 14,
    "inspect_learned_weights": 12,
    "token_credit": 24,
}
MOST_BYTES = 1_000_000
WIDEST_LINE = 100
"""Of code: more is cut off in a window of 900 pixels."""


@pytest.fixture(params=MOST_CELLS)
def path(request):
    return NOTEBOOKS / f"{request.param}.ipynb"


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts_of(notebook):
    for cell in code_of(notebook):
        for output in cell.outputs:
            yield from ([output.text] if output.output_type == "stream" else output.data.values())


def test_all_of_them_are_looked_at_here():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(MOST_CELLS)


def test_every_cell_was_run_in_order_and_nearly_all_show_something(notebook):
    cells = code_of(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    # Definitions show nothing.
    assert sum(not cell.outputs for cell in cells) <= 1


def test_no_output_has_a_path_a_warning_or_an_error(notebook):
    assert all(output.output_type != "error" for cell in code_of(notebook) for output in cell.outputs)
    for text in texts_of(notebook):
        if not text.startswith("iVBOR"):
            assert not MACHINE.search(text)
            assert not re.search(r"Traceback|Warning:|\d+%\||at 0x[0-9a-f]{6}", text)


def test_it_says_before_each_cell_what_to_look_for(notebook):
    for before, cell in zip([None, *notebook.cells], notebook.cells, strict=False):
        if cell.cell_type == "code":
            own = "".join(re.match(r"(?:#[^\n]*\n)*", cell.source)[0].splitlines())
            words = own if own or before is None or before.cell_type != "markdown" else before.source
            assert re.search(r"\blook", words, re.IGNORECASE), cell.source


def test_it_is_short_narrow_and_small(notebook, path):
    assert len(notebook.cells) <= MOST_CELLS[path.stem]
    assert max(len(line) for cell in code_of(notebook) for line in cell.source.splitlines()) <= WIDEST_LINE
    assert path.stat().st_size < MOST_BYTES


def test_what_it_opens_is_there(notebook):
    for cell in code_of(notebook):
        for named in re.findall(r'"((?:stored|\.\.)/[^"]+\.json)"', cell.source):
            file = NOTEBOOKS / named
            assert file.stat().st_size < MOST_BYTES
            assert not MACHINE.search(file.read_text())


def test_the_stored_study_is_one_with_explained_responses():
    view = look(NOTEBOOKS / "stored" / "quickstart.json")
    assert len(view.study.trials()) == 12
    assert set(view.study.trials()["status"]) == {"completed"}
    assert all(results[0].samples for results in view.study.results().values())


def test_what_belongs_to_the_machine_is_left_out_when_outputs_are_saved():
    outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="UserWarning: old"),
        nbformat.v4.new_output("stream", name="stdout", text="wrote /tmp/tmpx1/mine/study.db\n"),
        nbformat.v4.new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "0%|"}),
        nbformat.v4.new_output("execute_result", {"text/html": "<b>1</b>", "text/latex": "1"}, execution_count=1),
    ]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs, metadata={"execution": {"started": "now"}})
    kept = with_clean_outputs(cell)
    assert [output.output_type for output in kept.outputs] == ["stream", "execute_result"]
    assert kept.outputs[0].text == "wrote study.db\n"
    assert kept.outputs[1].data == {"text/html": "<b>1</b>"}
    assert kept.metadata == {}


def test_addresses_and_documentation_links_are_no_paths_of_a_machine():
    assert without_machine("see https://example.org/home/page and ../docs/a.md") == (
        "see https://example.org/home/page and ../docs/a.md"
    )
    assert without_machine("<Study at 0x7f00aa> in '/home/me/studies/mine'") == "<Study> in 'mine'"
