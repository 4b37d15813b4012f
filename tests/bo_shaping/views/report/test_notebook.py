import gc
from dataclasses import replace

import pytest

from bo_shaping import Study
from bo_shaping.errors import ExperimentFileError, StudyNotFoundError
from bo_shaping.views.export import export_ax_json
from bo_shaping.views.report import StudyView, look
from bo_shaping.views.report.notebook import explained
from bo_shaping.views.report.recommendation import rivals_html
from inner_loop.shaping import ShapingFunction
from tests.bo_shaping.views.report.made_up import EVIL, make_best

THREE = ("shap", "lime", "sparse")


def test_every_cell_is_html_and_plain_text(make_study):
    view = StudyView(make_study())
    cells = [view.headline(), view.recommendation(), view.trials(), view.credit()]
    for picture in (view.simplex(), view.weights(), view.curves()):
        assert picture.png.startswith(b"\x89PNG")
        assert repr(picture)
    for cell in cells:
        html = cell._repr_html_()
        assert html.startswith("<style>")
        assert "<script" not in html.lower().replace("&lt;/script", "")
        assert EVIL not in html
        assert repr(cell)


def test_a_young_study_can_be_looked_at(make_study):
    view = StudyView(make_study(n_finished=0, n_failed=0))
    assert "No trial" in repr(view.headline())
    assert "No trial" in repr(view.recommendation())
    assert "No trial" in view.credit().html


def test_a_component_that_is_recommended_is_no_rival_of_its_own():
    weights = {"shap": 0.0, "lime": 1.0, "sparse": 0.0}
    best = make_best(THREE, weights=weights, prob_better_than={"shap": 0.5, "lime": None, "sparse": 0.25})
    assert '<th scope="row">lime</th><td>– (it is recommended)</td>' in rivals_html(best)
    # One that rounds to it is called pure, and would be said to be better than itself with some odd probability.
    nearly = replace(best, weights={"shap": 0.001, "lime": 0.999, "sparse": 0.0})
    nearly = replace(nearly, prob_better_than={"shap": 0.5, "lime": 0.0, "sparse": 0.25})
    assert '<th scope="row">lime</th><td>– (it is recommended)</td>' in rivals_html(nearly)


def test_any_response_is_explained_by_its_units():
    shaping = ShapingFunction(
        {"shap": 0.5, "sparse": 0.5}, reward_model=lambda texts: [float(text.count("good")) for text in texts]
    )
    [sample] = explained(shaping, ["The film is"], [" very good"])
    assert "".join(sample.tokens) == " very good"
    assert sample.unit_tokens == list(range(len(sample.tokens)))
    assert sum(sample.rewards) == sample.score == 1.0


def test_one_file_of_a_study_is_enough_to_look_at_it(make_config, monkeypatch, tmp_path):
    finished = Study.launch(make_config("climb_and_explain", budget={"trials": 6}))
    finished.run()
    # The file names code, which only looking does not import: here it is the default that is looked at.
    monkeypatch.setattr("bo_shaping.storage.importing.DEFAULT_INNER_LOOP", finished.config.inner_loop)
    file = tmp_path / "sent.json"
    file.write_text(export_ax_json(finished.folder, keeps_responses=True))
    before = file.read_bytes()
    view = look(file)
    assert view.study.trials().equals(finished.trials())
    assert view.study.best() == finished.best()
    first = finished.results()[0][0]
    assert view.study.results()[0][0].samples == first.samples != []
    assert file.read_bytes() == before
    folder = view.study.path
    assert folder.is_dir()
    del view
    gc.collect()
    assert not folder.exists()


def test_a_file_that_names_code_is_not_looked_at_unasked(finished, tmp_path):
    with pytest.raises(ExperimentFileError, match="names code to import"):
        look(finished.folder.snapshot_file)
    with pytest.raises(StudyNotFoundError):
        look(tmp_path / "nothing.json")
