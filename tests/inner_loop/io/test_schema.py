from typing import Any, Literal

import pytest
from pydantic import Field, PositiveInt, ValidationError

from inner_loop.io.schema import MOST_PROBLEMS, StrictModel, describe_validation_error, problems_of


class Part(StrictModel):
    size: PositiveInt = 1
    yes: str = "Yes"
    limit: int = 0


class Whole(StrictModel):
    part: Part = Part()
    other: Part | None = None
    kind: Literal["near", "far"] = "near"
    pair: tuple[float, float] = (0.0, 1.0)
    texts: tuple[str, ...] = ()
    several: str | int | dict[str, float] | None = None
    numbers: dict[str, float] = Field(default={})
    limit: int = 0


def refusal(model: type[StrictModel], data: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return describe_validation_error(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"part": {"size": "many"}}, "part.size: 'many' is not a whole number"),
        ({"part": {"size": 0}}, "part.size: must be above 0, got 0"),
        ({"part": {"size": None}}, "part.size: nothing is given (null); write a whole number"),
        ({"part": {"size": {"a": 1}}}, "part.size: keys and values are given; write a whole number"),
        ({"part": 3}, "part: 3 is given; write keys and values. Valid keys: size, yes, limit"),
        ({"part": None}, "part: nothing is given (null); write keys and values, or leave it out. Valid keys: size, "),
        ({"part": {"yes": 5}}, "part.yes: 5 is not a text; put it in quotes"),
        ({"part": {"yes": True}}, "YAML reads yes, on and true as true unless they are in quotes"),
        ({"part": {True: "Yes"}}, "part: unknown key true: YAML reads yes, on and true as true unless they are in"),
        ({"part": {3: 3}}, "part: unknown key 3. Valid keys: size, yes, limit"),
        ({"kind": "NEAR"}, "kind: 'NEAR' does not exist, did you mean 'near'? Choices: 'near' or 'far'"),
        ({"kind": 3}, "kind: 3 is not one of 'near' or 'far'"),
        ({"pair": [0]}, "pair, entry 2: this entry is missing"),
        ({"pair": [0, 1, 2]}, "pair: must have at most 2 entries"),
        ({"pair": [0, "one"]}, "pair, entry 2: 'one' is not a number"),
        ({"pair": [0, float("inf")]}, "pair, entry 2: inf is not a finite number"),
        ({"texts": "one"}, "texts: 'one' is not a list; write it in square brackets"),
        ({"several": 1.5}, "several: 1.5 is not a text, a whole number or keys and values"),
        ({"several": [1]}, "several: a list is given; write a text, a whole number or keys and values"),
        ({"several": {"a": "x"}}, "several.a: 'x' is not a number"),
        ({"numbers": {1: 2}}, "numbers: the key 1 is not a text; put it in quotes"),
        ({"numbers": {"str": "x", "int": "y"}}, "numbers.str: 'x' is not a number; numbers.int: 'y' is not a number"),
        ({"kind": "far" * 100}, "kind: 'farfarfarfarfarfarfarfarfarfarfarfarfarfarfarfarfarfarfa ...' does not exist"),
    ],
)
def test_a_refusal_says_where_what_and_what_to_write(data, message):
    assert message in refusal(Whole, data)


@pytest.mark.parametrize(
    ("key", "likely"),
    [
        ("knd", "'kind'"),
        ("sizes", "'part.size' or 'other.size'"),  # of the sections, since the key alone would work in neither
        ("limits", "'limit'"),  # of its own before that of a section
        ("x", "'texts'"),  # nothing is like it
    ],
)
def test_an_unknown_key_names_the_nearest_that_works_in_sections_too(key, likely):
    assert f"unknown key {key!r}, did you mean {likely}?" in refusal(Whole, {key: 1})


def test_of_many_problems_the_first_are_told_and_the_others_counted():
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate({"numbers": {f"n{i}": "x" for i in range(MOST_PROBLEMS + 3)}})
    assert len(problems_of(caught.value)) == MOST_PROBLEMS + 3
    assert describe_validation_error(caught.value).endswith("n4: 'x' is not a number; and 3 more")


def test_a_kind_of_problem_that_is_not_known_is_told_without_its_words():
    class Dated(StrictModel):
        word: str = Field(pattern="^a+$")

    assert refusal(Dated, {"word": "b"}) == "word: 'b' cannot be used here"


def test_text_that_is_no_json_is_said():
    with pytest.raises(ValidationError) as caught:
        Part.model_validate_json("{")
    assert describe_validation_error(caught.value) == "this is no whole JSON"
