"""What may be searched of a field: the arithmetic of ranges and values on their axis, and every refusal."""

import numpy as np
import pytest
import yaml

from bo_shaping.config import ParameterRange, ParameterValues, StudyConfig
from tests.bo_shaping.config.test_refusals import refusal, speaks_for_itself

UNITS = ParameterValues(values=("tokens", "words", "spans"))
SIZES = ParameterValues(values=(1, 2, 4, 8))


def test_values_are_evenly_spaced_in_the_order_given_and_each_has_an_equal_part_of_the_axis():
    assert [UNITS.share_of(value) for value in UNITS.values] == [0.0, 0.5, 1.0]
    assert SIZES.shares_of([8, 1, 4.0, 2]) == [1.0, 0.0, 2 / 3, 1 / 3]
    assert [UNITS.at(share) for share in (0.0, 0.33, 0.34, 0.66, 0.67, 1.0)] == [
        "tokens", "tokens", "words", "words", "spans", "spans",
    ]  # fmt: skip
    for parameter in (UNITS, SIZES, ParameterValues(values=tuple(range(13)))):
        assert [parameter.at(parameter.share_of(value)) for value in parameter.values] == list(parameter.values)
    assert UNITS.levels(9) == ["tokens", "words", "spans"]
    assert ParameterRange(bounds=(0.0, 4.0)).levels(5) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_neighbours_of_a_value_are_itself_and_that_of_another_arm():
    rng = np.random.default_rng(0)
    near = [UNITS.near("tokens", "spans", 0.01, rng) for _ in range(400)]
    assert set(near) == {"tokens", "spans"}
    # Half of them, give or take four standard deviations.
    assert near.count("spans") == pytest.approx(200, abs=40)
    assert ParameterRange(bounds=(1.0, 100.0), log=True).near(1.0, 100.0, 0.5, rng) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("parameter", "value", "says"),
    [
        (UNITS, "words", None),
        (UNITS, "wrods", "must be one of [tokens, words, spans], got 'wrods', which is most like 'words'"),
        (UNITS, 1.0, "must be one of [tokens, words, spans], got 1"),
        (SIZES, 4.0, None),
        (SIZES, 4.0 + 1e-10, None),
        (SIZES, 3.0, "must be one of [1, 2, 4, 8], got 3"),
        (SIZES, "4", "must be one of [1, 2, 4, 8], got '4'"),
        (ParameterRange(bounds=(0.5, 1.0)), 0.5 - 1e-10, None),
        (ParameterRange(bounds=(0.5, 1.0)), 0.4, "must be between 0.5 and 1, got 0.4"),
        (ParameterRange(bounds=(0.5, 1.0)), "high", "must be a number between 0.5 and 1, got 'high'"),
    ],
)
def test_a_value_that_is_not_searched_is_refused(parameter, value, says):
    assert parameter.refusal(value) == says


def test_rounding_is_undone_and_a_word_has_no_nearest():
    assert SIZES.exact(4.0 + 1e-10) == 4.0
    assert (SIZES.within(3.4), SIZES.within(100)) == (4, 8)
    assert UNITS.within("turns") == "turns"
    with pytest.raises(ValueError, match=r"must be one of \[tokens, words, spans\], got 'turns'"):
        UNITS.share_of("turns")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ("units: {values: [tokens, wrds]}", "units: 'wrds' does not exist, did you mean 'words'? Choices: 'auto', "),
        ("units: {values: [tokens, words, tokens]}", "units.values: 'tokens' stands there twice"),
        ("units: {values: [tokens]}", "two values or more to choose from, got 'tokens'; to hold a field, set it"),
        ("units: {values: []}", "two values or more to choose from, got none"),
        ("units: {values: tokens}", "'tokens' is not a list; write it in square brackets"),
        ("units: {values: [tokens, true]}", "units.values, entry 2: true is not a whole number, a number or a text"),
        ("units: {values: [tokens, 3]}", "must be all numbers or all words, got [tokens, 3]"),
        ("units: {values: [3, 4]}", "units: 3 is not one of 'auto', 'tokens', "),
        ("units: {bounds: [3, 4]}", "units cannot be searched over a range: it holds words; write units: {values: ["),
        ("units: {values: [tokens, words], bounds: [0, 1]}", "bounds and values are given together; write bounds"),
        ("gae_lambda: {values: [0.5, 0.9], log: true}", "log is for bounds: values are evenly spaced in any case"),
        ("units: {}", "write {bounds: [low, high]} for a range, or {values: [one, other]} for a few values"),
        ("units: {vales: [tokens, words]}", "unknown key 'vales', did you mean 'values'? Valid keys: values"),
        ("gae_lambda: {bonds: [0.5, 1]}", "unknown key 'bonds', did you mean 'bounds'? Valid keys: bounds, log"),
        ("gae_lambda: {values: [0.5, 2]}", "gae_lambda: must be at most 1, got 2"),
        ("gae_lambda: {values: [0.9, 0.5]}", "must be in increasing order, got [0.9, 0.5]; write [0.5, 0.9]"),
        ("gae_lambda: {values: [0.5, .nan]}", "gae_lambda.values, entry 2"),
        ("samples_per_prompt: {values: [1, 2.5]}", "samples_per_prompt: 2.5 is not a whole number"),
        ("samples_per_prompt: {values: ['1', '2']}", "samples_per_prompt: '1' is not a whole number"),
        ("samples_per_prompt: {bounds: [1, 4]}", "must divide another size, which few values of a range do; write "),
        ("minibatch_size: {values: [8, 12]}", "allow minibatch_size 12: minibatch_size must divide rollout_size, got "),
        (
            "minibatch_size: {values: [8, 16]}, accumulate: {values: [1, 16]}",
            "allow minibatch_size 8, accumulate 16: accumulate must divide minibatch_size, got 16 and 8",
        ),
        ("rollout_size: {values: [16, 32]}", "rollout_size cannot be searched: it changes what a trial costs"),
        ("algorithm: {values: [ppo, rloo]}", "unknown key 'algorithm'"),
        ("max_units: {bounds: [4, 16]}, units: {values: [tokens, words]}", "needs attribution.units: spans"),
    ],
)
def test_values_that_cannot_be_searched_are_refused_in_one_sentence(parameters, says):
    message = refusal({"search_space": {"parameters": yaml.safe_load(f"{{{parameters}}}")}})
    speaks_for_itself(message, "search_space.parameters")
    assert says in message
    assert message.count(". ") <= 1  # the valid keys stand behind the sentence


def test_sizes_are_judged_beside_those_of_the_study_and_each_value_has_the_type_of_its_field():
    parameters = {
        "minibatch_size": {"values": [6, 12.0]},
        "samples_per_prompt": {"values": [1, 3]},
        "sharpness": {"values": [1, 2.5]},
    }
    config = StudyConfig(
        name="a", ppo={"rollout_size": 24, "minibatch_size": 24}, search_space={"parameters": parameters}
    )
    sizes, rates = (config.search_space.choices[name].values for name in ("minibatch_size", "sharpness"))
    assert [(value, type(value)) for value in sizes] == [(6, int), (12, int)]
    assert [(value, type(value)) for value in rates] == [(1.0, float), (2.5, float)]


def test_a_parameter_that_works_with_one_of_the_searched_words_is_searched_with_them():
    parameters = {
        "units": {"values": ["tokens", "spans"]},
        "max_units": {"bounds": [4, 16]},
        "missing_eos": {"values": ["none", "penalty"]},
        "missing_eos_penalty": {"bounds": [0.5, 2]},
    }
    config = StudyConfig(name="a", attribution={"units": "tokens"}, search_space={"parameters": parameters})
    assert (list(config.search_space.ranges), list(config.search_space.choices)) == (
        ["max_units", "missing_eos_penalty"],
        ["units", "missing_eos"],
    )
    again = StudyConfig.model_validate(config.model_dump(mode="json"))
    assert again == config
    assert yaml.safe_load(config.to_yaml())["search_space"]["parameters"]["units"] == {"values": ["tokens", "spans"]}
