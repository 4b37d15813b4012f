import re
from dataclasses import replace

import pytest

from bo_shaping.surrogate.fit import Fit, Prediction
from bo_shaping.surrogate.recommendation import Cost
from bo_shaping.views.report import write_report
from bo_shaping.views.report.cost import cost_of, cost_sentences
from bo_shaping.views.report.importance import importance_html
from bo_shaping.views.report.in_words import in_words
from bo_shaping.views.report.prediction import prediction_figure, prediction_sentences
from inner_loop.spec import StepStats
from tests.bo_shaping.views.report.made_up import make_best, make_result

COMPONENTS = ("shap", "lime", "sparse")


def _fit():
    return Fit([Prediction(i, 0, float(i), float(i) + (3 if i == 2 else 0), 1.0) for i in range(5)], 0.5, (0.2, 0.8))


def test_a_study_has_every_section_it_has_data_for(make_study):
    study = make_study(n_finished=6)
    study.posterior = replace(study.posterior, fit=_fit())
    html = write_report(study).read_text(encoding="utf-8")
    sections = re.findall(r'<section id="(\w+)">', html)
    assert {"noise", "prediction", "shorter_trials", "kl_law", "cost"} <= set(sections)
    assert len(html) < 6_000_000


def test_an_empty_study_has_none_of_them(make_study):
    html = write_report(make_study(n_finished=0)).read_text(encoding="utf-8")
    assert "<section id=" not in html


def test_every_picture_is_written_as_png_and_svg(make_study, tmp_path):
    index = write_report(make_study(n_finished=6), figures_dir=tmp_path / "pictures")
    written = {file.name for file in (tmp_path / "pictures").iterdir()}
    names = {file.stem for file in index.parent.glob("*.png")}
    assert written == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    svg = (tmp_path / "pictures" / "curves.svg").read_text()
    assert "<text" in svg  # text stays text
    first = {file.name: file.read_bytes() for file in (tmp_path / "pictures").iterdir()}
    write_report(make_study(n_finished=6), figures_dir=tmp_path / "pictures")
    assert {file.name: file.read_bytes() for file in (tmp_path / "pictures").iterdir()} == first


def test_what_lies_outside_its_interval_is_drawn_apart():
    (ax,) = prediction_figure(_fit(), "reward").axes
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["predicted as measured", "inside its 90 % interval: 4", "outside: 1"]
    assert "80 % of them lie in" in prediction_sentences(_fit())[1]


def test_the_cost_by_hand():
    result = make_result(1.0, 2.0, n_steps=2)
    of_all = {"score": 0, "kl": 0, "length": 1, "policy_loss": 0, "value_loss": 0, "clip_fraction": 0, "grad_norm": 0}
    steps = [StepStats(**of_all, n_evaluations=n) for n in (30, 12)]
    one = result.model_copy(update={"steps": steps, "seconds": {"update": 6.0, "sample": 2.0}})
    cost = cost_of({0: [one], 3: [one, one]})
    assert (cost.seconds, cost.evaluations, cost.phases) == ([8, 16], [42, 84], {"update": 18, "sample": 6})
    first, second, third = cost_sentences(cost)
    assert "2 completed trials took 24 s" in first
    assert "12 s (median; 8.0 s to 16 s)" in first
    assert "126 times, 63 times per trial (median; 42 to 84)" in second
    assert third == "Of the seconds: update 75 %, sample 25 %."


def test_what_matters_is_shown_with_the_most_first():
    matters, leaving_out = {"gae_lambda": 0.25, "mixture": 0.8}, {"shap": Cost(0.5, 0.1)}
    html = importance_html(make_best(COMPONENTS, matters=matters, leaving_out=leaving_out))
    assert html.index("mixture") < html.index("gae_lambda")
    assert "80 %" in html
    assert "+0.50" in html
    assert importance_html(make_best(COMPONENTS, matters={}, leaving_out={})) == ""


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.97, "it does better than"), (0.85, "probably does better"), (0.5, "is open"), (None, "usually done")],
)
def test_the_first_paragraph_claims_no_more_than_its_probability(probability, words):
    text = in_words(make_best(COMPONENTS, prob_better_than_sparse=probability), 12, 20, 6.0)
    assert words in text
    assert "After 12 trainings" in text
    assert "6 nats" in text


def test_the_first_paragraph_of_a_study_without_a_recommendation():
    assert "too few" in in_words(None, 2, 20, None)
