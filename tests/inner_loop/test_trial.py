import json

import pytest
import torch

from inner_loop import TrialResult, TrialSpec, run_trial
from inner_loop.errors import RewardModelError
from inner_loop.task import Prompt
from inner_loop.trial import prompt_batches

TINY = {
    "ppo": {"steps": 3, "rollout_size": 4, "minibatch_size": 4, "epochs": 1},
    "evaluation": {"n_prompts": 8, "every": 2},
    "task": {"response_tokens": 6},
    "n_samples": 2,
}


def run(spec, **kwargs):
    events, trial = [], run_trial(spec, **kwargs)
    while True:
        try:
            events.append(next(trial))
        except StopIteration as stop:
            return events, stop.value


@pytest.fixture(scope="module")
def mixed():
    return run(TrialSpec(weights={"shap": 0.5, "lime": 0.2, "sparse": 0.3}, **TINY))


def test_every_step_is_reported_and_the_curve_has_its_points(mixed):
    events, result = mixed
    assert [event.step for event in events] == [0, 1, 2, 3]
    assert [event.step for event in events if event.point] == [0, 2, 3]
    assert [point.step for point in result.curve] == [0, 2, 3]
    assert events[-1].point == result.curve[-1]
    assert (result.mean, result.sem, result.kl) == (result.curve[-1].mean, result.curve[-1].sem, result.curve[-1].kl)
    assert len(result.scores) == 8
    assert len(result.steps) == 3


def test_the_result_survives_json_exactly(mixed):
    assert TrialResult.model_validate(json.loads(mixed[1].model_dump_json())) == mixed[1]


def test_samples_carry_conserved_credit_of_every_component_of_the_weights(mixed):
    samples = mixed[1].samples
    assert len(samples) == 2
    for sample in samples:
        assert "".join(sample.tokens) == sample.response
        assert set(sample.components) == {"shap", "lime", "sparse"}
        for values in [*sample.components.values(), sample.rewards]:
            assert len(values) == len(sample.tokens)
            assert sum(values) == pytest.approx(sample.score, abs=1e-4)


def test_equal_specs_give_equal_results(mixed):
    _, again = run(TrialSpec(weights={"shap": 0.5, "lime": 0.2, "sparse": 0.3}, **TINY))

    def timeless(result):
        return result.model_dump(exclude={"seconds", "peak_memory_mb"})

    assert timeless(again) == timeless(mixed[1])


def test_any_callable_is_a_reward_model():
    _, result = run(TrialSpec(weights={"sparse": 1.0}, **TINY), reward_model=lambda texts: [3.0] * len(texts))
    assert result.mean == 3.0
    assert result.sem == 0.0


def test_a_reward_model_that_breaks_stops_the_trial():
    with pytest.raises(RewardModelError, match="nan"):
        run(TrialSpec(weights={"sparse": 1.0}, **TINY), reward_model=lambda texts: [float("nan")] * len(texts))


def test_every_prompt_comes_once_before_any_comes_again():
    prompts = [Prompt(str(i), [i]) for i in range(5)]
    batches = prompt_batches(prompts, 3, torch.Generator().manual_seed(0))
    drawn = [prompt.text for _ in range(5) for prompt in next(batches)]
    assert [sorted(drawn[i : i + 5]) for i in (0, 5, 10)] == [list("01234")] * 3
