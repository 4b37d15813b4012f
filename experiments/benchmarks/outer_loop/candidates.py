"""The next candidate: CPU seconds, and how good its acquisition value is beside that of Ax's default optimiser.

In every recorded state of a study the code path of a study proposes. Inside of it Ax's default optimiser then gets the
very same acquisition function, on the same fitted surrogate, so its value and its time differ by the optimiser alone.
A state is a function of its number: arms of the initial design, then half uniform ones and half around the optimum,
with noisy rewards of a truth of `truths` and a KL budget that cuts the search space. "Plain" Ax is `AxDefault` of
`methods`, given the same rewards, which also fits a surrogate of its own.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from experiments.benchmarks.bars import Bar
from experiments.benchmarks.intervals import bootstrap
from experiments.benchmarks.outer_loop.methods import OPTIMISER, AxDefault, Optuna, code_of
from experiments.benchmarks.outer_loop.problems import COMPONENTS, Array
from experiments.benchmarks.outer_loop.truths import make_truth
from inner_loop.spec import SPARSE

N_STATES = 50
N_TRIALS = (30, 30, 30, 20, 12)
"""Trials of the states, in turns."""
TIMED = 30
"""Trials of the states whose seconds count."""
N_PLAIN = 3
"""States per setting in which plain Ax and Optuna propose too."""
VALUE_LIMIT = 0.995
GAE_LAMBDA: dict[str, Any] = {"bounds": (0.5, 1.0)}
USUAL = {"gae_lambda": 0.95, "kl_coef": 0.05}
"""Parameters of the first arms."""
KL_COEF: dict[str, Any] = {"bounds": (0.02, 0.5), "log": True}


@dataclass(frozen=True)
class Setting:
    """A search space and what a candidate in it may take."""

    name: str
    n_components: int
    parameters: dict[str, Any]
    limit: float
    """CPU seconds."""


SETTINGS = (
    Setting("3 weights, 1 parameter", 3, {"gae_lambda": GAE_LAMBDA}, 1.0),
    Setting("5 weights, 2 parameters", 5, {"gae_lambda": GAE_LAMBDA, "kl_coef": KL_COEF}, 2.0),
)


@dataclass(frozen=True)
class State:
    """A study after some trials."""

    setting: Setting
    points: Array
    """`n x d`: weights, then parameters."""
    rewards: Array
    kls: Array
    config: Any

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the weights."""
        return COMPONENTS[self.setting.n_components]

    @property
    def parameters(self) -> dict[str, tuple[float, float]]:
        """Bounds of the training parameters."""
        return {name: parameter["bounds"] for name, parameter in self.setting.parameters.items()}


def make_state(index: int) -> State:
    """Recorded state number `index`."""
    from bo_shaping.config import StudyConfig

    setting = SETTINGS[index % len(SETTINGS)]
    n_trials = N_TRIALS[index // len(SETTINGS) % len(N_TRIALS)]
    config = StudyConfig.model_validate(
        {
            "name": "benchmark",
            "seed": index,
            "search_space": {"components": COMPONENTS[setting.n_components], "parameters": setting.parameters},
            "objective": {"max_kl": 6.0},
            "budget": {"trials": 10_000},
        }
    )
    rng = np.random.default_rng([index, 5])
    truth = make_truth(setting.n_components, index)
    points = first_points(setting)
    while len(points) < n_trials:
        weights = rng.dirichlet(np.ones(setting.n_components))
        if len(points) % 2:
            weights = 0.7 * truth.optimum + 0.3 * weights
        points.append(np.r_[weights, [_at(rng.uniform(), **parameter) for parameter in setting.parameters.values()]])
    X = np.array(points)
    gae_lambda = X[:, setting.n_components]
    rewards = truth(X[:, : setting.n_components]) - 6 * (gae_lambda - 0.8) ** 2 + 0.5 * rng.normal(size=n_trials)
    kls = 3 + 10 * (1 - gae_lambda) * (1 - X[:, 2]) + 0.3 * rng.normal(size=n_trials)
    return State(setting, X, rewards, kls, config)


def first_points(setting: Setting) -> list[Array]:
    """Corners, sparse first, and the centre at the usual parameters; sparse at lambda 1; the centre amid the box."""
    k, sparse = setting.n_components, COMPONENTS[setting.n_components].index(SPARSE)
    usual = [USUAL[name] for name in setting.parameters]
    middle = [_at(0.5, **parameter) for parameter in setting.parameters.values()]
    corners = [np.eye(k)[i] for i in sorted(range(k), key=lambda i: i != sparse)]
    centre = np.full(k, 1 / k)
    usual_arms = [np.r_[weights, usual] for weights in (*corners, centre)]
    return [*usual_arms, np.r_[corners[0], 1.0, usual[1:]], np.r_[centre, middle]]


def propose_in(state: State) -> dict[str, Any]:
    """One state: seconds and acquisition values of both optimisers, and how near Ax's optimum is to an arm that ran."""
    from bo_shaping.generation.strategy import new_client, new_experiment, propose
    from bo_shaping.space.arms import PREFIX

    names = [*(PREFIX + name for name in state.components), *state.parameters]
    client = new_client(new_experiment(state.config))
    for point, reward, kl in zip(state.points, state.rewards, state.kls, strict=True):
        trial = client.attach_trial(dict(zip(names, point.tolist(), strict=True)))
        client.complete_trial(trial, raw_data={"reward": float(reward), "kl": float(kl)})
    with compared() as record:
        start = time.process_time()
        propose(client, state.config)
        total = time.process_time() - start
    [seen] = record
    return {
        "setting": state.setting.name,
        "n_trials": len(state.points),
        "ours_cpu_seconds": total - seen["theirs_seconds"],
        "ax_optimiser_cpu_seconds": total - seen["ours_seconds"],
        # Logarithms of the noisy expected improvement: a difference is the logarithm of a ratio.
        "value_ratio": math.exp(seen["ours_value"] - seen["theirs_value"]),
        "ax_repeats_an_arm": seen["nearest"] < 0.01,
    }


@contextmanager
def compared() -> Iterator[list[dict[str, Any]]]:
    """Lets Ax's default optimiser run after ours, on the same acquisition function."""
    import torch
    from ax.generators.torch.botorch_modular.acquisition import Acquisition

    from bo_shaping.generation.acquisition import SimplexAcquisition

    ours, record = SimplexAcquisition.optimize, []

    def both(self: Any, *arguments: Any, **options: Any) -> Any:
        state = torch.random.get_rng_state()
        start = time.process_time()
        found = ours(self, *arguments, **options)
        between = time.process_time()
        torch.random.set_rng_state(state)
        theirs = Acquisition.optimize(self, *arguments, **options)
        after = time.process_time()
        with torch.no_grad():
            values = [float(self.acqf(X.unsqueeze(-2))) for X, *_ in (found, theirs)]
        record.append(
            {
                "ours_seconds": between - start,
                "theirs_seconds": after - between,
                "ours_value": values[0],
                "theirs_value": values[1],
                "nearest": float(torch.cdist(theirs[0], self.X_observed).min()),
            }
        )
        return found

    SimplexAcquisition.optimize = both
    try:
        yield record
    finally:
        SimplexAcquisition.optimize = ours


def plain_seconds(state: State) -> float:
    """CPU seconds of plain Ax's next trial after the trials of a state."""
    method = AxDefault(state, seed=0)
    for point, reward in zip(state.points, state.rewards, strict=True):
        method.attach(point, float(reward))
    method.ask()  # the centre of the search space, whatever was attached
    method.tell(float(state.rewards.mean()), 0.0)
    start = time.process_time()
    method.ask()
    return time.process_time() - start


def optuna_seconds(state: State) -> float:
    """CPU seconds of Optuna's Gaussian process for the next trial, after as many of its own."""
    method = Optuna(state, 0, "GP")
    for reward in state.rewards:
        method.ask()
        method.tell(float(reward), 0.0)
    start = time.process_time()
    method.ask()
    return time.process_time() - start


def measure(lines: Path, n_states: int = N_STATES, n_plain: int = N_PLAIN) -> dict[str, Any]:
    """All states, and the plain peers in some of them.

    One line per state goes to `lines`, so that it continues where it was stopped; lines of other code do not count.
    """
    code = code_of(OPTIMISER)
    known = [json.loads(text) for text in lines.read_text(encoding="utf-8").splitlines()] if lines.exists() else []
    done = {line["state"]: line for line in known if line["code"] == code}
    lines.parent.mkdir(parents=True, exist_ok=True)
    is_warm = False
    n_timed = dict.fromkeys((setting.name for setting in SETTINGS), 0)
    for index in range(n_states):
        state = make_state(index)
        n_timed[state.setting.name] += len(state.points) == TIMED
        if index in done:
            continue
        if not is_warm:
            propose_in(state)  # the first proposal of a process imports and compiles
            is_warm = True
        line = {"state": index, "code": code, **propose_in(state)}
        if len(state.points) == TIMED and n_timed[state.setting.name] <= n_plain:
            line["plain"] = {"ax": plain_seconds(state), "optuna_gp": optuna_seconds(state)}
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"  {line}", flush=True)
        done[index] = line
    return {"states": [done[index] for index in range(n_states)]}


def bars(result: dict[str, Any]) -> list[Bar]:
    """Seconds at 30 trials, and the mean ratio of acquisition values; intervals are bootstraps over states."""
    checked = []
    for setting in SETTINGS:
        seconds = np.array(_seconds(result, setting, "ours_cpu_seconds"))
        interval = bootstrap(seconds[:, None])
        gain = np.median(_seconds(result, setting, "ax_optimiser_cpu_seconds")) / interval.value
        checked.append(
            Bar(
                f"CPU seconds of a candidate, {setting.name}, {TIMED} trials",
                interval.value,
                "<=",
                setting.limit,
                interval.low,
                interval.high,
                note=f"median of {len(seconds)} states; with Ax's default optimiser {gain:.1f} times as many",
            )
        )
    ratios = np.array([row["value_ratio"] for row in result["states"]])
    # A better value somewhere must not make up for a worse one elsewhere.
    capped = bootstrap(np.minimum(ratios, 1.0)[:, None], np.mean)
    note = f"mean of {len(ratios)} states, better ones counted as 1; lowest {ratios.min():.4f}"
    checked.append(
        Bar("acquisition value beside Ax's optimiser", capped.value, ">=", VALUE_LIMIT, capped.low, capped.high, note)
    )
    return checked


def table_of(result: dict[str, Any]) -> str:
    """Seconds and values by setting."""
    rows = []
    for setting in SETTINGS:
        mine = [row for row in result["states"] if row["setting"] == setting.name]
        ratios = np.array([row["value_ratio"] for row in mine])
        plain = [row["plain"] for row in mine if "plain" in row]
        rows.append(
            [
                setting.name,
                *(_spread(_seconds(result, setting, f"{who}_cpu_seconds")) for who in ("ours", "ax_optimiser")),
                _spread([row["ax"] for row in plain]),
                _spread([row["optuna_gp"] for row in plain]),
                f"{np.minimum(ratios, 1).mean():.4f}",
                f"{ratios.min():.4f}-{ratios.max():.4f}",
                f"{(ratios < VALUE_LIMIT).sum()} / {(ratios > 1 / VALUE_LIMIT).sum()} of {len(ratios)}",
                sum(row["ax_repeats_an_arm"] for row in mine),
            ]
        )
    headers = ["", "ours, CPU s", "Ax's optimiser", "plain Ax", "Optuna GP", "value", "range", "worse / better"]
    headers.append("Ax on an arm that ran")
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def _seconds(result: dict[str, Any], setting: Setting, key: str) -> list[float]:
    return [row[key] for row in result["states"] if row["setting"] == setting.name and row["n_trials"] == TIMED]


def _spread(seconds: Sequence[float]) -> str:
    return f"{np.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})" if seconds else ""


def _at(share: float, bounds: tuple[float, float], log: bool = False) -> float:
    """The value at a share of the way through a range."""
    low, high = np.log(bounds) if log else bounds
    value = low + share * (high - low)
    return float(np.exp(value) if log else value)
