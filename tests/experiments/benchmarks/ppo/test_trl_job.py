import torch
from transformers import AutoTokenizer

from experiments.benchmarks.ppo.jobs import EMBEDDED, speed_job
from experiments.benchmarks.ppo.trl_job import TextRewardModel, make_critic
from inner_loop.models.reward_models import load_reward_model, score_responses

PROMPTS, RESPONSES = ["the film is", "i don't know"], [" slow at first, but wonderful", " why anyone likes it"]


def test_the_reward_of_tokens_is_that_of_our_reward_model_for_the_text():
    job = speed_job(EMBEDDED)
    tokenizer = AutoTokenizer.from_pretrained(job.policy, padding_side="left")
    model = TextRewardModel(job.reward_model, tokenizer)
    texts = [prompt + response for prompt, response in zip(PROMPTS, RESPONSES, strict=True)]
    ids = tokenizer(texts, padding=True, return_tensors="pt")["input_ids"]
    backbone = getattr(model, model.base_model_prefix)
    [states] = backbone(input_ids=ids, attention_mask=None).hidden_states
    assert states.shape == (*ids.shape, 1)
    expected = torch.tensor(score_responses(load_reward_model("embedded"), PROMPTS, RESPONSES))
    for position in (0, -1):
        torch.testing.assert_close(model.score(states)[:, position, 0], expected, atol=1e-4, rtol=0)


def test_the_critic_that_learns_starts_at_zero():
    job = speed_job(EMBEDDED)
    tokenizer = AutoTokenizer.from_pretrained(job.policy)
    critic = make_critic(job.policy, tokenizer, small=False)
    assert not critic.score(torch.randn(2, 3, 256)).any()
    assert make_critic(job.policy, tokenizer, small=True).config.num_hidden_layers == 2
