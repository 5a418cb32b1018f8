"""Where E[w^(2 gamma)] is least: half the Chernoff point, pushed off 1/4 by the skew of log w."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.optimize import brentq

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Real
from isr_theory.models import Finite

CLAIMS = ("C7.5.a", "TAB10.1.2.fix", "VAR.chernoff", "VAR.quarter", "VAR.symmetric")
CAPTION = """
    The gamma at which E_mu[w^(2 gamma)] is least, half the Chernoff point s*, against the skew of
    log w: its third cumulant over its variance under the geometric mean of mu and pi. Points: 300
    drawn pairs of laws on two to four arms (seed 3); the cross is the asymmetric pair whose least
    is at 1/4 exactly. The line is 1/4 plus a 48th of the skew; log-normal weights have no skew and
    1/4. The least can be anywhere between 0 and 1/2.
"""
SIZE = (style.COLUMN, 2.7)
SEED, PAIRS = 3, 300
WITNESS = Finite(
    tuple(Fraction(k, 169) for k in (24, 1, 144)), tuple(Fraction(k, 169) for k in (96, 64, 9)), ()
)


def point(mu: Sequence[float], pi: Sequence[float]) -> Row:
    """Return the skew of log w halfway, and half the Chernoff point."""
    log_w = np.log(np.array(pi) / np.array(mu))

    def mean(s: float) -> float:
        """K'(s), the mean of log w under nu_s, which rises through 0 at s*."""
        return float(np.dot(formulas.geometric_path(mu, pi, s, Real), log_w))

    middle = np.array(formulas.geometric_path(mu, pi, 0.5, Real))
    off = log_w - middle @ log_w
    skew = (middle @ off**3) / (middle @ off**2)
    return {"skew": float(skew), "gamma": float(brentq(mean, 0, 1, xtol=1e-12)) / 2}


def data() -> Tables:
    """Return a point a pair of laws, the asymmetric pair at 1/4, and the line."""
    rng = np.random.default_rng(SEED)
    drawn = []
    for _ in range(PAIRS):
        mu, pi, _ = Finite.drawn(rng).numbers(Real)
        drawn.append(point(mu, pi))
    mu, pi = ([float(x) for x in law] for law in (WITNESS.mu, WITNESS.pi))
    line: list[Row] = [{"skew": x, "gamma": 0.25 + x / 48} for x in (-1.7, 1.7)]
    return {"pairs": drawn, "witness": [point(mu, pi)], "line": line}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the points about the line."""
    axes = figure.subplots()
    axes.plot(*_of(sheets["line"]), color=style.ORANGE, lw=1)
    axes.plot(*_of(sheets["pairs"]), "o", color=style.BLUE, ms=2.2, mew=0, alpha=0.6)
    axes.plot(*_of(sheets["witness"]), "x", color=style.RED, ms=6, zorder=4)
    axes.plot(0, 0.25, "D", color=style.BLACK, ms=4, zorder=4)
    axes.axhline(0.25, color=style.GREY, lw=0.5, ls="--", zorder=0)
    axes.text(-1.65, 0.251, "$1/4$", size=7, color=style.GREY)
    axes.text(0.35, 0.238, "log-normal", size=7)
    axes.annotate("", (0.07, 0.2485), (0.35, 0.2415), arrowprops={"arrowstyle": "-", "lw": 0.5})
    axes.text(
        -0.1,
        0.266,
        r"$\frac{1}{4} + \frac{1}{48}\,\kappa_3/\kappa_2$",
        size=8,
        color=style.ORANGE,
        ha="right",
    )
    axes.set(xlabel=r"skew $\kappa_3/\kappa_2$ of $\log w$, halfway", xlim=(-1.7, 1.7))
    axes.set_ylabel(r"$\gamma$ of least $\mathbb{E}_\mu[w^{2\gamma}]$")


def _of(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    return tables.column(rows, "skew"), tables.column(rows, "gamma")
