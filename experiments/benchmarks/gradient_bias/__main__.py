"""Bias and variance of the policy gradient of every credit component, computed without sampling.

    python -m experiments.benchmarks.gradient_bias

For random games and random policies, small enough to enumerate, it computes the exact mean and covariance of the
gradient estimate of each credit component, critic and lambda, and of candidates against bias and noise, and compares
them with the true gradient. Medians over seeds, with 95 % intervals from order statistics, go to
`results/gradient_bias.json` and, as tables, to `results/gradient_bias.md`; `gradient_bias.md` says what they
mean. Takes some minutes on one core.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from experiments.benchmarks.gradient_bias.credit import COMPONENTS, all_credit
from experiments.benchmarks.gradient_bias.estimators import (
    CRITICS,
    CriticKind,
    causal_projection,
    centre,
    centred_gae,
    centred_head,
    critic_values,
    estimate_worth,
    gae,
    leave_one_out,
    past_credit_revision,
)
from experiments.benchmarks.gradient_bias.games import GAMES, GameKind, coalition_values, draw_dividends
from experiments.benchmarks.gradient_bias.moments import BATCH_SIZES, Moments, moments
from experiments.benchmarks.gradient_bias.report import METRICS, Key, Results, summarise, tables
from experiments.benchmarks.gradient_bias.toy import PolicyKind, Toy, make_toy

RESULTS = Path(__file__).parent.parent / "results" / "gradient_bias.json"
POLICIES: tuple[PolicyKind, ...] = ("tabular", "shared")
LAMBDAS = (1.0, 0.95, 0.8, 0.0)
VOCABULARY, N_TOKENS = 3, 5
N_SEEN = 64
"""Responses from which worths are estimated."""
CENTRED = ("sparse", "prefix", "shap")
"""Components whose advantages are also centred."""


def evaluate(policy: PolicyKind, game: GameKind, seed: int) -> dict[Key, Moments]:
    """All estimators on one random game and policy."""
    rng = np.random.default_rng([seed, POLICIES.index(policy), list(GAMES).index(game)])
    toy = make_toy(policy, VOCABULARY, N_TOKENS, rng)
    values = coalition_values(draw_dividends(game, VOCABULARY, N_TOKENS, rng), toy.tokens)
    seen = rng.choice(toy.n_responses, size=N_SEEN, p=toy.probabilities)
    truth = toy.true_gradient(values[:, -1])
    results: dict[Key, Moments] = {}
    credit = all_credit(toy, values)
    for critic in CRITICS:
        baselines = {name: critic_values(toy, credit[name], critic) for name in COMPONENTS}
        for name in COMPONENTS:
            for gae_lambda in LAMBDAS:
                key = Key(policy, game, name, critic, gae_lambda)
                results[key] = moments(toy, gae(credit[name], baselines[name], gae_lambda), truth)
        for name, advantages in candidates(toy, credit, baselines, seen, critic):
            results[Key(policy, game, name, critic, 1.0)] = moments(toy, advantages, truth)
    results[Key(policy, game, "leave-one-out", "zero", 1.0)] = moments(toy, leave_one_out(values), truth)
    return results


def candidates(
    toy: Toy, credit: dict[str, np.ndarray], baselines: dict[str, np.ndarray], seen: np.ndarray, critic: CriticKind
) -> Iterator[tuple[str, np.ndarray]]:
    """`(name, N x T advantages)` of what may mend the bias or mute the noise, at lambda = 1."""
    shap = credit["shap"]
    revision = past_credit_revision(toy, shap, critic)
    yield "shap, past critic", gae(shap, baselines["shap"], 1.0) + revision
    projected = causal_projection(toy, shap, "exact" if critic == "exact" else "linear")
    yield "shap, projected", gae(projected, critic_values(toy, projected, critic), 1.0)
    for kind, m in all_centred(toy, shap, seen).items():
        for name in CENTRED:
            yield f"{name}, {kind}", centred_gae(credit[name], baselines[name], m, 1.0)
        yield f"shap, past critic, {kind}", centred_gae(shap, baselines["shap"], m, 1.0) + revision


def all_centred(toy: Toy, credit: np.ndarray, seen: np.ndarray) -> dict[str, np.ndarray]:
    """`N x T` centred worths: of vocabulary tokens, of tokens at each position, and of a perfect head."""
    rewards = np.repeat(credit.sum(axis=1, keepdims=True), toy.n_tokens, axis=1)
    return {
        "token worth": centre(toy, estimate_worth(toy, credit, seen, by_position=False)),
        "position worth": centre(toy, estimate_worth(toy, credit, seen, by_position=True)),
        "position worth of R": centre(toy, estimate_worth(toy, rewards, seen, by_position=True)),
        "head": centred_head(toy, credit),
    }


def main() -> None:
    """Run, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description="Exact bias and variance of policy gradients of credit components.")
    parser.add_argument("--seeds", type=int, default=30, help="random games and policies of each kind")
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    start, results = time.perf_counter(), Results()
    for policy in POLICIES:
        for game in GAMES:
            for seed in range(seeds):
                results.add(evaluate(policy, game, seed))
            print(f"{policy} {game}: {time.perf_counter() - start:.0f} s", flush=True)
    summary = summarise(results)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.with_suffix(".md").write_text(tables(summary), encoding="utf-8")
    print(tables(summary))
    setting = {"vocabulary": VOCABULARY, "tokens": N_TOKENS, "seeds": seeds, "batch_sizes": BATCH_SIZES}
    columns = [*Key._fields, *METRICS]
    rows = ",\n".join(json.dumps(row) for row in summary.rows())
    RESULTS.write_text(
        f'{{"setting": {json.dumps(setting)},\n"columns": {json.dumps(columns)},\n"rows": [\n{rows}\n]}}\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
