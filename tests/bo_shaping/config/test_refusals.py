"""Every refusal of a configuration is a sentence for somebody who sees nothing else: no library speaks."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic import ValidationError

from bo_shaping.config import StudyConfig
from bo_shaping.config.yaml_text import YAMLTextError, read_yaml
from bo_shaping.errors import ConfigError
from inner_loop.io.schema import StrictModel, describe_validation_error
from inner_loop.spec import TrialSpec

FORBIDDEN = (
    "should match", "Input should", "valid dictionary", "valid tuple", "unable to", "Field required",
    "Value error", "Assertion", "pydantic", "sqlalchemy", "yaml.", "<unicode string>", "Traceback", "type=", "[type",
    "instance of", "<class", "Config", "Error", "Errno", "errors.", "dict[", "[key]", "None", "True", "False", "NaN",
    "after validation", "^", "\\", ": : ",
)  # fmt: skip


def refusal(settings: dict[str, Any], name: str = "study.yaml") -> str:
    with pytest.raises(ConfigError) as caught:
        StudyConfig.from_data({"name": "a"} | settings, (), name)
    return str(caught.value)


def speaks_for_itself(message: str, *keys: str) -> None:
    """No library's words are in it, and one of the keys is."""
    assert not [each for each in FORBIDDEN if each in message], message
    assert any(key in message for key in keys), message
    assert "\n" not in message
    assert not message.endswith("..")


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        # Numbers.
        ("budget: {trials: many}", "budget.trials", "'many' is not a whole number"),
        ("budget: {trials: 2.5}", "budget.trials", "2.5 is not a whole number"),
        ("budget: {trials: }", "budget.trials", "nothing is given (null); write a whole number"),
        ("budget: {trials: [3]}", "budget.trials", "a list is given; write a whole number"),
        ("budget: {trials: 0}", "budget.trials", "must be above 0, got 0"),
        ("seed: -1", "seed", "must be at least 0, got -1"),
        ("n_samples: 65", "n_samples", "must be at most 64, got 65"),
        ("early_stopping: {percentile: 100}", "early_stopping.percentile", "must be below 100, got 100"),
        ("ppo: {learning_rate: 1e-4x}", "ppo.learning_rate", "'1e-4x' is not a number"),
        ("ppo: {learning_rate: .inf}", "ppo.learning_rate", "inf is not a finite number"),
        ("ppo: {learning_rate: 2024-01-01}", "ppo.learning_rate", "2024-01-01 is not a number"),
        # Words.
        ("name: ../evil", "name", "'../evil' cannot be the name of a study and of its folder; write "),
        ("name: my study", "name", "such as my-study"),
        ("name: 5", "name", "5 is not a text; put it in quotes"),
        ("inner_loop: os.system", "inner_loop", "'os.system' is not module:function, such as inner_loop.trial:run_tri"),
        ("executor: slrum", "executor", "'slrum' does not exist, did you mean 'slurm'? Choices: 'process', 'inline', "),
        ("ppo: {algorithm: GRPO}", "ppo.algorithm", "did you mean 'grpo'?"),
        ("ppo: {missing_eos: no}", "ppo.missing_eos", "false is not one of 'none', 'penalty' or 'bootstrap'"),
        ("ppo: {steps: yes}", "ppo.steps", "true is not a whole number"),
        ("task: {label: yes}", "task.label", "true is not a text, a whole number or keys and values"),
        ("ppo: {stop_at_kl: off}", "ppo.stop_at_kl", "false is not a number"),
        ("ppo: {centre_credit: maybe}", "ppo.centre_credit", "'maybe' is not true or false"),
        ("task: {judge: {prompt: 'Is {response} good?', good: Yes}}", "task.judge.good", "YAML reads yes, on and true"),
        (
            "task: {judge: {prompt: 'Is {response} good?', yes: Good}}",
            "task.judge",
            "unknown key true: YAML reads yes,",
        ),
        ("task: {label: 1.5}", "task.label", "1.5 is not a text, a whole number or keys and values"),
        ("task: {label: {helpful: much}}", "task.label.helpful", "'much' is not a number"),
        ("workers: {options: {mem: 1.5}}", "workers.options.mem", "1.5 is not a text or a whole number"),
        # Keys and sections.
        ("n_trials: many", "n_trials", "unknown key 'n_trials', did you mean 'budget.trials'?"),
        ("max_kl: 4", "max_kl", "did you mean 'ppo.max_kl' or 'objective.max_kl'?"),
        ("ppo: {stepz: 3}", "ppo", "unknown key 'stepz', did you mean 'steps'?"),
        ("5: 6", "5", "unknown key 5. Valid keys: name, seed, task"),
        ("task: embedded", "task", "'embedded' is given; write keys and values. Valid keys: "),
        ("budget:", "budget", "nothing is given (null); write keys and values, or leave it out. Valid keys: trials, "),
        (
            "attribution: {implicit: {model: a}}",
            "attribution.implicit.reference",
            "this key is missing, and has no def",
        ),
        ("search_space: {fixed: [shap]}", "search_space.fixed", "a list is given; write keys and values"),
        ("search_space: {fixed: {3: 0.5}}", "search_space.fixed", "the key 3 is not a text; put it in quotes"),
        # Lists.
        ("search_space: {components: lime}", "search_space.components", "'lime' is neither a list such as ["),
        ("search_space: {components: [shap, 5]}", "search_space.components, entry 2", "5 is not a text; put it in quo"),
        (
            "search_space: {bounds: {shap: 5}}",
            "search_space.bounds.shap",
            "5 is not a list; write it in square brackets",
        ),
        ("search_space: {bounds: {shap: [0]}}", "search_space.bounds.shap, entry 2", "this entry is missing"),
        ("search_space: {bounds: {shap: [0, 0.5, 1]}}", "search_space.bounds.shap", "must have at most 2 entries"),
        (
            "search_space: {parameters: {gae_lambda: [0.5, 1]}}",
            "search_space.parameters.gae_lambda",
            "write {bounds: [low, high]} for a range, or {values: [one, other]} for a few values, got a list",
        ),
        (
            "search_space: {parameters: {epochs: {bounds: [0, 3]}}}",
            "search_space.parameters: epochs",
            "must be above 0, got 0",
        ),
        (
            "related: [{source: a, differs: [], trials: []}]",
            "related, entry 1, trials",
            "must have at least 3 usable en",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_plain_words(text, key, says):
    message = refusal(yaml.safe_load(text))
    speaks_for_itself(message, key)
    assert says in message
    assert message.startswith("study.yaml: ")


WRONG: tuple[Any, ...] = (None, "many", "", -7, 1e9 + 0.5, math.nan, True, [], ["x", 3, None], {}, {"x": {}}, {3: 3})


def paths(model: type[StrictModel]) -> Iterator[tuple[str, ...]]:
    """The path of every key, those of sections that are off by default among them."""
    for name, field in model.model_fields.items():
        yield (name,)
        kinds = get_args(field.annotation) if get_origin(field.annotation) is not dict else ()
        for kind in (field.annotation, *kinds):
            if isinstance(kind, type) and issubclass(kind, StrictModel) and get_origin(field.annotation) is not tuple:
                yield from ((name, *path) for path in paths(kind))


def within(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    return {path[0]: within(path[1:], value) if path[1:] else value}


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("model", [StudyConfig, TrialSpec])
def test_whatever_is_written_for_a_key_no_library_answers_and_the_key_is_named(model, value):
    own = {"name": "a"} if model is StudyConfig else {"weights": {"sparse": 1.0}}
    n_refused = 0
    for path in paths(model):
        try:
            model.model_validate(own | within(path, value))
        except ValidationError as error:
            # The section's, where another key of it is missing.
            speaks_for_itself(describe_validation_error(error), *path[-2:])
            n_refused += 1
    assert n_refused >= 10


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "line 1, column 5: expected a value, but found the end of the text"),
        ("seed: 1\nname: a: b", "line 2, column 8: a colon cannot stand here; put a text that has one in quotes"),
        ("task:\n\tpolicy: a", "line 2, column 1: found a tab; indent with spaces"),
        ("name: @a", "with which no value begins; put the text in quotes"),
        ("name: 'a", "a quote is not closed"),
        ("name: !!python/name:os.getcwd", "only plain data is read, so leave out the tag '!!python/name:os.getcwd'"),
        ("seed: 1\nname: 2024-13-45", "line 2, column 7: 2024-13-45 looks like a date or a number and is none; put it"),
        ("seed: 1\nname: \x01", "line 2 has a character that cannot be shown; remove it"),
        ("seed: 1\ntask: {}\nseed: 2", "line 3, column 1: seed was set on line 1 already; leave one of the two out"),
        ("[1]: 2", "line 1, column 1: a list or a section cannot be a key"),
        ("[" * 5000, "it is nested too deeply"),
    ],
)
def test_text_that_is_no_yaml_is_refused_with_its_line(text, says):
    with pytest.raises(YAMLTextError) as caught:
        read_yaml(text)
    speaks_for_itself(str(caught.value), says)


def test_a_section_that_is_merged_in_may_be_overridden():
    assert read_yaml("x: &x {a: 1, b: 2}\ny: {<<: *x, a: 3}")["y"] == {"a": 3, "b": 2}


def test_files_that_hold_no_settings_are_refused_in_plain_words(tmp_path: Path):
    file = tmp_path / "study.yaml"
    for content, says in (
        (b"\xff", "is not UTF-8 text; save it as UTF-8"),
        (b"- 1", "must hold keys and values, such as budget: {trials: 14}, got a list"),
        (b"just text", "got 'just text'"),
    ):
        file.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            StudyConfig.from_yaml(file)
        speaks_for_itself(str(caught.value), says)
    with pytest.raises(ConfigError) as caught:
        StudyConfig.from_yaml(tmp_path)
    speaks_for_itself(str(caught.value), f"{tmp_path} cannot be read: Is a directory.")
