"""Results as large as those of real trainings, of which none took place: curves, steps, explained responses."""

from __future__ import annotations

import numpy as np

from inner_loop.spec import CurvePoint, ExplainedResponse, StepStats, TrialResult

STEPS = 20


def full_result(mean: float, kl: float, rng: np.random.Generator, seed: int = 0) -> TrialResult:
    """What a training of `STEPS` steps returns that ends near `mean`, at a divergence of `kl`."""
    shares = np.linspace(0, 1, STEPS + 1)
    noise = 0.05 * rng.standard_normal(STEPS + 1)
    curve = [
        CurvePoint(
            step=i, mean=mean * share + e, sem=0.1, kl=kl * share, kl_k3=kl * share, entropy=1, length=24, distinct_2=1
        )
        for i, (share, e) in enumerate(zip(shares, noise, strict=True))
    ]
    stats = {
        "score": mean,
        "kl": 1,
        "length": 24,
        "policy_loss": 0,
        "value_loss": 0,
        "clip_fraction": 0,
        "grad_norm": 1,
    }
    tokens = [f" word{i}" for i in range(24)]
    credit = [mean / 24] * 24
    sample = ExplainedResponse(
        prompt="a film",
        response="".join(tokens),
        score=mean,
        base_value=0,
        tokens=tokens,
        components=dict.fromkeys(("shap", "lime", "sparse"), credit),
        rewards=credit,
    )
    return TrialResult(
        mean=curve[-1].mean,
        sem=0.1,
        kl=kl,
        curve=curve,
        scores=[mean] * 48,
        steps=[StepStats(**stats, n_evaluations=512) for _ in range(STEPS)],
        samples=[sample] * 8,
        seconds={"sample": 8.0, "attribute": 4.0, "update": 16.0},
        peak_memory_mb=400.0,
        seed=seed,
    )
