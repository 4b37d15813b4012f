"""A task of eight words, small enough that its answers are known."""

from collections.abc import Callable

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from inner_loop.models.callable_reward_model import CallableRewardModel
from inner_loop.models.prompts import Prompt
from inner_loop.models.task import Task
from tests.inner_loop.conftest import make_tiny_policy

WORDS = ["a", "b", "c", "d", "e", "f", "g", "<eos>"]


def make_bandit(score: Callable[[list[str]], float]) -> Task:
    """Prompts of two words; `score` takes the words of prompt and response. The policy is near uniform."""
    core = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="g"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>")
    prompts = [Prompt(text, tokenizer(text)["input_ids"]) for text in ("b c", "d e", "f b", "c c")] * 4
    return Task(
        policy=make_tiny_policy(tokenizer),
        tokenizer=tokenizer,
        reward_model=CallableRewardModel(lambda texts: [score(text.split()) for text in texts]),
        train_prompts=prompts,
        evaluation_prompts=prompts,
    )
