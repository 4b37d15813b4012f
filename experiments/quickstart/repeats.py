"""Repeat the quickstart study with fresh seeds and judge what it recommends on held-out prompts.

    python -m experiments.quickstart.repeats

For every seed:

1. run the whole study (`experiments/quickstart.yaml` with that seed) and take its recommendation;
2. give the sparse reward its own best `gae_lambda` and learning rate: train it with the study's seed at every point of
   `SPARSE_GRID` and keep the one of which the study's objective is highest;
3. train both once more with a seed that nobody has used, and judge them on the held-out prompts: same prompts, same
   sampling noise, paired differences;
4. if the recommendation then stands at more KL than sparse, stop its training at the last multiple of `EVERY` steps at
   which it does not, and judge it there: reward bought with KL does not count.

The difference that is reported is the one at no more KL. Its interval is over prompts; the spread over seeds is what
the five rows show. Writes `results.json` and `results.md` beside this file.
"""

import argparse
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bo_shaping import Study, StudyConfig
from bo_shaping.config.tunable import with_parameters
from bo_shaping.errors import StudyExistsError
from bo_shaping.surrogate.outcomes import reward_of
from inner_loop.evaluation import paired_difference
from inner_loop.spec import TrialResult, TrialSpec

HERE = Path(__file__).parent
CONFIG = HERE.parent / "quickstart.yaml"
SPARSE_GRID = tuple(
    {"gae_lambda": gae_lambda, "learning_rate": rate} for gae_lambda in (0.9, 0.95, 1.0) for rate in (4e-4, 8e-4)
)
EVERY = 2
FRESH = 10_000
"""Added to a study's seed for the trainings that judge it."""
N_HELDOUT = 512


def make_spec(
    config: StudyConfig, weights: Mapping[str, float], seed: int, parameters: Mapping[str, float]
) -> TrialSpec:
    """One training as the study would run it, but for all its steps, whatever its KL."""
    ppo, attribution = with_parameters(config.ppo, config.attribution, parameters)
    return TrialSpec(
        weights=dict(weights),
        task=config.task,
        attribution=attribution,
        ppo=ppo,
        evaluation=config.evaluation,
        seed=seed,
        n_samples=0,
    )


def on_heldout(spec: TrialSpec, steps: int | None = None) -> TrialSpec:
    """The same training (up to `steps`), judged on the held-out prompts along the way."""
    evaluation = spec.evaluation.model_copy(update={"split": "heldout", "n_prompts": N_HELDOUT, "every": EVERY})
    ppo = spec.ppo if steps is None else spec.ppo.model_copy(update={"steps": steps})
    return spec.model_copy(update={"evaluation": evaluation, "ppo": ppo})


def train(spec: TrialSpec) -> TrialResult:
    """Run one training to its end, on one thread."""
    import torch

    from inner_loop import result_of, run_trial

    torch.set_num_threads(1)
    return result_of(run_trial(spec))


def train_all(specs: Iterable[TrialSpec], jobs: int) -> list[TrialResult]:
    """Trainings side by side, each in a process of its own."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        return list(pool.map(train, specs))


def difference(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Mean paired difference over prompts with its 95 % interval, as plain data."""
    paired = paired_difference(ours, theirs)
    low, high = paired.interval
    return {"mean": paired.mean, "low": low, "high": high}


def steps_at_no_more_kl(result: TrialResult, max_kl: float) -> int:
    """PPO steps after which the run last stood at no more than `max_kl`."""
    return max(point.step for point in result.curve if point.kl <= max_kl or point.step == 0)


def repeat(seed: int, jobs: int) -> dict[str, Any]:
    """One repeat: study, sparse at its best, and the comparison of both on held-out prompts."""
    config = StudyConfig.from_yaml(CONFIG, [f"name=repeat-{seed}", f"seed={seed}", f"budget.parallel={jobs}"])
    start = time.monotonic()
    try:
        study = Study.launch(config)
    except StudyExistsError:
        study = Study.load(config.name)
    study.run()
    study_seconds = time.monotonic() - start
    best = study.best()

    candidates = train_all([make_spec(config, {"sparse": 1.0}, seed, point) for point in SPARSE_GRID], jobs)
    worth = [reward_of(config, run) for run in candidates]
    sparse_parameters = SPARSE_GRID[worth.index(max(worth))]

    recommended_spec = on_heldout(make_spec(config, best.weights, seed + FRESH, best.parameters))
    sparse_spec = on_heldout(make_spec(config, {"sparse": 1.0}, seed + FRESH, sparse_parameters))
    recommended, sparse = train_all([recommended_spec, sparse_spec], jobs)
    matched, steps = recommended, recommended_spec.ppo.steps
    if recommended.kl > sparse.kl:
        steps = steps_at_no_more_kl(recommended, sparse.kl)
        [matched] = train_all([on_heldout(recommended_spec, steps)], jobs)
    return {
        "seed": seed,
        "study_seconds": round(study_seconds, 1),
        "weights": best.weights,
        "interval": best.interval,
        "parameters": best.parameters,
        "prob_better_than_sparse": best.prob_better_than_sparse,
        "sparse_parameters": sparse_parameters,
        "sparse": {"mean": sparse.mean, "sem": sparse.sem, "kl": sparse.kl},
        "recommended": {"mean": recommended.mean, "sem": recommended.sem, "kl": recommended.kl},
        "recommended_at_no_more_kl": {"mean": matched.mean, "sem": matched.sem, "kl": matched.kl, "steps": steps},
        "difference": difference(recommended.scores, sparse.scores),
        "difference_at_no_more_kl": difference(matched.scores, sparse.scores),
        "trials": json.loads(study.trials().to_json(orient="records")),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The repeats as a Markdown table."""
    searched = ", ".join((*rows[0]["weights"], *rows[0]["parameters"]))
    lines = [
        f"| seed | {searched} | P(better) | sparse at its best: reward, KL "
        "| recommended: reward, KL | at no more KL: reward, KL, steps | difference at no more KL (95 %) | study |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        weights = ", ".join(f"{weight:.2f}" for weight in row["weights"].values())
        parameters = ", ".join(f"{value:.2g}" for value in row["parameters"].values())
        sparse_parameters = ", ".join(f"{name} {value:g}" for name, value in row["sparse_parameters"].items())
        sparse, ours, matched = row["sparse"], row["recommended"], row["recommended_at_no_more_kl"]
        difference = row["difference_at_no_more_kl"]
        cells = [
            f"{row['seed']}",
            f"{weights}; {parameters}",
            f"{row['prob_better_than_sparse']:.2f}",
            f"{sparse_parameters}: {sparse['mean']:.2f}, {sparse['kl']:.1f}",
            f"{ours['mean']:.2f}, {ours['kl']:.1f}",
            f"{matched['mean']:.2f}, {matched['kl']:.1f}, {matched['steps']}",
            f"{difference['mean']:+.2f} [{difference['low']:+.2f}, {difference['high']:+.2f}]",
            f"{row['study_seconds']:.0f} s",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    wins = sum(row["difference_at_no_more_kl"]["low"] > 0 for row in rows)
    ahead = sum(row["difference_at_no_more_kl"]["mean"] > 0 for row in rows)
    lines.append(f"\nAhead of sparse at no more KL in {ahead} of {len(rows)}, in {wins} with an interval above zero.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the repeats that have no results yet, writing the results after each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103, 104, 105])
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    parser.add_argument("--output", type=Path, default=HERE)
    arguments = parser.parse_args()
    results = arguments.output / "results.json"
    rows = json.loads(results.read_text(encoding="utf-8")) if results.exists() else []
    for seed in sorted(set(arguments.seeds) - {row["seed"] for row in rows}):
        rows.append(repeat(seed, arguments.jobs))
        results.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        (arguments.output / "results.md").write_text(table(rows), encoding="utf-8")
        print(table(rows), flush=True)


if __name__ == "__main__":
    main()
