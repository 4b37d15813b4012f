"""The picture of three mixing weights: a triangle whose corners are the pure components."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.tri import Triangulation

from bo_shaping.views.report.projection import Points, project, simplex_vertices, spread_apart
from bo_shaping.views.report.style import (
    ACCENT,
    COLORMAP,
    FAINT,
    INK,
    MUTED,
    ON_BRIGHT,
    ON_DARK,
    TRIAL_MARKERS,
    component_colours,
)
from bo_shaping.views.report.trial_frame import WEIGHT_PREFIX, kinds_of_trials

if TYPE_CHECKING:
    from bo_shaping.surrogate.recommendation import Best, Surface

_MOST_SPREAD = 100
"""Trials up to which markers are numbered, and moved apart where they lie over each other; more are small dots."""
_MARKER_DISTANCE = 0.055
"""Least distance between two numbered trials, in sides of the triangle."""
_HATCH = (1.0, 1.0, 1.0, 0.75)


def draw_ternary(
    ax: Axes,
    finished: pd.DataFrame,
    components: list[str],
    best: "Best | None",
    surface: "Surface | None",
    norm: Normalize,
    kl_budget: float | None,
) -> None:
    """Draw surface, frame, draws of the best weights, trials and recommendation, in this order."""
    ax.set_axis_off()
    ax.set_aspect("equal")
    ax.set_xlim(-0.13, 1.13)
    ax.set_ylim(-0.22, 1.03)
    if surface is not None and len(surface.weights) >= 3:
        _draw_surface(ax, surface, norm, kl_budget)
    _draw_frame(ax, components)
    if surface is not None and len(surface.draws):
        _draw_best_draws(ax, np.asarray(surface.draws, dtype=float))
    star = None if best is None else project([[best.weights[name] for name in components]])
    _draw_trials(ax, finished, components, norm, kl_budget, star)
    if star is not None:
        ax.scatter(
            star[:, 0],
            star[:, 1],
            marker="*",
            s=330,
            color=ACCENT,
            edgecolor="white",
            linewidth=1.3,
            zorder=9,
            label="recommended weights",
        )
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        ax.legend(
            handles,
            labels,
            loc="upper center",
            bbox_to_anchor=(0.5, 0.03),
            ncols=2,
            fontsize=8.5,
            frameon=False,
            labelcolor=INK,
            columnspacing=1.4,
            handletextpad=0.5,
        )


def _draw_surface(ax: Axes, surface: "Surface", norm: Normalize, kl_budget: float | None) -> None:
    x, y = project(surface.weights).T
    mesh = Triangulation(x, y)
    levels = np.linspace(norm.vmin or 0.0, norm.vmax or 1.0, 25)
    ax.tricontourf(mesh, np.asarray(surface.mean), levels=levels, cmap=colormaps[COLORMAP], norm=norm)
    if kl_budget is None or surface.kl is None:
        return
    excess = np.asarray(surface.kl, dtype=float) - kl_budget
    if excess.max() <= 0:
        return
    over = ax.tricontourf(mesh, excess, levels=[0.0, excess.max() + 1.0], colors="none", hatches=["////"])
    over.set(edgecolor=_HATCH, linewidth=0, hatch_linewidth=0.7)
    ax.fill([], [], facecolor="white", edgecolor=FAINT, hatch="////", linewidth=0.5, label="predicted KL over budget")
    if excess.min() < 0:
        ax.tricontour(mesh, excess, levels=[0.0], colors=INK, linewidths=1.0, linestyles="dashed")


def _draw_frame(ax: Axes, components: list[str]) -> None:
    corners = simplex_vertices(3)
    colours = component_colours(components)
    ax.fill(*corners.T, facecolor="none", edgecolor=INK, linewidth=1.1, zorder=3)
    for share in (0.25, 0.5, 0.75):
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            ends = project([_mix(i, j, share), _mix(i, k, share)])
            ax.plot(*ends.T, color="white", linewidth=0.6, alpha=0.55, zorder=2)
            # The share of corner i is written where its grid line meets the edge towards the next corner.
            along = corners[j] - corners[i]
            x, y = ends[0] + 0.04 * np.array([along[1], -along[0]])
            ax.text(x, y, f"{share:.2f}", fontsize=7.5, color=colours[components[i]], ha="center", va="center")
    offsets = ((-0.02, -0.11), (0.02, -0.11), (0.0, 0.115))
    for name, corner, offset in zip(components, corners, offsets, strict=True):
        x, y = corner + offset
        ax.text(
            x,
            y,
            f"pure {name}",
            ha="center",
            va="center",
            fontsize=11,
            color=colours[name],
            weight="bold",
            parse_math=False,
        )


def _mix(i: int, j: int, share: float) -> list[float]:
    weights = [0.0, 0.0, 0.0]
    weights[i], weights[j] = share, 1 - share
    return weights


def _draw_best_draws(ax: Axes, draws: np.ndarray) -> None:
    # Draws fall on grid points: one dot per point whose area is the share of draws that call it the best.
    places, counts = np.unique(np.round(draws, 6), axis=0, return_counts=True)
    x, y = project(places).T
    ax.scatter(
        x,
        y,
        s=10 + 420 * counts / counts.sum(),
        facecolor=ACCENT,
        edgecolor="white",
        linewidth=0.5,
        alpha=0.8,
        zorder=4,
    )
    ax.scatter(
        [], [], s=30, facecolor=ACCENT, edgecolor="white", linewidth=0.5, alpha=0.8, label="where posterior draws peak"
    )


def _draw_trials(
    ax: Axes,
    finished: pd.DataFrame,
    components: list[str],
    norm: Normalize,
    kl_budget: float | None,
    star: Points | None,
) -> None:
    points = project(finished[[WEIGHT_PREFIX + name for name in components]].to_numpy(dtype=float))
    # More would find no room, and take seconds to look for it.
    is_roomy = len(points) <= _MOST_SPREAD
    placed = spread_apart(points, _MARKER_DISTANCE, anchors=star) if is_roomy else points
    colours = colormaps[COLORMAP](norm(finished["mean"].to_numpy(dtype=float)))
    for point, place in zip(points, placed, strict=True):
        if np.hypot(*(place - point)) > 0.2 * _MARKER_DISTANCE:
            ax.plot(*np.stack([point, place]).T, color=INK, linewidth=0.8, zorder=5)
    for kind, rows in kinds_of_trials(finished, kl_budget):
        if rows.any():
            marker, label = TRIAL_MARKERS[kind]
            edge = INK if kind == "over" else "white"
            ax.scatter(
                placed[rows, 0],
                placed[rows, 1],
                s=185 if is_roomy else 40,
                c=colours[rows],
                marker=marker,
                edgecolor=edge,
                linewidth=1.4 if is_roomy else 0.7,
                zorder=6,
                gid=label,
            )
            ax.scatter(
                [], [], s=60, color=FAINT if kind == "over" else MUTED, marker=marker, edgecolor=edge, label=label
            )
    if not is_roomy:
        return
    for (x, y), colour, index in zip(placed, colours, finished["index"], strict=True):
        bright = float(colour[:3] @ np.array([0.299, 0.587, 0.114])) > 0.55
        ax.text(
            x,
            y,
            str(index),
            ha="center",
            va="center",
            fontsize=7.5,
            weight="bold",
            zorder=7,
            color=ON_BRIGHT if bright else ON_DARK,
        )
