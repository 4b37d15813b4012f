"""An inner loop in closed form, with a known optimum: what the outer loop is tested on.

Reward: 2 - 4 |w - OPTIMUM|^2 - 3 (gae_lambda - 0.8)^2; KL: 4 + 20 (1 - gae_lambda) (1 - w_sparse). Where units count,
the reward has OF_UNITS beside.
"""

import math
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from inner_loop.spec import CurvePoint, ExplainedResponse, StepStats, TrialProgress, TrialResult, TrialSpec

OPTIMUM = {"shap": 0.5, "lime": 0.3, "sparse": 0.2}
BEST_LAMBDA = 0.8
OF_UNITS = {"tokens": 0.0, "words": 0.5, "spans": 1.2, "sentences": 0.4}


def reward(weights: dict[str, float], gae_lambda: float) -> float:
    distance = sum((weights.get(name, 0.0) - best) ** 2 for name, best in OPTIMUM.items())
    return 2 - 4 * distance - 3 * (gae_lambda - BEST_LAMBDA) ** 2


def count_good(texts: list[str]) -> list[float]:
    """A reward model: how often a text says good."""
    return [float(text.count("good")) for text in texts]


def kl(weights: dict[str, float], gae_lambda: float) -> float:
    return 4 + 20 * (1 - gae_lambda) * (1 - weights.get("sparse", 0.0))


def result_of(spec: TrialSpec, mean: float) -> TrialResult:
    divergence = kl(spec.weights, spec.ppo.gae_lambda)
    point = CurvePoint(
        step=spec.ppo.steps, mean=mean, sem=0.1, kl=divergence, kl_k3=divergence, entropy=1, length=20, distinct_2=1
    )
    return TrialResult(
        mean=mean,
        sem=0.1,
        kl=divergence,
        curve=[point],
        scores=[mean],
        steps=[],
        samples=[],
        seconds={"update": 0.5},
        peak_memory_mb=1,
        seed=spec.seed,
    )


def run_trial(spec: TrialSpec) -> Iterator[TrialProgress]:
    for step in range(spec.ppo.steps + 1):
        yield TrialProgress(step=step, n_steps=spec.ppo.steps, score=0.1 * step, kl=1.0)
    return result_of(spec, reward(spec.weights, spec.ppo.gae_lambda) + 0.01 * spec.seed)


def run_by_units(spec: TrialSpec) -> Iterator[TrialProgress]:
    """As `run_trial`, and which units credit is given to makes a difference."""
    yield TrialProgress(step=0, n_steps=1)
    return result_of(spec, reward(spec.weights, spec.ppo.gae_lambda) + OF_UNITS[spec.attribution.units])


def run_slowly(spec: TrialSpec) -> Iterator[TrialProgress]:
    """Logs each start in the file that CLOSED_FORM_LOG names, and does not end while a file `hold` beside it exists.

    Corners whose component `hold` names pass. So a test, not the clock, decides what is running.
    """
    log = Path(os.environ["CLOSED_FORM_LOG"])
    with log.open("a") as file:
        file.write(f"{sorted(spec.weights.items())} {spec.ppo.gae_lambda}\n")
    yield TrialProgress(step=0, n_steps=1)
    while _is_held(spec, log.with_name("hold")):
        time.sleep(0.02)
    yield TrialProgress(step=1, n_steps=1)
    return result_of(spec, reward(spec.weights, spec.ppo.gae_lambda))


def _is_held(spec: TrialSpec, hold: Path) -> bool:
    try:
        passes = hold.read_text().split()
    except FileNotFoundError:
        return False
    return not any(spec.weights.get(component) == 1.0 for component in passes)


def fail_without_sparse(spec: TrialSpec) -> Iterator[TrialProgress]:
    """Pure SHAP raises, pure LIME returns NaN, everything else works."""
    yield TrialProgress(step=0, n_steps=1)
    if spec.weights.get("shap") == 1.0:
        raise ArithmeticError("the [bold]policy[/bold] diverged\nin step 3")
    result = result_of(spec, reward(spec.weights, spec.ppo.gae_lambda))
    return result.model_copy(update={"mean": math.nan}) if spec.weights.get("lime") == 1.0 else result


def always_fail(spec: TrialSpec) -> Iterator[TrialProgress]:
    yield TrialProgress(step=0, n_steps=1)
    raise RuntimeError("no <b>luck</b> " + "at all " * 20)


def always_equal(spec: TrialSpec) -> Iterator[TrialProgress]:
    yield TrialProgress(step=0, n_steps=1)
    return result_of(spec, 1.0)


def succeed_once(spec: TrialSpec) -> Iterator[TrialProgress]:
    """Only pure sparse with the usual parameters works."""
    yield TrialProgress(step=0, n_steps=1)
    if spec.weights.get("sparse") != 1.0 or spec.ppo.gae_lambda != 0.95:
        raise RuntimeError("no luck")
    return result_of(spec, 1.0)


def climb(spec: TrialSpec) -> Generator[TrialProgress, None, TrialResult]:
    """A learning curve with five points that rises to the reward; KL rises with it, and any gold score falls."""
    final = result_of(spec, reward(spec.weights, spec.ppo.gae_lambda))
    points = []
    for step in range(spec.ppo.steps + 1):
        share = step / spec.ppo.steps
        update = {"step": step, "mean": final.mean * share, "kl": final.kl * share}
        update |= {"gold": {name: -float(step) for name in spec.evaluation.gold}}
        points.append(final.curve[0].model_copy(update=update))
        yield TrialProgress(step=step, n_steps=spec.ppo.steps, score=0.0, kl=1.0, point=points[-1])
    return final.model_copy(update={"curve": points})


def climb_and_explain(spec: TrialSpec) -> Generator[TrialProgress, None, TrialResult]:
    """As `climb`, with statistics of its steps and one explained response."""
    result = yield from climb(spec)
    sample = ExplainedResponse(
        prompt="a film",
        response="<b>fine",
        score=1.0,
        base_value=0.25,
        tokens=["<b>", "fine"],
        components={name: [0.5, 0.5] for name in spec.weights},
        rewards=[0.25, 0.75],
    )
    steps = [
        StepStats(
            score=0.1 * step,
            kl=0.2,
            length=3,
            policy_loss=1 / (step + 1),
            value_loss=0.5,
            clip_fraction=0,
            grad_norm=1,
            n_evaluations=8,
        )
        for step in range(spec.ppo.steps)
    ]
    return result.model_copy(update={"steps": steps, "samples": [sample]})


def hold_after_a_point(spec: TrialSpec) -> Generator[TrialProgress, None, TrialResult]:
    """As `climb`, but does not get beyond its first point while a file `hold` beside CLOSED_FORM_LOG exists."""
    run = climb(spec)
    yield next(run)
    while Path(os.environ["CLOSED_FORM_LOG"]).with_name("hold").exists():
        time.sleep(0.02)
    return (yield from run)


def climb_until_stopped(spec: TrialSpec) -> Generator[TrialProgress, None, TrialResult]:
    """As `climb`, but pure SHAP gets no further than its second point."""
    run = climb(spec)
    if spec.weights.get("shap") != 1.0:
        return (yield from run)
    yield next(run)
    yield next(run)
    while True:
        time.sleep(0.02)


def die(spec: TrialSpec) -> Iterator[TrialProgress]:
    """Ends the process as the kernel does when memory runs out."""
    yield TrialProgress(step=0, n_steps=1)
    os.kill(os.getpid(), 9)
