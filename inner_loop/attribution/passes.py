"""Credit that takes a pass of its own, through the reward model or another model, added to what coalitions say."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inner_loop.attribution.attention import attention_shares
from inner_loop.attribution.credit import Credit, Pieces, place_on_tokens
from inner_loop.attribution.gradient import gradient_values
from inner_loop.attribution.token_models import TokenCredit, implicit_credit, token_model_credit
from inner_loop.errors import AttributionError
from inner_loop.models.encoding import EncodedResponse
from inner_loop.models.reward_models import RewardModel
from inner_loop.spec import AttributionConfig

ATTENTION, GRADIENT = REWARD_MODEL_PASSES = ("attention", "gradient")
"""Methods that pass through the reward model once more."""

IMPLICIT, TOKEN_MODEL = OTHER_MODELS = ("implicit", "token_model")
"""Methods that ask models which the settings name, and that know nothing of what the reward model reads."""

PASSES = (*REWARD_MODEL_PASSES, *OTHER_MODELS)
"""Methods that make a pass of their own."""

_NEEDS_INSIDE = {
    ATTENTION: "Attention credit needs a transformers reward model, of which the attention can be read; got {}.",
    GRADIENT: (
        "Gradient credit needs a transformers reward model, by whose embeddings the score can be differentiated; "
        "got {}."
    ),
}
_UNNAMED = "{0} credit asks a model that has to be named: set attribution.{0}."


def add_passes(
    credits_: list[Credit],
    methods: Sequence[str],
    reward_model: RewardModel,
    encoded: list[EncodedResponse] | None,
) -> list[Credit]:
    """The credits with the values of those of `REWARD_MODEL_PASSES` that are among `methods`.

    Raises:
        AttributionError: If one does not suit the reward model.
    """
    if ATTENTION in methods:
        credits_ = _with_attention(credits_, reward_model, _inside(encoded, ATTENTION, reward_model))
    if GRADIENT in methods:
        credits_ = _with_gradient(credits_, reward_model, _inside(encoded, GRADIENT, reward_model))
    return credits_


def add_other_models(credits_: list[Credit], methods: Sequence[str], config: AttributionConfig) -> list[Credit]:
    """The credits of whole responses with the values of those of `OTHER_MODELS` that are among `methods`.

    What the reward model did not read has no credit from them, either.

    Raises:
        AttributionError: If a model is not named, or cannot be used.
    """
    prompts, responses = [credit.prompt for credit in credits_], [credit.response for credit in credits_]
    if IMPLICIT in methods:
        if config.implicit is None:
            raise AttributionError(_UNNAMED.format(IMPLICIT))
        credits_ = _with_pieces(credits_, IMPLICIT, implicit_credit(config.implicit, prompts, responses))
    if TOKEN_MODEL in methods:
        if config.token_model is None:
            raise AttributionError(_UNNAMED.format(TOKEN_MODEL))
        credits_ = _with_pieces(credits_, TOKEN_MODEL, token_model_credit(config.token_model, prompts, responses))
    return credits_


def _inside(encoded: list[EncodedResponse] | None, method: str, reward_model: RewardModel) -> list[EncodedResponse]:
    """The responses as the reward model's own tokens, which only a transformers model shows."""
    if encoded is None:
        raise AttributionError(_NEEDS_INSIDE[method].format(type(reward_model).__name__))
    return encoded


def _with_attention(credits_: list[Credit], reward_model: RewardModel, encoded: list[EncodedResponse]) -> list[Credit]:
    """Add `attention`: r(x, y) in proportion to the reward model's attention, per unit and per reward-model token."""
    finished = []
    for credit, tokens, shares in zip(credits_, encoded, attention_shares(reward_model, encoded), strict=True):
        kept = tokens.is_response
        ends, shares_kept = tokens.spans[kept, 1], shares[kept]
        units = place_on_tokens(ends, credit.full_value * shares_kept, credit.ends) if credit.offsets else np.zeros(0)
        values = credit.values | {ATTENTION: units}
        pieces = credit.pieces | {ATTENTION: Pieces(ends, shares_kept, are_shares=True)}
        finished.append(replace(credit, values=values, pieces=pieces))
    return finished


def _with_gradient(credits_: list[Credit], reward_model: RewardModel, encoded: list[EncodedResponse]) -> list[Credit]:
    """Add `gradient`: a unit has the first-order terms of its tokens."""
    finished = []
    for credit, tokens, terms in zip(credits_, encoded, gradient_values(reward_model, encoded), strict=True):
        kept = tokens.is_response
        units = place_on_tokens(tokens.spans[kept, 1], terms[kept], credit.ends) if credit.offsets else np.zeros(0)
        finished.append(replace(credit, values=credit.values | {GRADIENT: units}))
    return finished


def _with_pieces(credits_: list[Credit], method: str, tokens: Sequence[TokenCredit]) -> list[Credit]:
    """Add what a model of its own says of its own tokens, and their sums per unit."""
    finished = []
    for credit, (ends, values) in zip(credits_, tokens, strict=True):
        is_unread = np.zeros(len(ends), dtype=bool)
        for first, last in credit.unread:
            is_unread |= (ends > first) & (ends <= last)
        values = np.where(is_unread, 0.0, values)
        units = place_on_tokens(ends, values, credit.ends) if credit.offsets else np.zeros(0)
        pieces = credit.pieces | {method: Pieces(ends, values)}
        finished.append(replace(credit, values=credit.values | {method: units}, pieces=pieces))
    return finished
