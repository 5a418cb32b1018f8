"""The variance of a language model's gradient over gamma, and where it is least."""

from __future__ import annotations

from typing import Any

from figures import distances, style
from figures.tables import Row, Tables

CLAIMS = ("LM.gradient.quarter", "LM.gradient.plain", "LM.gradient.self")
CAPTION = """
    The variance of mean w^gamma r grad log pi (plain) and of the self-normalised mean, summed over
    all weights of the model and divided by that at gamma = 0, from 2,048 per-sample gradients of
    policies at growing distance from mu, with r = 1 and with graded rewards. Dots: the least
    variance. Dotted: the shifted Gaussian with the nearest and the farthest policy's variance of
    log w and mean scores, for r = 1. Grey: the paper's 1/4.
"""
SIZE = (style.PAGE, 4.2)
PANELS = (
    ("plain, one", "plain, $r = 1$"),
    ("plain, graded", "plain, graded $r$"),
    ("self, one", "self-normalised, $r = 1$"),
    ("self, graded", "self-normalised, graded $r$"),
)


def data() -> Tables:
    """Return the curves with their intervals, and the Gaussians beside them."""
    curves: list[Row] = []
    laws: list[Row] = []
    for name, cell in distances.cells("gradients"):
        size = len(cell["gaussian"]["plain"]["curve"])
        grid = [i / (size - 1) for i in range(size)]
        for kind, _ in PANELS:
            for gamma, point in zip(grid, cell["measured"][kind]["curve"], strict=True):
                own = distances.ends(point, "variance")
                curves.append({"policy": name, "kind": kind, "gamma": gamma, **own})
        for kind in ("plain", "self"):
            for gamma, value in zip(grid, cell["gaussian"][kind]["curve"], strict=True):
                laws.append({"policy": name, "kind": kind, "gamma": gamma, "variance": value})
    return {"curves": curves, "gaussian": laws}


def draw(tables: Tables, figure: Any) -> None:
    """Draw a panel an estimator and reward."""
    grid = figure.subplots(2, 2, sharex=True, sharey=True)
    names = distances.policies(tables["curves"])
    for axes, (kind, title) in zip(grid.flat, PANELS, strict=True):
        axes.axvline(0.25, color=style.GREY, lw=0.6)
        for policy in names:
            own = distances.where(tables["curves"], policy=policy, kind=kind)
            at, value = distances.column(own, "gamma"), distances.column(own, "variance")
            color = distances.color(names, policy)
            axes.plot(at, value, color=color, lw=0.9, label=policy.upper())
            least = min(range(len(value)), key=value.__getitem__)
            axes.plot(at[least], value[least], "o", color=color, ms=3)
        if kind.endswith("one"):
            for policy in (names[0], names[-1]):
                law = distances.where(
                    tables["gaussian"], policy=policy, kind=kind.removesuffix(", one")
                )
                look = {"color": distances.color(names, policy), "lw": 0.8, "ls": ":"}
                values = distances.column(law, "variance")
                axes.plot(distances.column(law, "gamma"), values, **look)
        axes.set(yscale="log", title=title)
    grid[0, 0].set_ylim(0.3, 20)
    for axes in grid[1]:
        axes.set_xlabel(r"$\gamma$")
    for axes in grid[:, 0]:
        axes.set_ylabel(r"variance over that at $\gamma = 0$")
    handles = grid[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", frameon=False, handlelength=1.4)
