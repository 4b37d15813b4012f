"""The seam between the two loops: `TrialSpec -> TrialProgress... -> TrialResult`, all plain, serialisable data.

Whoever can produce `TrialProgress` and `TrialResult` from a `TrialSpec` is an inner loop. This module imports
neither torch nor transformers, so that the outer loop can read finished trials in an instant.

Units: rewards and scores are in the reward model's own units (log-odds for the embedded one); KL is in nats per
response, summed over its tokens; lengths are in policy tokens; times in seconds.
"""

import math
from collections.abc import Iterable
from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from inner_loop.components import COMPONENTS
from inner_loop.components.spread import BasePlacement
from inner_loop.errors import MixingWeightsError
from inner_loop.schema import StrictModel, nearest

SUM_ATOL = 1e-6
"""How far from 1 the sum of mixing weights may be."""


class TaskConfig(StrictModel):
    """What is learned: the policy, the reward model, and the prompts."""

    policy: str = "embedded"
    """`embedded`, a hub name, or a folder with a transformers causal language model."""
    reward_model: str = "embedded"
    """`embedded`, a hub name or folder of a transformers sequence classifier, or `module:function` for a callable
    that maps a list of texts to a list of floats."""
    chat_template: bool = False
    """Whether a transformers reward model reads prompt and response as a user's and an assistant's message, in its
    tokenizer's chat template; otherwise it reads them joined, as they are."""
    prompts: str = "embedded"
    """`embedded`, or a folder with `train.jsonl`, `validation.jsonl` (and `heldout.jsonl`): `{"prompt": ...}` lines."""
    max_prompt_tokens: PositiveInt = 16
    """Longest prompt allowed, in policy tokens; a longer one is an error, never cut quietly."""
    response_tokens: PositiveInt = 20
    """Most tokens sampled per response."""


class AttributionConfig(StrictModel):
    """How the reward model is explained, and where the part of the score goes that no unit earned."""

    units: Literal["auto", "tokens", "words", "spans", "sentences"] = "auto"
    """The players of the game. `tokens` are the reward model's; `spans` are at most `max_units` groups of neighbours;
    `auto` takes tokens for short responses, spans for longer ones, sentences for long ones (SCAR, arXiv:2505.20417)."""
    max_units: PositiveInt = 12
    """Most spans of a response; `auto` never makes more units than this or `token_limit`."""
    token_limit: PositiveInt = 12
    """`auto` explains tokens up to this many; with more units than 12 to 16, 64 evaluations say little about each."""
    span_limit: PositiveInt = 128
    """`auto` explains spans of words up to this many tokens, sentences beyond."""
    parser: str | None = None
    """Where spans and Owen values get their tree from: None for the tree of `shap.maskers.Text`, `spacy:MODEL`, or
    `module:function` (see `inner_loop.parsers`)."""
    masking: Literal["remove", "mask", "attention"] = "remove"
    """What happens to an absent unit: its tokens are removed, each replaced by the reward model's mask token (a callable
    gets one mask per unit), or hidden by the attention mask."""
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


class PPOConfig(StrictModel):
    """One short PPO training."""

    steps: NonNegativeInt = 20
    """PPO steps (rollout + update) in a trial; 0 only evaluates the start policy."""
    rollout_size: PositiveInt = 32
    """Responses sampled per step."""
    minibatch_size: PositiveInt = 32
    """Responses per optimizer step; must divide `rollout_size`."""
    epochs: PositiveInt = 4
    """Passes over each rollout."""
    learning_rate: PositiveFloat = 1e-4
    """AdamW learning rate, constant."""
    kl_coef: NonNegativeFloat = 0.05
    """Price of drifting from the reference policy, in score units per nat."""
    gamma: float = Field(default=1.0, gt=0.0, le=1.0)
    """Discount per token."""
    gae_lambda: float = Field(default=0.95, ge=0.0, le=1.0)
    """Bias-variance trade of the advantage estimate; interacts with the density of the reward."""
    clip_range: PositiveFloat = 0.2
    """Clip range of the policy ratio."""
    value_clip_range: PositiveFloat = 0.2
    """Clip range of the value update, in score units."""
    value_coef: NonNegativeFloat = 0.1
    """Weight of the value loss."""
    max_grad_norm: PositiveFloat = 1.0
    """Global gradient norm is clipped here."""
    temperature: PositiveFloat = 1.0
    """Sampling temperature; the log-probabilities of policy and reference are taken at the same temperature."""
    max_kl: PositiveFloat = 200.0
    """A rollout whose mean KL exceeds this stops the trial as diverged."""

    @model_validator(mode="after")
    def _minibatches_fill_the_rollout(self) -> "PPOConfig":
        if self.rollout_size % self.minibatch_size:
            raise ValueError(
                f"minibatch_size must divide rollout_size, got {self.minibatch_size} and {self.rollout_size}"
            )
        return self


class EvaluationConfig(StrictModel):
    """How a policy is judged: always by the unshaped score, on fixed prompts with fixed sampling noise."""

    n_prompts: PositiveInt = 256
    """Prompts scored, the first of the split; the same ones for every arm."""
    every: PositiveInt = 5
    """PPO steps between two points of the learning curve; the start and the end are always points."""
    seed: NonNegativeInt = 12345
    """Seed of the sampling noise, the same for every arm (common random numbers)."""
    split: Literal["validation", "heldout"] = "validation"
    """Which prompts. The outer loop must only ever see `validation`."""


class TrialSpec(StrictModel):
    """Everything one inner run depends on."""

    weights: dict[str, float]
    """Mixing weights: >= 0, summing to 1. Components that are left out have weight 0."""
    task: TaskConfig = TaskConfig()
    attribution: AttributionConfig = AttributionConfig()
    ppo: PPOConfig = PPOConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: NonNegativeInt = 0
    """Seed of prompts drawn, sampling and minibatch order. Equal specs give equal results on one machine."""
    n_samples: int = Field(default=8, ge=0, le=64)
    """Validation responses kept in the result with the credit of every token."""

    @field_validator("weights")
    @classmethod
    def _on_the_simplex(cls, weights: dict[str, float]) -> dict[str, float]:
        check_mixing_weights(weights)
        return weights


class CurvePoint(StrictModel):
    """The policy after `step` PPO steps, judged on the fixed validation prompts."""

    step: NonNegativeInt
    mean: float
    """Mean unshaped score."""
    sem: NonNegativeFloat
    """Standard error over prompts of one training; it does not contain the variance between seeds."""
    kl: float
    """Mean over responses of sum_t log pi(a_t) - log ref(a_t) (k1), in nats; may be slightly negative."""
    kl_k3: float
    """The same divergence by the non-negative, lower-variance estimate k3, in nats."""
    entropy: float
    """Mean entropy of the next-token distribution, in nats per token."""
    length: float
    """Mean response length in policy tokens."""
    distinct_2: float
    """Distinct bigrams of the responses over all their bigrams: falls when the policy repeats itself."""


class TrialProgress(StrictModel):
    """One event of a running trial."""

    step: NonNegativeInt
    """PPO steps finished."""
    n_steps: NonNegativeInt
    score: float | None = None
    """Mean unshaped score of the step's rollout; None before the first step."""
    kl: float | None = None
    """Mean KL (k1) of the step's rollout to the reference."""
    point: CurvePoint | None = None
    """Set when the policy was evaluated after this step."""


class StepStats(StrictModel):
    """What one PPO step did; averages are over response tokens unless said otherwise."""

    score: float
    """Mean unshaped score of the rollout (per response)."""
    kl: float
    """Mean k1 KL of the rollout to the reference (per response)."""
    policy_loss: float
    value_loss: float
    clip_fraction: float
    """Share of tokens whose ratio left the clip range."""
    grad_norm: float
    """Global gradient norm before clipping, averaged over optimizer steps."""
    length: float
    """Mean response length (per response)."""
    n_evaluations: NonNegativeInt
    """Reward-model evaluations the rollout took, the scores themselves included."""


class ExplainedResponse(StrictModel):
    """One validation response of the trained policy with the credit of every token, as plain lists of equal length."""

    prompt: str
    response: str
    score: float
    base_value: float
    """Score with every unit of the response absent."""
    tokens: list[str]
    """Text of each policy token; the end-of-sequence token is the empty string. Joined, they are the response."""
    components: dict[str, list[float]]
    """Credit per token for every component among the trial's weights, those of weight 0 included; each sums to `score`
    (less the base value where that is dropped)."""
    rewards: list[float]
    """The mixture under the trial's weights, corrected for gamma; sums to `score` if gamma is 1."""


class TrialResult(StrictModel):
    """What an inner run hands back to the outer loop."""

    mean: float
    """Final mean validation score (unshaped)."""
    sem: NonNegativeFloat
    """Its standard error over validation prompts."""
    kl: float
    """Final KL to the reference (k1), nats per response."""
    curve: list[CurvePoint]
    """The whole learning curve, start and end included."""
    scores: list[float]
    """Final validation score of each prompt, in the order of the prompts: arms are compared by paired differences."""
    steps: list[StepStats]
    samples: list[ExplainedResponse]
    seconds: dict[str, float]
    """Wall seconds per phase: setup; sample, attribute (scores and credit) and update of all steps; evaluate; explain
    (the credit of `samples`)."""
    peak_memory_mb: NonNegativeFloat
    seed: NonNegativeInt


def check_mixing_weights(weights: dict[str, float]) -> None:
    """Raise `MixingWeightsError` unless `weights` is a point of the simplex over known components."""
    check_components(weights)
    total = sum(weights.values())
    off_simplex = any(not math.isfinite(w) or w < 0 for w in weights.values()) or abs(total - 1) > SUM_ATOL
    if not weights or off_simplex:
        raise MixingWeightsError(
            f"Mixing weights must be >= 0 and sum to 1 (atol={SUM_ATOL}), got {weights}, sum={total:.6g}."
        )


def check_components(names: Iterable[str]) -> None:
    """Raise `MixingWeightsError` if one of the names is not a registered component."""
    for name in names:
        if name not in COMPONENTS:
            raise MixingWeightsError(
                f"Unknown credit component {name!r}, did you mean {nearest(name, COMPONENTS)!r}? "
                f"The components are {', '.join(COMPONENTS)}."
            )
