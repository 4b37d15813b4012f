import torch

from inner_loop.models.prompt_sampler import PromptSampler
from inner_loop.models.prompts import Prompt

PROMPTS = [Prompt(str(i), [i]) for i in range(5)]


def test_every_prompt_comes_once_before_any_comes_again():
    sampler = PromptSampler(PROMPTS, torch.Generator().manual_seed(0))
    drawn = [prompt.text for _ in range(5) for prompt in sampler.draw(3)]
    assert [sorted(drawn[i : i + 5]) for i in (0, 5, 10)] == [list("01234")] * 3


def test_the_queue_and_the_generator_are_all_there_is_to_continue():
    first = PromptSampler(PROMPTS, torch.Generator().manual_seed(0))
    first.draw(3)
    generator = torch.Generator()
    generator.set_state(first._generator.get_state())
    second = PromptSampler(PROMPTS, generator)
    second.queue = list(first.queue)
    assert [second.draw(4) for _ in range(3)] == [first.draw(4) for _ in range(3)]
