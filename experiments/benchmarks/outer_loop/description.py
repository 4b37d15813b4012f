"""What the real surface looks like: its optimum, its corners, and how much mixtures and lambda matter beside seeds.

Notation: an *arm* is a mixture with a gae_lambda; the reward of arm a with seed s is m + A_a + S_s + E_as. A and S are
the main effects; E holds what a seed does to one arm alone, and the sampling noise of one training.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from tabulate import tabulate

from experiments.benchmarks.bars import Bar
from experiments.benchmarks.outer_loop.surface import Array, Surface

MAX_KL = 6.0
MIN_ARMS = 20


def measure(surface: Surface | None = None) -> dict[str, Any]:
    """The description as plain data."""
    surface = surface or Surface.load()
    reward, kl = surface.reward.mean(axis=0), surface.kl.mean(axis=0)
    arms = layout(surface)
    return {
        "seeds": list(surface.seeds),
        "n_arms": reward.size,
        "n_seeds_compared": arms.shape[0],
        "n_arms_compared": arms.shape[1],
        "reward_range": [float(reward.min()), float(reward.max())],
        "kl_range": [float(kl.min()), float(kl.max())],
        "best": arm(surface, reward),
        "best_within_kl": arm(surface, np.where(kl <= MAX_KL, reward, -np.inf)),
        "best_by_seed": [arm(surface, one) for one in surface.reward],
        "corners": {
            name: arm(surface, np.where(surface.mixtures[:, [i]] == 1, reward, -np.inf))
            for i, name in enumerate(surface.components)
        },
        "best_by_lambda": {
            str(value): arm(surface, np.where(surface.lambdas == value, reward, -np.inf)) for value in surface.lambdas
        },
        "variance": variance_components(arms),
        "shares_of_arms": shares_of_arms(reward),
        "seed_correlation": seed_correlation(arms),
        "neighbour_correlation": neighbour_correlation(
            np.concatenate([surface.reward, surface.unfinished_reward]), surface.mixtures
        ),
        "sem_over_prompts": float(surface.sem.mean()),
    }


def layout(surface: Surface) -> Array:
    """`s x n` rewards of the arms that all seeds have; a seed counts from `MIN_ARMS` arms on, complete or not."""
    rewards = np.concatenate([surface.reward, surface.unfinished_reward]).reshape(-1, surface.reward[0].size)
    rewards = rewards[np.isfinite(rewards).sum(axis=1) >= min(MIN_ARMS, rewards.shape[1])]
    return np.asarray(rewards[:, np.isfinite(rewards).all(axis=0)])


def arm(surface: Surface, values: Array) -> dict[str, Any]:
    """The arm of the highest value, with its mean over seeds and its standard error over them."""
    node, level = np.unravel_index(values.argmax(), values.shape)
    rewards = surface.reward[:, node, level]
    weights = dict(zip(surface.components, surface.mixtures[node].round(3).tolist(), strict=True))
    return {
        "weights": weights,
        "gae_lambda": float(surface.lambdas[level]),
        "is_corner": bool(surface.mixtures[node].max() == 1),
        "reward": float(rewards.mean()),
        "reward_sem": float(rewards.std(ddof=1) / np.sqrt(len(rewards))) if len(rewards) > 1 else None,
        "kl": float(surface.kl[:, node, level].mean()),
    }


def variance_components(rewards: Array) -> dict[str, float] | None:
    """Variances of arm, seed and the rest, unbiased, from a two-way layout with one training per cell (`s x n`).

    Expected mean squares: E(MS_arm) = v + s v_arm, E(MS_seed) = v + n v_seed, E(MS_rest) = v. None with one seed.
    """
    s, n = rewards.shape
    if s < 2:
        return None
    mean, by_arm, by_seed = rewards.mean(), rewards.mean(axis=0), rewards.mean(axis=1)
    rest = ((rewards - by_arm - by_seed[:, None] + mean) ** 2).sum() / ((s - 1) * (n - 1))
    arms = s * ((by_arm - mean) ** 2).sum() / (n - 1)
    seeds = n * ((by_seed - mean) ** 2).sum() / (s - 1)
    return {"arm": float((arms - rest) / s), "seed": float((seeds - rest) / n), "rest": float(rest)}


def seed_correlation(rewards: Array) -> float | None:
    """Share of the noise variance that all runs of one seed have in common: v_seed / (v_seed + v), at least 0.

    It is the correlation, over seeds, of the noise of two arms; common random numbers take this share away.
    """
    variance = variance_components(rewards)
    if variance is None:
        return None
    seed = max(variance["seed"], 0.0)
    return seed / (seed + variance["rest"])


def neighbour_correlation(rewards: Array, mixtures: Array) -> float | None:
    """Correlation of the noise of neighbouring mixtures at the same lambda, trained with the same seed.

    Common random numbers help to tell neighbours apart if it is high, even where all arms have little in common. From
    the differences between two seeds (`s x g x l`, NaN where there is nothing), in which the arms cancel.
    """
    step = mixtures[mixtures > 0].min()
    distance = np.abs(mixtures[:, None] - mixtures).sum(axis=2)
    left, right = np.nonzero(np.triu(distance < 2.1 * step, k=1))
    products, squares = [], []
    for one, other in itertools.combinations(rewards, 2):
        noise = one - other
        if np.isfinite(noise).any():
            noise = noise - np.nanmean(noise)
            products.append((noise[left] * noise[right]).ravel())
            squares.append(((noise[left] ** 2 + noise[right] ** 2) / 2).ravel())
    if not products or not np.nansum(np.concatenate(squares)) > 0:
        return None
    return float(np.nansum(np.concatenate(products)) / np.nansum(np.concatenate(squares)))


def shares_of_arms(reward: Array) -> dict[str, float]:
    """How the variance between arms (`g x l`, means over seeds) splits into mixtures, lambda and their interaction."""
    by_mixture, by_lambda = reward.mean(axis=1, keepdims=True), reward.mean(axis=0, keepdims=True)
    total = reward.var()
    shares = {"mixture": by_mixture.var() / total, "gae_lambda": by_lambda.var() / total}
    return {name: float(share) for name, share in shares.items()} | {"interaction": float(1 - sum(shares.values()))}


def bars(result: dict[str, Any]) -> list[Bar]:
    """None: a surface is as it is."""
    return []


def table_of(result: dict[str, Any]) -> str:
    """The description in words and numbers."""
    named = {
        "best": result["best"],
        f"best with KL <= {MAX_KL:g}": result["best_within_kl"],
        **{f"best, seed {seed}": best for seed, best in zip(result["seeds"], result["best_by_seed"], strict=True)},
        **{f"pure {name}, its own best lambda": best for name, best in result["corners"].items()},
        **{f"best at lambda {value}": best for value, best in result["best_by_lambda"].items()},
    }
    rows = [
        [
            name,
            ", ".join(f"{component} {weight:g}" for component, weight in best["weights"].items() if weight),
            best["gae_lambda"],
            f"{best['reward']:.3f}" + (f" ({best['reward_sem']:.3f})" if best["reward_sem"] is not None else ""),
            f"{best['kl']:.2f}",
        ]
        for name, best in named.items()
    ]
    lines = [
        f"{result['n_arms']} arms, seeds {result['seeds']}; reward {_range(result['reward_range'])}, "
        f"KL {_range(result['kl_range'])} (means over seeds)",
        tabulate(rows, headers=["", "mixture", "lambda", "reward (s.e. over seeds)", "KL"], tablefmt="github"),
    ]
    variance, shares = result["variance"], result["shares_of_arms"]
    if variance is not None:
        counted = f"{result['n_arms_compared']} arms with {result['n_seeds_compared']} seeds"
        lines.append(
            f"variance of the reward, {counted}: arms {variance['arm']:.4f}, seeds {variance['seed']:.4f}, rest "
            f"{variance['rest']:.4f} (squared standard error over prompts: {result['sem_over_prompts'] ** 2:.4f})"
        )
        lines.append(
            f"correlation of the noise of two arms with one seed: {result['seed_correlation']:.2f}; "
            f"of two neighbouring mixtures: {result['neighbour_correlation']:.2f}"
        )
    split = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    lines.append(f"of the variance between arms: {split}")
    return "\n".join(lines)


def _range(bounds: list[float]) -> str:
    return f"{bounds[0]:.2f} to {bounds[1]:.2f}"
