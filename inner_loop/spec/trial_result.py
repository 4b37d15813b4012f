"""What an inner run hands back: progress while it runs, and a result at its end."""

from collections.abc import Callable, Generator
from itertools import pairwise

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from inner_loop.io.schema import StrictModel
from inner_loop.spec.credit_similarity import CreditSimilarity


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
    gold: dict[str, float] = Field(default_factory=dict)
    """Mean score by each reward model of `EvaluationConfig.gold`."""


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
    similarity: CreditSimilarity | None = None
    """How alike the components pay, on responses of the policy before its first step: with the first event, where
    responses are explained."""


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
    unit_tokens: list[NonNegativeInt] = Field(default_factory=list)
    """Index of the token that completes each unit of the response, where the credit of the unit is paid; empty where
    nothing was explained (and in results of earlier versions)."""
    unread: list[bool] = Field(default_factory=list)
    """Which of the tokens the reward model had no room for, if any: they have no credit."""
    components: dict[str, list[float]]
    """Credit per token for every component among the trial's weights, those of weight 0 included; each sums to `score`
    (less the base value where that is dropped)."""
    rewards: list[float]
    """The mixture under the trial's weights, corrected for gamma; sums to `score` if gamma is 1."""


class PromptCounts(StrictModel):
    """What became of the prompts that were given."""

    train: NonNegativeInt
    """Prompts that are trained on."""
    judged: NonNegativeInt
    """Prompts that the policy is judged on."""
    dropped: NonNegativeInt = 0
    """Prompts left out because they were too long, of those of both splits."""
    truncated: NonNegativeInt = 0
    """Prompts that lost their beginning."""
    repeated: NonNegativeInt = 0
    """Prompts left out of a single file, since they stood there before."""


class Unread(StrictModel):
    """What the reward model had no room for of the final validation responses."""

    responses: float = Field(ge=0, le=1)
    """Share of the responses of which a part was not read."""
    tokens: NonNegativeInt
    """Tokens of the reward model that were not read."""


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
    """What each step did."""
    samples: list[ExplainedResponse]
    """Some validation responses of the trained policy, with the credit of every token."""
    before: list[ExplainedResponse] = Field(default_factory=list)
    """Those of the policy before its first step, to the same prompts; empty of results of earlier versions."""
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
    """Seed of the training."""
    prompts: PromptCounts | None = None
    """What became of the prompts; None of results of earlier versions, or of other people's loops."""
    unread: Unread | None = None
    """What of the responses was not read; None if all was."""

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


def result_of(
    trial: Generator[TrialProgress, None, TrialResult], *, heard: Callable[[TrialProgress], object] | None = None
) -> TrialResult:
    """Run a trial of `run_trial` to its end.

    Args:
        trial: What `run_trial` gave.
        heard: Called with every event.

    Raises:
        Exception: Whatever the trial raises.
    """
    while True:
        try:
            event = next(trial)
        except StopIteration as stop:
            result: TrialResult = stop.value
            return result
        if heard is not None:
            heard(event)
