"""The seam between the two loops: `TrialSpec -> TrialProgress... -> TrialResult`, all plain, serialisable data.

Whoever can produce `TrialProgress` and `TrialResult` from a `TrialSpec` is an inner loop. This module imports
neither torch nor transformers, so that the outer loop can read finished trials in an instant.

Units: rewards and scores are in the reward model's own units (log-odds for the embedded one); KL is in nats per
response, summed over its tokens; lengths are in policy tokens; times in seconds.
"""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, field_validator

from inner_loop.components import COMPONENTS
from inner_loop.components.spread import BasePlacement
from inner_loop.errors import MixingWeightsError
from inner_loop.ppo.config import PPOConfig
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
    """Everything one inner run depends on.

    >>> TrialSpec(weights={"sparse": 1.0}, ppo={"epoch": 2})
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: 1 validation error for TrialSpec
    ppo
      Value error, unknown key 'epoch', did you mean 'epochs'? ...
    """

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
    """The policy after `step` PPO steps, judged on fixed prompts; the table of `inner_loop.evaluation` has the rest."""

    step: NonNegativeInt
    mean: float
    sem: NonNegativeFloat
    kl: float
    kl_k3: float
    entropy: float
    length: float
    distinct_1: float | None = None
    distinct_2: float


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
    """What one step did.

    | field | definition; tokens are response tokens, padding enters no mean |
    |---|---|
    | `score` | mean unshaped score of the rollout's responses |
    | `reward` | mean over responses of the sum of token rewards, as trained on: scaled, penalties and KL price off |
    | `kl`, `kl_k3` | mean over responses of the sum over tokens of the KL estimates k1, k3 to the reference, nats |
    | `kl_coef` | price of a nat that was in force |
    | `entropy` | mean over tokens of the entropy of the distribution they were drawn from, nats |
    | `length` | mean number of tokens of a response |
    | `finished` | share of responses that ended by themselves |
    | `policy_loss`, `value_loss` | mean over optimizer steps; value_loss is 0 without a critic |
    | `clip_fraction` | share of tokens whose clipped term was in force, mean over optimizer steps |
    | `policy_kl` | k3 of the sampling policy to the trained one, mean over tokens, then over optimizer steps, nats |
    | `explained_variance` | 1 - var(return - value) / var(return) over tokens at sampling; None without a critic |
    | `grad_norm` | global gradient norm before clipping, mean over optimizer steps |
    | `optimizer_steps` | optimizer steps taken; fewer than planned where `target_kl` ended the updates |
    | `n_evaluations` | reward-model evaluations the rollout took, the scores themselves included |

    Fields that are None were not measured (results of earlier versions).
    """

    score: float
    reward: float | None = None
    kl: float
    kl_k3: float | None = None
    kl_coef: float | None = None
    entropy: float | None = None
    length: float
    finished: float | None = None
    policy_loss: float
    value_loss: float
    clip_fraction: float
    policy_kl: float | None = None
    explained_variance: float | None = None
    grad_norm: float
    optimizer_steps: NonNegativeInt | None = None
    n_evaluations: NonNegativeInt


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
    tokens_per_second: NonNegativeFloat | None = None
    """Response tokens sampled for training over the seconds of sample, attribute and update; None without steps."""
    peak_memory_mb: NonNegativeFloat
    """Largest resident memory of the process so far; earlier trials of the same process count."""
    peak_gpu_memory_mb: NonNegativeFloat = 0.0
    """Most GPU memory the trial's tensors took at a time; 0 on a CPU."""
    stopped: str | None = None
    """Why the training ended before its last step, successfully; None if it did not."""
    seed: NonNegativeInt

    @property
    def auc(self) -> float:
        """Area under the learning curve over its length in steps: the mean score along the training, in score units.

        The trapezoidal rule over the points of `curve`, from the first to the last; a single point is its own mean. It
        rewards learning early, and is less noisy than the last point alone.
        """
        width = self.curve[-1].step - self.curve[0].step
        if width == 0:
            return self.curve[-1].mean
        area = sum((b.step - a.step) * (a.mean + b.mean) / 2 for a, b in pairwise(self.curve))
        return area / width


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
