import json
import sys

import pytest
import yaml

from inner_loop.errors import MixingWeightsError
from inner_loop.shaping import ShapingFunction
from inner_loop.shaping_card import ShapingEvidence, readme_of
from inner_loop.spec import AttributionConfig, ScoringConfig

EVIDENCE = ShapingEvidence(
    task="policy `p` <b>, reward model r",
    source="study wide",
    objective="mean reward",
    mean=1.25,
    interval=(1.0, 1.5),
    kl=3.0,
    trials=24,
    prob_better_than_sparse=0.97,
    parameters={"gae_lambda": 0.7},
    notes=("One note.",),
    versions={"torch": "2.13.0"},
)


def length(texts):
    return [float(len(text)) for text in texts]


def edited(folder, **changes):
    file = folder / "shaping.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **changes}))
    return folder


@pytest.fixture
def saved(tmp_path):
    ShapingFunction({"sparse": 1.0}).save(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_function_survives_its_folder(tmp_path):
    weights, attribution = {"shap": 0.25, "sparse": 0.75}, AttributionConfig(budget=32, masking="mask", units="words")
    scoring = ScoringConfig(chat_template=True, label={"helpful": 0.5})
    function = ShapingFunction(weights, attribution, 0.9, "embedded", scoring, EVIDENCE)
    function.save(tmp_path / "a" / "b")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["README.md", "shaping.json"]
    loaded = ShapingFunction.load(tmp_path / "a" / "b")
    assert loaded == function
    assert loaded.evidence == EVIDENCE
    assert ShapingFunction.load(str(tmp_path / "a" / "b" / "shaping.json")) == function
    function.save(tmp_path / "a" / "b")  # anew


def test_the_card_says_what_is_known_and_a_hub_can_read_it(tmp_path):
    attribution = AttributionConfig(units="spans", max_units=9)
    scoring = ScoringConfig(reward_model_revision="v2")
    function = ShapingFunction({"shap": 0.6, "sparse": 0.4}, attribution, 1.0, "org/judge", scoring, EVIDENCE)
    function.save(tmp_path / "card")
    text = (tmp_path / "card" / "README.md").read_text()
    _, metadata, body = text.split("---\n", 2)
    known = yaml.safe_load(metadata)
    assert (known["reward_model"], known["reward_model_revision"]) == ("org/judge", "v2")
    assert known["task"] == EVIDENCE.task
    assert known["versions"] == {"torch": "2.13.0"}
    assert known["evidence"]["interval"] == [1.0, 1.5]
    assert "| shap | 0.6 |" in body
    assert "`org/judge`, revision `v2`. Units: spans, at most 9 per response" in body
    assert "- Task: policy 'p' &lt;b>, reward model r" in body
    assert "- Learned in: study wide, 24 trainings" in body
    assert "- Expected mean reward: 1.250 (90% between 1.000 and 1.500)" in body
    assert "- Expected KL: 3.00 nats per response" in body
    assert "better than the sparse reward: 0.97" in body
    assert "gae_lambda 0.7" in body
    assert "- One note." in body
    assert "load(FOLDER, allow_models=True)" in body


def test_the_card_of_a_folder_s_model_does_not_tell_whose_machine_it_was(tmp_path):
    ShapingFunction({"sparse": 1.0}, reward_model="/home/ada/judge").save(tmp_path / "card")
    text = (tmp_path / "card" / "README.md").read_text()
    assert "ada" not in text
    assert "`judge`, which was a folder where this was saved" in text


@pytest.mark.parametrize(("probability", "said"), [(1.0, "above 0.999"), (0.0, "below 0.001"), (0.5, ": 0.5\n")])
def test_no_probability_is_told_as_certain(tmp_path, probability, said):
    evidence = EVIDENCE.model_copy(update={"prob_better_than_sparse": probability})
    ShapingFunction({"sparse": 1.0}, evidence=evidence).save(tmp_path / "card")
    assert said in (tmp_path / "card" / "README.md").read_text()


def test_files_of_older_versions_are_read(tmp_path, saved):
    content = json.loads((saved / "shaping.json").read_text())
    path = tmp_path / "shaping.json"
    path.write_text(json.dumps(content | {"format": "bo-shaping/shaping-function/3", "gamma": 0.5}))
    assert ShapingFunction.load(path) == ShapingFunction({"sparse": 1.0}, gamma=0.5)
    del content["scoring"]
    path.write_text(json.dumps(content | {"format": "bo-shaping/shaping-function/2", "chat_template": True}))
    assert ShapingFunction.load(path).scoring == ScoringConfig(chat_template=True)


def test_an_object_cannot_be_saved_by_name(tmp_path):
    with pytest.raises(TypeError, match="Only a reward model given by name"):
        ShapingFunction({"sparse": 1.0}, reward_model=length).save(tmp_path / "x")


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "README.md").write_text("My model.")
    with pytest.raises(ValueError, match=r"has a README\.md of something else"):
        ShapingFunction({"sparse": 1.0}).save(tmp_path)
    assert (tmp_path / "README.md").read_text() == "My model."
    with pytest.raises(ValueError, match=r"saved to a folder, and .* names a file"):
        ShapingFunction({"sparse": 1.0}).save(tmp_path / "shaping.json")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": "other"}', "[" * 100_000, b"\xff\xfe", '{"format": "bo-shaping/shaping-function/4"}'],
)
def test_other_files_are_refused_in_a_sentence(saved, content):
    (saved / "shaping.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match="not a saved shaping function") as refused:
        ShapingFunction.load(saved)
    assert "\n" not in str(refused.value)


def test_a_file_that_was_cut_short_anywhere_is_refused(saved):
    whole = (saved / "shaping.json").read_text().rstrip()
    for end in range(0, len(whole), 7):
        (saved / "shaping.json").write_text(whole[:end])
        with pytest.raises(ValueError, match="not a saved shaping function"):
            ShapingFunction.load(saved)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gamma": 1.5}, "gamma: must be at most 1, got 1.5"),
        ({"gama": 0.5}, "unknown key 'gama', did you mean 'gamma'"),
        ({"weights": {"sparse": "much"}}, "weights.sparse: 'much' is not a number"),
        ({"attribution": {"units": "letters"}}, "'letters' does not exist, did you mean"),
        ({"format": "bo-shaping/shaping-function/9"}, "format: 'bo-shaping/shaping-function/9' does not exist"),
        ({"evidence": {"task": "x"}}, "evidence.source: this key is missing"),
        ({"evidence": {**EVIDENCE.model_dump(), "prob_better_than_sparse": 7}}, "must be at most 1, got 7"),
    ],
)
def test_an_edited_card_is_refused_where_it_is_wrong(saved, changes, said):
    with pytest.raises(ValueError, match="not a saved shaping function") as refused:
        ShapingFunction.load(edited(saved, **changes))
    assert said in str(refused.value)


def test_a_damaged_weight_is_named(saved):
    with pytest.raises(MixingWeightsError, match=r"sum=0.5"):
        ShapingFunction.load(edited(saved, weights={"sparse": 0.5}))
    with pytest.raises(MixingWeightsError, match="'sparce', did you mean 'sparse'"):
        ShapingFunction.load(edited(saved, weights={"sparce": 1.0}))


def test_a_folder_without_the_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="There is no saved shaping function at"):
        ShapingFunction.load(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"reward_model": "evil:run"}, {"attribution": {"parser": "evil:run"}}, {"attribution": {"parser": "spacy:evil"}}],
)
def test_a_file_from_elsewhere_imports_nothing_unless_its_reader_says_so(saved, changes, tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    edited(saved, **changes)
    with pytest.raises(
        ValueError, match=r"names code to import \((spacy:evil|evil:run)\); if you trust it, pass allow"
    ):
        ShapingFunction.load(saved)
    with pytest.raises(ValueError, match="names code to import"):
        ShapingFunction.load(saved, allow_models=True)
    loaded = ShapingFunction.load(saved, allow_code=True)
    assert "evil" in str((loaded.reward_model, loaded.attribution.parser))
    assert "evil" not in sys.modules


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"reward_model": "org/judge"}, "org/judge"),
        ({"reward_model": "/etc"}, "/etc"),
        ({"attribution": {"implicit": {"model": "org/dpo", "reference": "embedded"}}}, "org/dpo"),
        ({"attribution": {"token_model": {"model": "org/prm"}}}, "org/prm"),
    ],
)
def test_a_file_from_elsewhere_fetches_no_model_unless_its_reader_says_so(saved, changes, named, monkeypatch):
    monkeypatch.setattr("inner_loop.shaping.as_reward_model", lambda *_: pytest.fail("loaded"))
    edited(saved, **changes)
    with pytest.raises(
        ValueError, match=rf"names models to load \({named}\); pass reward_model=, or allow_models=True"
    ):
        ShapingFunction.load(saved)
    with pytest.raises(ValueError, match=r"names models to load"):
        ShapingFunction.load(saved, allow_code=True)
    assert named in str(ShapingFunction.load(saved, allow_models=True))


def test_the_reader_s_reward_model_is_used_and_needs_no_permission(saved):
    edited(saved, reward_model="evil:run", scoring={"label": "good", "reward_model_revision": "v2"})
    given = ShapingFunction.load(saved, reward_model=length)
    # What a named model is asked for means nothing to a function, which would be refused with it.
    assert (given.reward_model, given.scoring) == (length, ScoringConfig())
    assert given(["x"], [" a b"], token_ends=[[2, 4]])[0].score == 5.0
    elsewhere = ShapingFunction.load(saved, reward_model="my/judge")
    assert (elsewhere.reward_model, elsewhere.scoring) == ("my/judge", ScoringConfig(label="good"))
    edited(saved, reward_model="my/judge")
    assert ShapingFunction.load(saved, reward_model="my/judge").scoring.reward_model_revision == "v2"


def test_a_mixture_without_evidence_says_so(saved):
    assert "None is written down." in (saved / "README.md").read_text()
    assert ShapingFunction.load(saved).evidence is None


def test_a_preset_is_a_function_with_its_evidence():
    shaping = ShapingFunction.preset("embedded-shapley")
    assert shaping.weights == {"shap": 1.0}
    assert shaping.evidence.interval[0] < shaping.evidence.mean < shaping.evidence.interval[1]
    [shaped] = ShapingFunction.preset("embedded-wide", reward_model=length)(["x"], [" a b"])
    assert shaped.rewards.sum() == pytest.approx(5.0)
    for name in ("embedded-shaply", "../embedded"):
        with pytest.raises(
            ValueError, match=r"did you mean 'embedded-[a-z]+'\? Presets: embedded-shapley, embedded-wide\."
        ):
            ShapingFunction.preset(name)


def test_the_text_of_a_card_depends_on_the_card_alone(saved):
    from inner_loop.shaping_card import read_card

    assert readme_of(read_card(saved)) == (saved / "README.md").read_text()
