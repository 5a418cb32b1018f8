"""Three ways from mu to p* in the simplex of three outcomes: exponential, Fisher-Rao, mixture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Real

CLAIMS = ("GEO5.1", "GEO5.1.fix", "T5.2")
CAPTION = """
    Three paths from mu = (0.72, 0.26, 0.02) to p* = (0.03, 0.15, 0.82) among the laws of three
    outcomes, with a mark at each quarter of the way. p_gamma is the exponential geodesic, straight
    in log-probabilities; the Fisher-Rao geodesic is a great circle of the square roots, and another
    set of points; mixing is the straight line.
"""
SIZE = (style.COLUMN, 3.05)
MU, TARGET = (0.72, 0.26, 0.02), (0.03, 0.15, 0.82)
QUARTERS = ("0.25", "0.5", "0.75")
Law = Sequence[float]


def mixture(mu: Law, target: Law, t: float) -> Law:
    """(1-t) mu + t p*."""
    return [(1 - t) * a + t * b for a, b in zip(mu, target, strict=True)]


PATHS: dict[str, Callable[[float], Law]] = {
    "exponential": lambda t: formulas.geometric_path(MU, TARGET, t, Real),
    "Fisher-Rao": lambda t: formulas.fisher_rao_path(MU, TARGET, t, Real),
    "mixture": lambda t: mixture(MU, TARGET, t),
}


def data() -> Tables:
    """Return the three probabilities along each path."""
    rows: list[Row] = [
        {"path": name, "t": float(t), **dict(zip(("p1", "p2", "p3"), at(float(t)), strict=True))}
        for name, at in PATHS.items()
        for t in np.linspace(0, 1, 61)
    ]
    return {"paths": rows}


LOOK = {
    "exponential": (style.BLUE, "o", r"$p_\gamma$, exponential"),
    "Fisher-Rao": (style.ORANGE, "s", "Fisher-Rao"),
    "mixture": (style.GREY, "^", "mixture"),
}
CORNERS = (((0, -0.02), "1", "top"), ((1, -0.02), "3", "top"), ((0.5, 0.88), "2", "bottom"))


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the triangle and the paths."""
    axes = figure.subplots()
    axes.plot((0, 1, 0.5, 0), (0, 0, 3**0.5 / 2, 0), color=style.BLACK, lw=0.6)
    for name, (color, mark, words) in LOOK.items():
        rows = tables.where(sheets["paths"], path=name)
        x, y = _plane(rows)
        stops = [i for i, row in enumerate(rows) if f"{row['t']:g}" in QUARTERS]
        axes.plot(x, y, "-", marker=mark, markevery=stops, color=color, label=words)
    ends = tables.where(sheets["paths"], path="mixture")
    for row, words, side in ((ends[0], r"$\mu$", "right"), (ends[-1], "$p^*$", "left")):
        ((across,), (up,)) = _plane([row])
        axes.plot(across, up, "o", color=style.BLACK, ms=3, zorder=4)
        axes.text(across + (0.04 if side == "left" else -0.03), up + 0.02, words, ha=side, size=8)
    for place, words, anchor in CORNERS:
        axes.text(*place, words, ha="center", va=anchor, size=7, color=style.GREY)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(-0.02, 1), handlelength=1.6)
    axes.set(aspect="equal", xlim=(-0.06, 1.08), ylim=(-0.09, 0.95))
    axes.axis("off")


def _plane(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Return where laws lie in the triangle with the outcomes at its corners."""
    x = [float(row["p3"]) + float(row["p2"]) / 2 for row in rows]
    return x, [float(row["p2"]) * 3**0.5 / 2 for row in rows]
