"""Outer loops as `ask`, `tell` and `recommend`: ours through the code that a study runs, its peers with their defaults.

A recommendation is what each method's own documentation would have its user take.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

import bo_shaping
from experiments.benchmarks.outer_loop.problems import Array, Problem, Space, as_point

if TYPE_CHECKING:
    from bo_shaping.config import StudyConfig

PACKAGE = Path(bo_shaping.__file__).parent
OPTIMISER = (
    "generation.acquisition",
    "generation.candidate_process",
    "generation.noisy_improvement",
    "space.encoding",
    "surrogate.gaussian_process",
    "surrogate.observations",
    "space.quasi_random",
    "surrogate.seed_effects",
)
"""Modules that the value and the cost of a candidate depend on in a given state."""
PROPOSER = (
    *OPTIMISER,
    "config.weight_bounds",
    "generation.design",
    "generation.strategy",
    "surrogate.joint_posterior",
    "generation.knowledge_gradient",
    "space.lattice",
    "surrogate.recommend",
    "surrogate.recommendation",
    "generation.replicates",
    "space.arms",
    "space.simplex",
)
"""Modules that proposals and recommendations depend on."""


def code_of(modules: Iterable[str]) -> str:
    """Changes with the code of these modules: what other code has measured is not ours any more."""
    digest = hashlib.sha256()
    for name in sorted(modules):
        digest.update((PACKAGE / f"{name.replace('.', '/')}.py").read_bytes())
    return digest.hexdigest()[:12]


class Method(Protocol):
    """One outer loop on one problem, a trial at a time."""

    def ask(self) -> tuple[Array, int]:
        """The next point, and the seed its training should have."""

    def tell(self, reward: float, kl: float) -> None:
        """What the point that was asked for last brought."""

    def recommend(self) -> Array:
        """The point to use."""


def study_config(problem: Space, seed: int, related: Sequence[dict[str, Any]] = ()) -> StudyConfig:
    """The study that ours is on a problem."""
    from bo_shaping.config import StudyConfig

    return StudyConfig.model_validate(
        {
            "name": "benchmark",
            "seed": seed,
            "search_space": {
                "components": problem.components,
                "parameters": {name: {"bounds": bounds} for name, bounds in problem.parameters.items()},
            },
            "objective": {"max_kl": None},
            # A budget that does not end: what the last trials of a study are for is not measured here.
            "budget": {"trials": 10_000},
            "related": related,
        }
    )


class Ours:
    """The code path of a study, on an Ax experiment without a database."""

    def __init__(self, problem: Problem, seed: int, related: Sequence[dict[str, Any]] = ()) -> None:
        from bo_shaping.generation.strategy import new_client, new_experiment

        self._problem = problem
        self._config = study_config(problem, seed, related)
        self._client = new_client(new_experiment(self._config), self._config.related)
        self._index = -1

    def ask(self) -> tuple[Array, int]:
        """Propose."""
        from bo_shaping.generation.strategy import propose
        from bo_shaping.libraries.ax_internals import experiment_of
        from bo_shaping.space.arms import PREFIX

        self._index = propose(self._client, self._config)
        trial = experiment_of(self._client).trials[self._index]
        arm, space = trial.arm.parameters, self._problem
        weights = [arm[PREFIX + name] for name in space.components]
        seeds = trial.run_metadata.get("seeds", [self._config.seed])
        return as_point(space, weights, [arm[name] for name in space.parameters]), seeds[0]

    def tell(self, reward: float, kl: float) -> None:
        """Complete the trial."""
        self._client.complete_trial(self._index, raw_data={"reward": reward, "kl": kl})

    def recommend(self) -> Array:
        """The highest posterior mean."""
        best = self._best()
        space = self._problem
        weights = [best.weights[name] for name in space.components]
        return as_point(space, weights, [best.parameters[name] for name in space.parameters])

    def intervals(self) -> list[tuple[float, float]]:
        """The 90 % interval of the best value of every weight."""
        interval = self._best().interval
        return [interval[name] for name in self._problem.components]

    def _best(self) -> Any:
        from bo_shaping.libraries.ax_internals import experiment_of
        from bo_shaping.surrogate.recommend import recommend

        n_told = self._index + 1
        if getattr(self, "_recommended", (None, None))[0] != n_told:
            self._recommended = (n_told, recommend(experiment_of(self._client), self._config)[0])
        return self._recommended[1]


class AxDefault:
    """Ax's `Client` as its documentation has it: the last weight is what the others leave of 1.

    The client takes no equality constraint, so the simplex is an inequality over all weights but the last. Generation
    is Ax's own (centre, Sobol, then its default Gaussian process and acquisition), and the recommendation is
    `get_best_parameterization()`: of the points that were tried, the one that the model predicts to be best.
    """

    def __init__(self, problem: Space, seed: int) -> None:
        from ax.api.client import Client
        from ax.api.configs import RangeParameterConfig

        from bo_shaping.generation.strategy import quiet_ax

        self._problem = problem
        self._free = problem.components[:-1]
        ranges = dict.fromkeys(self._free, (0.0, 1.0)) | problem.parameters
        self._client = Client(random_seed=seed)
        quiet_ax()
        self._client.configure_experiment(
            parameters=[
                RangeParameterConfig(name=name, parameter_type="float", bounds=bounds)
                for name, bounds in ranges.items()
            ],
            parameter_constraints=[" + ".join(self._free) + " <= 1"],
        )
        self._client.configure_optimization("reward")
        self._seed, self._index = seed, -1

    def ask(self) -> tuple[Array, int]:
        """Ax's next trial."""
        [(self._index, arm)] = self._client.get_next_trials(max_trials=1).items()
        return self._point(arm), self._seed

    def tell(self, reward: float, kl: float) -> None:
        """Complete the trial."""
        self._client.complete_trial(self._index, raw_data={"reward": reward})

    def attach(self, x: Array, reward: float) -> None:
        """A trial that Ax did not propose."""
        k = len(self._problem.components)
        names = [*self._free, *self._problem.parameters]
        arm = dict(zip(names, np.r_[x[: k - 1], x[k:]].tolist(), strict=True))
        self._client.complete_trial(self._client.attach_trial(arm), raw_data={"reward": reward})

    def recommend(self) -> Array:
        """The tried point that the model predicts to be best."""
        return self._point(self._client.get_best_parameterization()[0])

    def _point(self, arm: Any) -> Array:
        weights = [float(arm[name]) for name in self._free]
        return as_point(self._problem, [*weights, 1 - sum(weights)], [arm[name] for name in self._problem.parameters])


class BestObserved(ABC):
    """Base of methods that recommend the point of the best observation."""

    def __init__(self, problem: Space, seed: int) -> None:
        self._problem = problem
        self._seed = seed
        self._points: list[Array] = []
        self._rewards: list[float] = []

    def ask(self) -> tuple[Array, int]:
        """The next point; methods that know nothing of seeds give every training the same one."""
        self._points.append(self._next())
        return self._points[-1], self._seed

    def tell(self, reward: float, kl: float) -> None:
        """Remember it."""
        self._rewards.append(reward)

    def recommend(self) -> Array:
        """The point of the best observation."""
        return self._points[int(np.argmax(self._rewards))]

    @abstractmethod
    def _next(self) -> Array:
        """The next point to try."""

    def _from_cube(self, u: NDArray[np.float64]) -> Array:
        """A point from the unit cube: weights are uniform on the simplex where `u` is uniform."""
        k = len(self._problem.components)
        bounds = np.array(list(self._problem.parameters.values())).reshape(-1, 2)
        weights = -np.log(np.clip(u[:k], 1e-12, 1 - 1e-12))
        return as_point(self._problem, weights, bounds[:, 0] + u[k:] * (bounds[:, 1] - bounds[:, 0]))

    @property
    def _d(self) -> int:
        return len(self._problem.components) + len(self._problem.parameters)


class Random(BestObserved):
    """Uniform points."""

    def __init__(self, problem: Space, seed: int) -> None:
        super().__init__(problem, seed)
        self._rng = np.random.default_rng([seed, 1])

    def _next(self) -> Array:
        return self._from_cube(self._rng.random(self._d))


class Sobol(BestObserved):
    """Scrambled Sobol points."""

    def __init__(self, problem: Space, seed: int) -> None:
        from scipy.stats.qmc import Sobol as Sequence

        super().__init__(problem, seed)
        self._sequence = Sequence(self._d, rng=np.random.default_rng([seed, 2]))

    def _next(self) -> Array:
        return self._from_cube(self._sequence.random(1)[0])


class Optuna(BestObserved):
    """Optuna, with proportions as its documentation has them: normalised -log of uniform parameters."""

    def __init__(self, problem: Space, seed: int, sampler: str) -> None:
        import optuna

        super().__init__(problem, seed)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(
            direction="maximize", sampler=getattr(optuna.samplers, f"{sampler}Sampler")(seed=seed)
        )

    def _next(self) -> Array:
        self._trial = self._study.ask()
        return self._from_cube(np.array([self._trial.suggest_float(f"x_{i}", 0, 1) for i in range(self._d)]))

    def tell(self, reward: float, kl: float) -> None:
        """Tell the study too."""
        super().tell(reward, kl)
        self._study.tell(self._trial, reward)


def make_method(name: str, problem: Problem, seed: int) -> Method:
    """The method of that name."""
    if name.startswith("Optuna "):
        return Optuna(problem, seed, name.removeprefix("Optuna "))
    methods = {"ours": Ours, "Ax": AxDefault, "Sobol": Sobol, "random": Random}
    return methods[name](problem, seed)  # type: ignore[abstract]
