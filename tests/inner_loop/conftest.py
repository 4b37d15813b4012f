"""A policy small enough to train in milliseconds, with the embedded tokenizer, and reward models with known answers."""

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from inner_loop.models.model_source import model_source
from inner_loop.models.prompts import Prompt
from inner_loop.models.task import Task
from tests.inner_loop.tiny_models import TINY

PROMPTS = ["the film is", "a slow but", "i watched this movie with my", "one of the"]


@pytest.fixture(scope="session")
def tokenizer():
    return AutoTokenizer.from_pretrained(model_source("embedded", "policy").weights)


@pytest.fixture(scope="session")
def prompts(tokenizer):
    return [Prompt(text, tokenizer(text)["input_ids"]) for text in PROMPTS]


def make_tiny_policy(tokenizer):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        **TINY,
        max_position_embeddings=64,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture
def tiny_policy(tokenizer):
    return make_tiny_policy(tokenizer)


class CountingRewardModel:
    """Additive: every distinct word of a small lexicon has a worth. Keeps what it was asked."""

    mask_text = "[MASK]"

    def __init__(self):
        self.worths = {"good": 1.0, "bad": -2.0, "film": 0.25}
        self.texts = []

    def score(self, texts):
        self.texts += texts
        return [sum(self.worths.get(word.strip(".,"), 0.0) for word in text.split()) for text in texts]


@pytest.fixture
def reward_model():
    return CountingRewardModel()


@pytest.fixture
def tiny_task(tokenizer, prompts, tiny_policy, reward_model):
    return Task(
        policy=tiny_policy,
        tokenizer=tokenizer,
        reward_model=reward_model,
        train_prompts=prompts,
        evaluation_prompts=prompts,
    )
