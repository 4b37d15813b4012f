"""The inner loop of the studies whose driver is killed. Workers import it, so it needs neither Ax nor torch."""

import os
import signal
import time
from collections.abc import Generator
from pathlib import Path

from inner_loop.spec import TrialProgress, TrialResult, TrialSpec
from tests.bo_shaping.closed_form import result_of, reward

LOG, MODE = "KILLS_LOG", "KILLS_MODE"
"""Environment: where every start is noted, and what the loop does."""


def closed_form(spec: TrialSpec) -> Generator[TrialProgress, None, TrialResult]:
    """The inner loop: notes its start; by mode it then fails, dies the first time, waits to be stopped, or returns."""
    arm = f"{sorted(spec.weights.items())} {spec.ppo.gae_lambda!r}"
    log = Path(os.environ[LOG])
    known = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    is_first, number = arm not in known, [*known, arm].index(arm)
    with log.open("a", encoding="utf-8") as file:
        file.write(arm + "\n")
    mode = os.environ.get(MODE, "")
    final = result_of(spec, reward(spec.weights, spec.ppo.gae_lambda))
    if mode == f"stop {number}":
        point = final.curve[-1].model_copy(update={"step": 1})
        yield TrialProgress(step=1, n_steps=spec.ppo.steps, point=point)
        while True:
            time.sleep(0.05)
    if mode == "fail":
        raise ArithmeticError("diverged")
    if mode == "die" and is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    return final
