"""Does a trial learn alike on two devices? The same trials on both, their curves compared point by point.

Each side is a process of its own, and both run at once. In float32 a trial repeats bit for bit on one device; between
two only the order of sums differs, until a sampled token does. So the curves are compared in the mean over seeds, with
the interval of the paired differences.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from experiments.benchmarks.bars import Bar
from experiments.benchmarks.intervals import Interval
from experiments.benchmarks.ppo.contenders import MARK, ContenderError, emit, environment
from experiments.benchmarks.ppo.learning import paired
from inner_loop import TrialSpec, result_of, run_trial
from inner_loop.models.model_source import without_progress_bars

START_LIMIT = 0.05
"""How far the mean score of the untrained policy may be off: a token or two, sampled otherwise."""


def trial_specs(seeds: int, steps: int, n_prompts: int) -> list[TrialSpec]:
    """Trials of the embedded task with dense credit, in float32."""
    return [
        TrialSpec.model_validate(
            {
                "weights": {"shap": 0.6, "sparse": 0.4},
                "attribution": {"units": "spans", "max_units": 8, "budget": 32, "dtype": "float32"},
                "ppo": {"steps": steps, "epochs": 2, "learning_rate": 4e-4, "kl_coef": 0.2, "precision": "float32"},
                "evaluation": {"n_prompts": n_prompts, "every": max(1, steps // 5)},
                "seed": seed,
                "n_samples": 0,
            }
        )
        for seed in range(seeds)
    ]


def run_trials(file: Path) -> None:
    """The worker: run each trial of a file and print its curve."""
    import torch

    torch.set_num_threads(1)
    for spec in map(TrialSpec.model_validate, json.loads(file.read_text(encoding="utf-8"))):
        with without_progress_bars():
            result = result_of(run_trial(spec))
        emit({"seed": spec.seed, "curve": [[point.step, point.mean, point.kl] for point in result.curve]})


def measure(device: str, specs: Sequence[TrialSpec], until: float) -> dict[str, Any]:
    """Learning curves by device and seed, of the seeds for which there was time on both until `until`.

    Raises:
        ContenderError: If a worker fails, or there was time for none.
    """
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "trials.json"
        file.write_text(json.dumps([spec.model_dump(mode="json") for spec in specs]), encoding="utf-8")
        command = [sys.executable, "-m", "experiments.benchmarks.ppo.curves", str(file)]
        logs = {side: Path(name) / f"{side}.log" for side in ("cpu", "device")}
        workers: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for side, log in logs.items():
                with log.open("w") as output, log.with_suffix(".errors").open("w") as errors:
                    env = environment("cpu" if side == "cpu" else device)
                    workers[side] = subprocess.Popen(command, stdout=output, stderr=errors, env=env)
            for side, worker in workers.items():
                with suppress(subprocess.TimeoutExpired):  # the seeds that are done are kept
                    if code := worker.wait(max(0.0, until - time.monotonic())):
                        tail = "\n".join(logs[side].with_suffix(".errors").read_text().splitlines()[-5:])
                        raise ContenderError(f"The trials on the {side} ended with code {code}:\n{tail}")
        finally:
            for worker in workers.values():
                worker.kill()  # nothing happens to one that has ended
                worker.wait()
        found = {side: _curves(log.read_text(encoding="utf-8")) for side, log in logs.items()}
    seeds = sorted(set(found["cpu"]) & set(found["device"]))
    if not seeds:
        raise ContenderError("There was no time for a single trial on both sides; give more --minutes.")
    return {"seeds": seeds} | {side: [curves[seed] for seed in seeds] for side, curves in found.items()}


def _curves(text: str) -> dict[int, list[list[float]]]:
    records = [json.loads(line.removeprefix(MARK)) for line in text.splitlines() if line.startswith(MARK)]
    return {record["seed"]: record["curve"] for record in records}


def differences(result: dict[str, Any], column: int) -> np.ndarray:
    """Device minus CPU, `seeds x points`: of the rewards (column 1) or the KL (column 2)."""
    device, cpu = (np.array(result[side])[:, :, column] for side in ("device", "cpu"))
    return device - cpu


def gap(result: dict[str, Any]) -> Interval | None:
    """Mean difference of the rewards after the start, device minus CPU, with its 95 % interval over seeds.

    None if there is but one seed. Equal curves differ by zero, without any doubt.
    """
    device, cpu = (np.array(result[side])[:, 1:, 1].mean(axis=1) for side in ("device", "cpu"))
    if np.array_equal(device, cpu):
        return Interval(0.0, 0.0, 0.0)
    return paired(device, cpu) if len(device) > 1 else None


def bars(result: dict[str, Any]) -> list[Bar]:
    """The start policy has the same reward on both, and the curves differ by no more than their seeds explain."""
    start = float(np.abs(differences(result, 1)[:, 0]).max())
    judged = [Bar("reward of the start policy, device against CPU", start, "<=", START_LIMIT)]
    found = gap(result)
    if found is not None:
        half = (found.high - found.low) / 2
        value = abs(found.value) / half if half else 0.0
        note = f"difference {found}, {len(result['seeds'])} seeds"
        judged.append(Bar("difference of the curves, in half-widths of its 95 % interval", value, "<=", 1.0, note=note))
    return judged


def table_of(result: dict[str, Any]) -> str:
    """Mean reward and KL by point."""
    means = {side: np.array(result[side]).mean(axis=0) for side in ("cpu", "device")}
    rows = [
        [f"{means['cpu'][point, 0]:g}", *(f"{means[side][point, column]:.3f}" for column in (1, 2) for side in means)]
        for point in range(len(means["cpu"]))
    ]
    headers = ["step", "reward, CPU", "reward, device", "KL, CPU", "KL, device"]
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    run_trials(Path(sys.argv[1]))
