"""Comparisons made up of plain data."""

from pathlib import Path

from bo_shaping.comparison.fresh_trainings import Trained
from bo_shaping.comparison.settings import Setting
from bo_shaping.comparison.statistics import Training
from bo_shaping.comparison.summary import Comparison, summarise
from bo_shaping.storage.trial_folder import TrialFolder
from inner_loop.spec import CurvePoint, TrialResult

N_STEPS = 20


def make_trained(method: str, slope: float, kl_per_step: float, seed: int) -> Trained:
    """A training that earns `slope` a step, on a straight line, and a little more by its seed."""
    curve = [
        CurvePoint(
            step=step, mean=(slope + 0.001 * seed) * step, sem=0.1, kl=kl_per_step * step, kl_k3=1, entropy=2,
            length=9, distinct_2=1,
        )
        for step in (0, N_STEPS // 2, N_STEPS)
    ]  # fmt: skip
    result = TrialResult(
        mean=curve[-1].mean, sem=0.1, kl=curve[-1].kl, curve=curve, scores=[0.0], steps=[], samples=[],
        seconds={"sample": 4.0, "attribute": 2.0, "update": 4.0}, peak_memory_mb=1.0, seed=seed,
    )  # fmt: skip
    weights = {"shap": 0.75, "sparse": 0.25} if method == "learned" else {method: 1.0}
    return Trained(Setting(method, weights, {"gae_lambda": 0.9}), TrialFolder(Path("nowhere")), result)


def make_comparison(
    slopes: dict[str, float], n_seeds: int = 3, max_kl: float | None = 6.0
) -> tuple[Comparison, list[Trained]]:
    """Methods and what they earn a step; all of them move by 0.2 nats a step."""
    trained = [make_trained(name, slope, 0.2, seed) for name, slope in slopes.items() for seed in range(n_seeds)]
    by_method: dict[str, list[Training]] = {name: [] for name in slopes}
    for one in trained:
        by_method[one.setting.name].append(Training.of(one.result, N_STEPS, max_kl))
    settings = {one.setting.name: one.setting for one in trained}
    return summarise(by_method, settings, n_steps=N_STEPS, max_kl=max_kl, n_trials=8), trained
