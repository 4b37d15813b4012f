"""The reward that is held within a KL budget: what a learning curve is worth to whoever will not drift further.

The training counts until its KL passes the budget; from there on the reward that it had at that point stands for the
rest of its steps. The measure is the mean over all steps, so an arm that gets there in a third of the steps scores more
than one that needs all of them, none can buy reward with drift, and every arm keeps the budget.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Height(NamedTuple):
    """The policy after some PPO steps."""

    step: float
    reward: float
    kl: float


def held_reward(curve: Sequence[Height], n_steps: int, max_kl: float | None) -> float:
    """Area under the reward that is held, over the steps from the first point of the curve to `n_steps`, per step.

    Between two points reward and KL are taken for straight lines. The first passing of the budget counts: a KL that
    comes back later does not undo it.

    >>> held_reward([Height(0, 0.0, 0.0), Height(10, 2.0, 8.0), Height(20, 9.0, 30.0)], n_steps=20, max_kl=4.0)
    0.875

    Args:
        curve: Points by increasing step, at least one, of which the first keeps the budget or is the start.
        n_steps: Steps that the training was given; more than the curve has where it ended early.
        max_kl: The budget in nats per response; None for none.

    Raises:
        ValueError: If the first point is beyond the budget and not at step 0: where the KL passed it is not known.
    """
    first, kept = curve[0], held_curve(curve, max_kl)
    end = max(n_steps, kept[-1].step)
    if end == first.step:
        return first.reward
    kept.append(kept[-1]._replace(step=end))
    area = sum((b.step - a.step) * (a.reward + b.reward) / 2 for a, b in pairwise(kept))
    return area / (end - first.step)


def held_curve(curve: Sequence[Height], max_kl: float | None) -> list[Height]:
    """The curve up to where its KL first passes the budget, that point included.

    Raises:
        ValueError: As `held_reward`.
    """
    first = curve[0]
    if max_kl is not None and first.kl > max_kl and first.step > 0:
        raise ValueError(f"the learning curve begins at step {first.step:g}, where the KL is over the budget already")
    kept = [first]
    for before, after in pairwise(curve):
        if max_kl is not None and before.kl > max_kl:
            break
        if max_kl is not None and after.kl > max_kl:
            share = (max_kl - before.kl) / (after.kl - before.kl)
            step = before.step + share * (after.step - before.step)
            kept.append(Height(step, before.reward + share * (after.reward - before.reward), max_kl))
            break
        kept.append(after)
    return kept
