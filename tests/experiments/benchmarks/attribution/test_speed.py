import torch

from experiments.benchmarks.attribution.speed import (
    LIME,
    LIME_ON_OURS,
    OURS,
    SHAP,
    SHAP_ON_OURS,
    bare,
    bars,
    name_of,
    recorded_calls,
    replay,
)
from inner_loop.models.reward_models import load_reward_model


def test_recorded_passes_are_repeated_as_they_were():
    model = load_reward_model("embedded")
    texts = ["a fine film", "dull"]
    network = type(model.model)
    before = network.forward
    with recorded_calls(model) as calls:
        scores = model.score(texts)
    assert network.forward is before
    with torch.inference_mode():
        repeated = torch.cat([call().logits[:, 0] for call in calls])
    assert sorted(repeated.tolist()) == sorted(scores)
    n_calls = len(calls)
    replay(calls)
    assert len(calls) == n_calls


def test_ratios_are_taken_within_a_repeat():
    seconds = {SHAP: [90.0, 30.0, 90.0], LIME: [10.0, 10.0, 10.0], SHAP_ON_OURS: [9.0] * 3, LIME_ON_OURS: [1.0] * 3}
    for dtype, budget in OURS:
        seconds[name_of(dtype, budget)] = [2.0, 1.0, 1.0]
        seconds[bare(name_of(dtype, budget))] = [2.0, 0.5, 0.9]
    gain, *_, overhead = bars({"cpu_seconds_per_text": seconds})
    assert (gain.value, gain.low, gain.high) == (50.0, 40.0, 100.0)
    assert gain.passed
    assert gain.note.startswith("10.0 ")
    assert (overhead.low, overhead.high) == (1.0, 2.0)
    assert overhead.passed
