"""A KL coefficient that follows a target, in place of one that has to be searched for.

.. [Ziegler2019] Fine-Tuning Language Models from Human Preferences. arXiv:1909.08593.
"""

MAX_RELATIVE_ERROR = 0.2
"""Errors of the KL count up to this much, so that one noisy rollout does little."""


def adapted_kl_coef(kl_coef: float, kl: float, *, target: float, horizon: int, n_responses: int) -> float:
    """The coefficient after a rollout, section 2.2 of [Ziegler2019]_: proportional control of its logarithm.

    Args:
        kl_coef: The coefficient so far, in score units per nat.
        kl: Mean KL (k1) of the rollout, in nats per response.
        target: The KL aimed at.
        horizon: Responses over which the largest error changes the coefficient by `MAX_RELATIVE_ERROR`.
        n_responses: Responses in the rollout.
    """
    error = min(max(kl / target - 1.0, -MAX_RELATIVE_ERROR), MAX_RELATIVE_ERROR)
    return kl_coef * (1.0 + error * n_responses / horizon)
