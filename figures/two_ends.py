"""The two ends on a bimodal target, the path between them, and where training goes beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import minimize

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Real

CLAIMS = ("PROP2.1", "PROP2.2", "T5.2", "P5.3.a", "PROP7.2.c.fix", "OBJ.limits")
CAPTION = """
    A behaviour policy mu = N(0, 3^2) and a target p* with two modes of masses 0.6 and 0.4. Left:
    the normal laws nearest to p* by the forward KL, which covers both modes, and by the reverse KL,
    which takes one. Middle: the path p_gamma from mu to p*, for policies without a restriction.
    Right: where w^gamma leads when the reward is p*/mu: it starts at p*, where gamma = 0, and goes
    on beyond it, to the one outcome of largest reward, instead of along the path.
"""
SIZE = (style.PAGE, 2.4)
STEP = 0.1
GRID = np.arange(-80, 81) * STEP
BETWEEN = (0.0, 0.25, 0.5, 0.75, 1.0)
RESTS = (0.0, 0.5, 0.75, 0.9)
TARGET, FORWARD, REVERSE = "target", "forward", "reverse"


def data() -> Tables:
    """Return densities on a grid: the ends, the path p_gamma and the rests q_gamma."""
    mu = masses(0.0, 3.0)
    target = [0.6 * a + 0.4 * b for a, b in zip(masses(-2.5, 0.8), masses(2.5, 0.8), strict=True)]
    reward = [b / a for a, b in zip(mu, target, strict=True)]
    ends = [(TARGET, target), (FORWARD, forward(target)), (REVERSE, reverse(target))]
    path = [(f"{g:g}", formulas.geometric_path(mu, target, g, Real)) for g in BETWEEN]
    rests = [(f"{g:g}", formulas.fixed_point(mu, reward, g, Real)) for g in RESTS]
    named = (("ends", ends), ("path", path), ("rests", rests))
    return {table: [row for name, law in laws for row in _rows(name, law)] for table, laws in named}


def masses(mean: float, sd: float) -> list[float]:
    """Return a normal law on the grid, as masses."""
    # No outcome without mass, so that every divergence is a number.
    density = np.maximum(stats.norm.pdf(GRID, mean, sd), 1e-200)
    return formulas.normalised(density.tolist())


def forward(target: Sequence[float]) -> list[float]:
    """Return the normal law nearest by KL(p* || pi): it has the target's mean and variance."""
    mean = float(GRID @ target)
    return masses(mean, float(np.sqrt((GRID - mean) ** 2 @ target)))


def reverse(target: Sequence[float]) -> list[float]:
    """Return the normal law nearest by KL(pi || p*), the best of an ascent from each mode."""

    def away(place: Any) -> float:
        return float(formulas.kl(masses(place[0], np.exp(place[1])), target, Real))

    found = [minimize(away, (start, 0.0), method="Nelder-Mead") for start in (-2.0, 2.0)]
    mean, log_sd = min(found, key=lambda one: float(one.fun)).x
    return masses(mean, float(np.exp(log_sd)))


def _rows(name: str, law: Sequence[float]) -> list[Row]:
    return [
        # What is too small for six digits of a drawing is 0.
        {"name": name, "y": float(y), "density": mass / STEP if mass > 1e-9 else 0.0}
        for y, mass in zip(GRID, law, strict=True)
    ]


LOOK = {
    FORWARD: (style.ORANGE, (6.0, 0.1), "forward KL"),
    REVERSE: (style.BLUE, (-2.5, 0.51), "reverse KL"),
}
SHADES = (style.GREY, style.SKY, style.GREEN, style.ORANGE, style.BLACK)


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the ends, the path, and the rests beyond it."""
    left, middle, right = figure.subplots(1, 3)
    for name, (color, (x, y), words) in LOOK.items():
        _curve(left, sheets["ends"], name, color, "-")
        left.text(x, y, words, color=color, size=7, ha="center", va="bottom")
    for axes in (left, middle, right):
        rows = tables.where(sheets["ends"], name=TARGET)
        ys, height = (tables.column(rows, name) for name in ("y", "density"))
        axes.fill_between(ys, height, color=style.GREY, alpha=0.25, lw=0)
        axes.set(xlabel="$y$", xlim=(-8, 8))
    left.text(3.6, 0.15, "$p^*$", color=style.GREY, size=8)
    for gamma, color in zip(BETWEEN, SHADES, strict=True):
        _curve(middle, sheets["path"], f"{gamma:g}", color, "-")
    for gamma, color in zip(RESTS, (style.BLACK, style.ORANGE, style.RED, style.BLUE), strict=True):
        _curve(right, sheets["rests"], f"{gamma:g}", color, "-")
    left.set(ylabel="density", ylim=(0, 0.6), title="the nearest normal laws")
    middle.set(ylim=(0, 0.36), title=r"the path $p_\gamma$ from $\mu$ to $p^*$")
    right.set(ylim=(0, 1.6), title=r"where $w^\gamma$ leads, $r = p^*/\mu$")
    for axes in (middle, right):
        axes.legend(frameon=False, loc="upper right", handlelength=1.2, borderaxespad=0)


def _curve(axes: Any, rows: Sequence[Row], name: str, color: str, dash: str) -> None:
    mine = tables.where(rows, name=name)
    x, height = (tables.column(mine, key) for key in ("y", "density"))
    axes.plot(x, height, dash, color=color, label=rf"$\gamma = {name}$")
