"""How the reward model is explained."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from inner_loop.io.schema import StrictModel

BasePlacement = Literal["last", "uniform", "drop"]
"""Where r(x, nothing) goes, which no token of a response can change."""


class ImplicitConfig(StrictModel):
    """Two causal language models with one tokenizer, whose log-ratio is `implicit` credit."""

    model: str
    """Hub name or folder of the one that was trained on preferences (DPO, say); `embedded` for the embedded policy."""
    reference: str
    """Hub name or folder of the one it was trained from."""
    beta: PositiveFloat = 1.0
    """Score units per nat: the beta that `model` was trained with, in the reward model's units."""


class TokenModelConfig(StrictModel):
    """A model that scores tokens: `token_model` credit."""

    model: str
    """Hub name or folder of a transformers token classifier with one label (a score) or two (log-odds)."""
    scores: Literal["rewards", "values"] = "rewards"
    """Whether a score is what the token earned, or what the response is worth up to it, as in process reward models:
    credit is then how much the score rises."""


class AttributionConfig(StrictModel):
    """How the reward model is explained, and where the part of the score goes that no unit earned."""

    units: Literal["auto", "tokens", "words", "spans", "sentences", "turns"] = "auto"
    """The players of the game. `tokens` are the reward model's; `spans` are at most `max_units` groups of neighbours;
    `turns` are the model's, in a response of several with a user or tools, by the marks of the usual chat templates;
    `auto` takes tokens for short responses, spans for longer ones, sentences for long ones (SCAR, arXiv:2505.20417)."""
    max_units: PositiveInt = 12
    """Most spans of a response; `auto` never makes more units than this or `token_limit`."""
    token_limit: PositiveInt = 12
    """`auto` explains tokens up to this many; with more units than 12 to 16, 64 evaluations say little about each."""
    span_limit: PositiveInt = 128
    """`auto` explains spans of words up to this many tokens, sentences beyond."""
    parser: str | None = None
    """Where spans and Owen values get their tree from: None for the tree of `shap.maskers.Text`, `spacy:MODEL`, or
    `module:function` (see `inner_loop.units.parsers`)."""
    masking: Literal["remove", "mask", "attention"] = "remove"
    """What happens to an absent unit: its tokens are removed, or each is replaced by the reward model's mask token (one
    per unit in texts for a callable), or they are hidden by the attention mask."""
    budget: int = Field(default=64, ge=2)
    """Most distinct reward-model evaluations per response, the full and the empty response included."""
    engine: Literal["own", "library"] = "own"
    """`library` asks the shap and lime packages instead, a response at a time: slow, for comparison."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the masked evaluations; the full and the empty response are always scored in float32. `auto` is
    bfloat16 where the hardware gains from it."""
    cache_size: NonNegativeInt = 0
    """Scores of masked sequences that are kept between calls, the most recently used ones; 0 for none."""
    base_value: BasePlacement = "last"
    """Where r(x, nothing) goes: on the last token, `uniform`ly on all tokens, or `drop`ped from every component (the
    return then changes by a constant per prompt)."""
    sharpness: PositiveFloat = 1.0
    """Power that credit is raised to, its sign and the sum of its sizes kept: above 1 the largest parts get more, below
    1 all parts become more alike. Of explanations and token models."""
    implicit: ImplicitConfig | None = None
    """The models of `implicit` credit."""
    token_model: TokenModelConfig | None = None
    """The model of `token_model` credit."""
