"""Where the variance of the gradient is least, over the shift and the dimension, and its jump."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from experiments.bandit.estimators import least
from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Tensor

CLAIMS = ("C7.5.c", "C7.5.c.fix", "VAR.jump", "VAR.plane", "VAR.midrange", "BAN.least", "BAN.jump")
CAPTION = """
    Log-normal weights and r = 1: mu = N(0, I) and pi = N(theta, I) in d dimensions, sigma =
    |theta|. Left: the gamma at which the variance of the gradient's estimator is least. It starts
    at (d+2)/(4d+6), the marks on the left, and only passes 1/4, the constant of Corollary 7.5. In
    one dimension it falls to about 1/sigma^2 and jumps back (dotted) at sigma^2 = 69.34, in two it
    jumps at 19.95; in three and ten it does not. Right: the variance in one dimension at three
    shifts, that of the jump among them: of its two minima now one and now the other is the lower.
"""
SIZE = (style.PAGE, 2.6)
DIMS = (1, 2, 3, 10)
SIGMAS = np.geomspace(0.1, 20, 61)
SHOWN = (40.0, 69.34, 100.0)
JUMPS = {1: (69.0, 70.0), 2: (19.0, 20.0)}
GRID = 2001


def variance(sigma2: float, d: int, gamma: Any) -> Any:
    """Return n tr Cov at many gammas."""
    return formulas.gradient_variance_gaussian(torch.tensor(sigma2).double(), gamma, d, Tensor)


def best(sigma2: float, d: int) -> float:
    """Return the gamma in [0, 1] of least variance."""
    return least(lambda gamma: variance(sigma2, d, gamma), GRID)


def edge(d: int) -> float:
    """Return the sigma2 at which the least point jumps, by halving."""
    low, high = JUMPS[d]
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if best(middle, d) < 0.2 else (low, middle)
    return (low + high) / 2


def data() -> Tables:
    """Return the least points, the curves near the jump, and where the jumps are."""
    jumps: list[Row] = [{"d": float(d), "sigma2": edge(d)} for d in JUMPS]
    rows: list[Row] = []
    for d in DIMS:
        sides = [float(x["sigma2"]) + s for x in jumps if x["d"] == d for s in (-1e-3, 1e-3)]
        for sigma2 in sorted([*SIGMAS**2, *sides]):
            rows.append({"d": float(d), "sigma": sigma2**0.5, "gamma": best(sigma2, d)})
    # Fine where the first minimum is.
    gammas = torch.tensor(np.geomspace(0.004, 0.5, 121))
    curves: list[Row] = [
        {"sigma2": sigma2, "gamma": float(g), "variance": float(v)}
        for sigma2 in SHOWN
        for g, v in zip(gammas, variance(sigma2, 1, gammas), strict=True)
    ]
    lows: list[Row] = []
    for sigma2 in SHOWN:
        gamma = best(sigma2, 1)
        low = float(variance(sigma2, 1, torch.tensor([gamma]).double())[0])
        lows.append({"sigma2": sigma2, "gamma": gamma, "variance": low})
    small: list[Row] = [{"d": float(d), "gamma": (d + 2) / (4 * d + 6)} for d in DIMS]
    return {"least": rows, "curves": curves, "lows": lows, "small": small, "jumps": jumps}


COLORS = {1: style.BLUE, 2: style.ORANGE, 3: style.GREEN, 10: style.RED}
SHADES = (style.SKY, style.BLUE, style.BLACK)


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the least points on the left and the curves near the jump on the right."""
    left, right = figure.subplots(1, 2)
    for d, color in COLORS.items():
        rows = tables.where(sheets["least"], d=float(d))
        x, y = (tables.column(rows, k) for k in ("sigma", "gamma"))
        ends = [i for i in range(1, len(y)) if y[i] - y[i - 1] > 0.05] + [len(y)]
        for start, end in zip([0, *ends], ends, strict=False):
            left.semilogx(
                x[start:end], y[start:end], color=color, label=f"$d = {d}$" if not start else None
            )
            if start:
                left.plot(x[start - 1 : start + 1], y[start - 1 : start + 1], ":", color=color)
        (first,) = tables.where(sheets["small"], d=float(d))
        left.plot(0.1, first["gamma"], ">", color=color, clip_on=False)
    left.axhline(0.25, color=style.GREY, lw=0.6, ls="--")
    words = r"$1/4$, where $\mathbb{E}_\mu[w^{2\gamma}]$ is least"
    left.text(0.12, 0.245, words, color=style.GREY, size=7, va="top")
    left.text(9, 0.06, r"$\sigma^2 = 69.34$", color=COLORS[1], size=7)
    left.text(4.7, 0.135, r"$19.95$", color=COLORS[2], size=7)
    left.legend(frameon=False, loc="lower left")
    left.set(xlabel=r"shift $\sigma$", xlim=(0.1, 25), ylim=(0, 0.32))
    left.set_ylabel(r"$\gamma$ of least gradient variance")
    for sigma2, color in zip(SHOWN, SHADES, strict=True):
        rows = tables.where(sheets["curves"], sigma2=sigma2)
        words = rf"$\sigma^2 = {sigma2:g}$"
        right.loglog(
            *(tables.column(rows, k) for k in ("gamma", "variance")), color=color, label=words
        )
        (low,) = tables.where(sheets["lows"], sigma2=sigma2)
        right.plot(low["gamma"], low["variance"], "o", color=color, ms=3.5)
    right.set(xlabel=r"$\gamma$", xlim=(0.004, 0.5), ylim=(5e-5, 2))
    right.set_ylabel(r"$n\,\mathrm{tr\,Cov}$, $d = 1$")
    right.legend(frameon=False, loc="lower left")
