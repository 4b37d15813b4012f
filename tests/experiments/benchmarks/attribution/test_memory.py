from experiments.benchmarks.attribution.memory import N_TOKENS, bars, random_responses
from inner_loop.models.reward_models import load_reward_model


def test_responses_fill_the_positions_of_the_reward_model():
    tokenizer = load_reward_model("embedded").tokenizer
    responses = random_responses(tokenizer, 3)
    assert len(set(responses)) == 3
    assert [len(ids) for ids in tokenizer(responses)["input_ids"]] == [N_TOKENS] * 3


def test_a_smaller_batch_than_the_bar_asks_for_is_said_to_be_one():
    run = {"responses": 64, "tokens": 126.0, "coalitions": 128, "peak_gb": 1.0}
    [bar] = bars({"runs": [run]})
    assert bar.note == "the bar is for 512 responses"
