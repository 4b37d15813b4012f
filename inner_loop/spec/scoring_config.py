"""How a reward model reads a response and what of it is the score."""

from typing import Literal

from pydantic import field_validator

from inner_loop.io.schema import StrictModel

LongResponses = Literal["tail", "head", "windows", "error"]
"""See `ScoringConfig.long_responses`."""


class JudgeConfig(StrictModel):
    """A language model as the judge: the log-odds of two words as its answer to a question about the response."""

    prompt: str
    """The question, with `{prompt}` and `{response}` where those belong. A judge with a chat template is asked it as a
    user's message."""
    good: str = "Yes"
    """The answer that speaks for the response. Its first token is what counts."""
    bad: str = "No"
    """The answer that speaks against it. In YAML, write both in quotes: yes and no are truth values there."""

    @field_validator("prompt")
    @classmethod
    def _has_a_place_for_the_response(cls, prompt: str) -> str:
        if prompt.count("{response}") != 1 or prompt.count("{prompt}") > 1:
            raise ValueError("write {response} once where the response belongs, and {prompt} where its prompt belongs")
        return prompt


class ScoringConfig(StrictModel):
    """How the reward model reads prompt and response, and what of its output is the score."""

    reward_model_revision: str | None = None
    """Branch, tag or commit of a reward model from the hub."""
    chat_template: bool | None = None
    """Whether a transformers reward model reads prompt and response as messages in its tokenizer's chat template, and
    not joined as they are. If it is left out: conversations are, where the tokenizer has a template."""
    label: str | int | dict[str, float] | None = None
    """What of a classifier with several labels is the score: one of them (its log-odds against all others; its own
    number, where labels are independent), by name or place, or weights of several (`{helpful: 0.7, verbose: -0.3}`:
    the weighted sum of their numbers). If it is left out: one label's number, or the log-odds of two, last minus first.
    """
    judge: JudgeConfig | None = None
    """The reward model is a causal language model that is asked a question about the response."""
    long_responses: LongResponses = "tail"
    """What a transformers reward model reads of prompt and response that are longer than its context: their end, the
    beginning of the response, all of it in windows (the score is their mean), or nothing: an error. Text that is not
    read has no credit."""
