"""The first paragraph of a report: what was done and found, for a colleague who knows none of the words."""

from typing import TYPE_CHECKING

from bo_shaping.text.wording import describe_probability, describe_weights, is_pure
from inner_loop.spec import SPARSE

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best

SURE, LIKELY = 0.95, 0.8


def in_words(best: "Best | None", n_trials: int, n_steps: int, kl_budget: float | None) -> str:
    """One paragraph; every number in it is one of the recommendation's.

    Args:
        best: The recommendation, if there is one.
        n_trials: Trials with a result.
        n_steps: PPO steps of a trial, at most.
        kl_budget: Largest KL allowed.
    """
    what = (
        "A language model was trained again and again with reinforcement learning, each time for at most "
        f"{n_steps} steps. A reward model scores a whole response; the study asks which of its words should be "
        "paid for "
        "that score, by mixing several ways to share it out."
    )
    if best is None:
        return f"{what} So far {n_trials} trainings have ended, too few to say which mixture is best."
    low, high = best.mean_interval
    found = (
        f"After {n_trials} trainings the best guess is {describe_weights(best.weights)}: it is expected to reach "
        f"{best.mean:.2f} ({best.reward}), and with 90 % probability between {low:.2f} and {high:.2f}."
    )
    probability = best.prob_better_than_sparse
    if is_pure(best.weights, SPARSE):
        verdict = "That is to pay the whole score at the end of the response, as it is usually done."
    elif probability is None:
        verdict = "How well it does to pay the whole score at the end, as it is usually done, was not tried."
    else:
        chance = describe_probability(probability)
        usual = "than paying the whole score at the end of the response, as it is usually done"
        if probability >= SURE:
            verdict = f"By that measure it does better {usual}, with a probability of {chance}."
        elif probability >= LIKELY:
            verdict = f"By that measure it probably does better {usual}: the probability is {chance}."
        else:
            verdict = f"Whether it does better {usual} is open: the probability is {chance}."
    budget = (
        ""
        if kl_budget is None
        else f" The policy may drift from the first one by {kl_budget:g} nats per response (KL)."
    )
    more = f" More trials might still find up to {best.regret:.2f} more, on average." if best.regret >= 0.005 else ""
    return f"{what} {found} {verdict}{budget}{more}"
