import numpy as np
import pytest

from inner_loop.attribution import explain
from inner_loop.attribution.explain import explain_responses
from inner_loop.errors import AttributionError, RewardModelError
from inner_loop.models.reward_models import load_reward_model
from inner_loop.spec import AttributionConfig

METHODS = ("shapley", "owen", "lime")
LONG = " the plot is thin and slow but the acting is wonderful, the music moving, and i would see it again. " * 3


def brute_force_shapley(value, n_units):
    """Shapley values by their definition over orders: independent of everything under test."""
    from itertools import permutations

    values, orders = np.zeros(n_units), list(permutations(range(n_units)))
    for order in orders:
        present = np.zeros(n_units, dtype=bool)
        before = value(present)
        for unit in order:
            present[unit] = True
            after = value(present)
            values[unit] += (after - before) / len(orders)
            before = after
    return values


@pytest.fixture(scope="module")
def embedded():
    return load_reward_model("embedded")


@pytest.mark.parametrize("engine", ["own", "library"])
def test_an_additive_reward_model_is_explained_exactly(reward_model, engine):
    [credit] = explain(reward_model, ["a film"], [" that is good and bad"], methods=METHODS, engine=engine)
    # LimeTextExplainer has a ridge penalty of 1, which takes a good part of 64 weighted samples off.
    tolerance = {"shapley": 1e-6, "owen": 1e-6, "lime": 1e-6 if engine == "own" else 0.4}
    for method, values in credit.values.items():
        np.testing.assert_allclose(values, [0, 0, 1, 0, -2], atol=tolerance[method])
    assert credit.base_value == 0.25
    assert credit.full_value == pytest.approx(-0.75)
    assert credit.units == [" that", " is", " good", " and", " bad"]


@pytest.mark.parametrize("engine", ["own", "library"])
def test_the_prompt_is_never_masked(reward_model, engine):
    explain(reward_model, ["keep all of this"], [" good bad film"], methods=METHODS, engine=engine)
    assert reward_model.texts
    assert all(text.startswith("keep all of this") for text in reward_model.texts)


@pytest.mark.parametrize("methods", [("shapley",), ("owen",), ("lime", "shapley"), METHODS])
def test_the_budget_is_a_limit_on_distinct_evaluations(reward_model, methods):
    responses = [" good good good good bad bad film film once more", " good bad"]
    credits_ = explain(reward_model, ["p", "p"], responses, methods=methods, budget=32)
    assert len(set(reward_model.texts)) == len(reward_model.texts)
    assert 2 < credits_[0].n_evaluations <= 32
    assert credits_[1].n_evaluations == 4
    assert len(reward_model.texts) <= sum(credit.n_evaluations for credit in credits_)


def test_without_methods_only_the_ends_are_evaluated(reward_model):
    credits_ = explain(reward_model, ["film"], [" a good bad film " * 3], methods=())
    assert credits_[0].n_evaluations == 2
    assert (credits_[0].base_value, credits_[0].full_value) == (0.25, pytest.approx(0.25 + 3 * (1 - 2 + 0.25)))


@pytest.mark.parametrize("response", ["", " one"])
@pytest.mark.parametrize("engine", ["own", "library"])
def test_responses_with_little_to_divide(reward_model, response, engine):
    [credit] = explain(reward_model, ["a good film"], [response], methods=METHODS, engine=engine)
    assert credit.full_value == credit.base_value == 1.25
    assert all(len(credit.values[method]) == len(response.split()) for method in METHODS)


@pytest.mark.parametrize("methods", [METHODS, ("attention", "shapley")])
def test_results_do_not_depend_on_the_company(embedded, methods):
    responses = [" bad film", "", " good and bad and good film", " x" * 40, LONG]
    settings = {"methods": methods, "budget": 32, "dtype": "float32"}
    together = explain(embedded, ["p"] * 5, responses, **settings)
    backwards = explain(embedded, ["p"] * 5, responses[::-1], **settings)[::-1]
    for response, credit, other in zip(responses, together, backwards, strict=True):
        [alone] = explain(embedded, ["p"], [response], **settings)
        for method in methods:
            np.testing.assert_allclose(credit.values[method], alone.values[method], atol=1e-5)
            np.testing.assert_allclose(credit.values[method], other.values[method], atol=1e-5)


def test_equal_inputs_give_equal_bits(embedded):
    first, second = (explain(embedded, ["the film"], [LONG], methods=METHODS)[0] for _ in range(2))
    assert all(np.array_equal(first.values[method], second.values[method]) for method in METHODS)


@pytest.mark.parametrize("masking", ["remove", "mask"])
def test_a_real_reward_model_is_explained_as_by_brute_force(embedded, masking):
    # Five words and a budget of 32: every coalition is known, so the answer is exact up to float32 scores. The words
    # are single tokens, so that the text of a coalition is tokenised like its tokens.
    prompt, words = "the plot is", ["thin", "but", "the", "acting", "wonderful"]
    settings = {"units": "words", "budget": 32, "masking": masking, "dtype": "float32"}
    [credit] = explain(embedded, [prompt], [" " + " ".join(words)], **settings)

    def value(present):
        absent = "" if masking == "remove" else "[MASK]"
        kept = [word if there else absent for word, there in zip(words, present, strict=True)]
        return embedded.score([" ".join([prompt, *filter(None, kept)])])[0]

    np.testing.assert_allclose(credit.values["shapley"], brute_force_shapley(value, 5), atol=2e-4)
    assert not credit.std["shapley"].any()


@pytest.mark.parametrize("masking", ["remove", "mask", "attention"])
@pytest.mark.parametrize("units", ["auto", "tokens", "words", "spans", "sentences", "turns"])
def test_shapley_and_owen_values_sum_to_what_the_response_earned(embedded, masking, units):
    [credit] = explain(
        embedded, ["one of the"], [LONG], methods=("shapley", "owen"), units=units, masking=masking, budget=24
    )
    gain = credit.full_value - credit.base_value
    assert "".join(credit.units) == LONG
    for method in ("shapley", "owen"):
        assert credit.values[method].sum() == pytest.approx(gain, abs=1e-6 * max(1, abs(gain)))
        assert (credit.std[method] >= 0).all()


def test_a_larger_budget_leaves_less_uncertainty(embedded):
    response = " the plot is thin and slow but the acting is wonderful"
    few, many = (explain(embedded, ["the"], [response], budget=budget)[0] for budget in (16, 128))
    assert many.std["shapley"].mean() < 0.7 * few.std["shapley"].mean()


def test_the_engines_agree_where_both_are_exact(embedded):
    response = " thin plot but wonderful acting"
    own, library = (
        explain(embedded, ["the"], [response], methods=("shapley", "owen"), units="words", engine=engine)[0]
        for engine in ("own", "library")
    )
    for method in ("shapley", "owen"):
        np.testing.assert_allclose(own.values[method], library.values[method], atol=1e-4)


def test_attention_spreads_the_score_in_proportion(embedded):
    [credit] = explain(embedded, ["one of the"], [LONG], methods=("attention",))
    shares = credit.values["attention"] / credit.full_value
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()


def test_attention_of_a_callable_cannot_be_read():
    with pytest.raises(AttributionError, match="needs a transformers reward model"):
        explain(lambda texts: [0.0] * len(texts), ["x"], ["y"], methods=("attention",))


def test_a_policy_tokenizer_gives_values_per_token(embedded, tokenizer):
    response = " the plot is thin and slow, but the acting's wonderful"
    [credit] = explain(embedded, ["the"], [response], methods=("shapley", "attention"), policy_tokenizer=tokenizer)
    assert len(credit.token_ends) == len(tokenizer(response, add_special_tokens=False)["input_ids"])
    assert credit.token_ends[-1] == len(response)
    for method, values in credit.token_values.items():
        assert len(values) == len(credit.token_ends)
        assert values.sum() == pytest.approx(credit.values[method].sum())


def test_attention_is_placed_token_by_token_where_units_are_coarse(embedded, tokenizer):
    [credit] = explain(
        embedded, ["the"], [" a thin plot. wonderful acting."], methods=("attention",), units="sentences",
        policy_tokenizer=tokenizer,
    )  # fmt: skip
    assert len(credit.units) == 2
    assert np.count_nonzero(credit.token_values["attention"]) > 4


def test_scores_can_be_kept_between_calls(reward_model):
    from inner_loop.attribution.table import ScoreCache

    cache, config = ScoreCache(100), AttributionConfig(units="words", budget=8)
    for _ in range(2):
        explain_responses(reward_model, ["p"], [" good bad film"], methods=("shapley",), config=config, cache=cache)
    assert len(reward_model.texts) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ("shap",)}, "'shap', did you mean 'shapley'"),
        ({"units": "word"}, "units: 'word' does not exist, did you mean 'words'"),
        ({"budget": 1}, "budget"),
        ({"maskin": "mask"}, "'maskin', did you mean 'masking'"),
        ({"base_value": "drop"}, "base_value is a setting of ShapingFunction"),
        ({"masking": "attention"}, "masking='attention' needs a transformers reward model"),
        ({"methods": "shapley"}, "methods must be a sequence of texts, got the single text 'shapley'"),
    ],
)
def test_what_cannot_be_asked_for(arguments, message):
    with pytest.raises(AttributionError, match=message):
        explain(lambda texts: [0.0] * len(texts), ["x"], [" y z"], **arguments)


@pytest.mark.parametrize(("prompts", "responses"), [("abc", ["d"]), (["abc"], "d")])
def test_a_single_text_is_not_taken_letter_by_letter(prompts, responses):
    with pytest.raises(AttributionError, match="must be a sequence of texts, got the single text"):
        explain(lambda texts: [0.0] * len(texts), prompts, responses)


def test_an_object_needs_nothing_but_score():
    class Length:
        def score(self, texts):
            return [float(len(text)) for text in texts]

    [removed] = explain(Length(), ["a"], [" bb c"], units="words")
    [masked] = explain(Length(), ["a"], [" bb c"], units="words", masking="mask")
    np.testing.assert_allclose(removed.values["shapley"], [3, 2])
    np.testing.assert_allclose(masked.values["shapley"], [-1, -2])  # "..." is longer


def test_responses_that_the_same_coalitions_serve_are_read_out_together(embedded):
    from inner_loop.attribution.owen import as_tree
    from inner_loop.attribution.shared_coalitions import shared_coalitions

    trees = [as_tree([[0, 1], [2, [3, 4]]], 5), as_tree([0, [1, [2, [3, 4]]]], 5)]
    first, second = (shared_coalitions(5, ("shapley", "owen"), 64, tree) for tree in trees)
    assert first is second
    first, second = (shared_coalitions(9, ("shapley", "prefix"), 64, tree) for tree in trees)
    assert first is second


def test_scores_are_kept_if_asked_for(reward_model):
    explain(reward_model, ["p"], [" a b c"], methods=("shapley", "owen"), engine="library", cache_size=100)
    assert len(reward_model.texts) == len(set(reward_model.texts)) == 8


def test_each_response_needs_its_prompt():
    with pytest.raises(AttributionError, match="2 prompts for 1 responses"):
        explain(lambda texts: [0.0] * len(texts), ["x", "y"], ["z"])


@pytest.mark.parametrize("engine", ["own", "library"])
def test_a_score_that_is_no_number_names_the_response(engine):
    def broken(texts):
        return [float("nan") if "worse" in text else 1.0 for text in texts]

    with pytest.raises(RewardModelError, match="response 1, as it is, as nan"):
        explain(broken, ["x", "x"], [" fine", " much worse"], engine=engine)
