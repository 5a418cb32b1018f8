"""Four ways to a gamma, over ten laws of log w, and the ESS that each of them reaches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import weights

CLAIMS = ("T8.3.a", "T8.3.b", "T8.3.b.fix", "GAM.cumulant", "REM8.2.b.fix", "GAM.kantorovich")
CAPTION = """
    Left: the gamma of the closed form, of the cumulants, of the exact root and of the bound by the
    range, which is safe for every law of that range, at rho = 0.3, for ten laws of log w. Each law
    is 4,001 equally likely rows at its quantiles. Right: the ESS/n at that gamma. The closed form
    is right for the normal law (but for its cut tails); it misses where log w is skewed to the
    right and is too careful where it is skewed to the left. The exact root keeps the target
    wherever gamma = 1 does not.
"""
SIZE = (style.PAGE, 3.1)
RHO = 0.3
LEVELS = (np.arange(4001) + 0.5) / 4001
Quantile = Callable[[Any], Any]


def _two(low: float, share: float) -> Quantile:
    return lambda u: np.where(u < share, 0.0, low)


def _modes(u: Any) -> Any:
    """Two normal laws, 4 apart, of masses 3/4 and 1/4."""
    first = stats.norm.ppf(np.minimum(u / 0.75, 1 - 1e-4))
    second = 4 + stats.norm.ppf(np.clip((u - 0.75) / 0.25, 1e-4, 1))
    return np.where(u < 0.75, first, second)


LAWS: dict[str, Quantile] = {
    "normal": lambda u: 3 * stats.norm.ppf(u),
    "uniform": lambda u: 12 * u,
    "left-skewed": lambda u: 3 * np.log(u),
    "right-skewed": lambda u: -1.2 * np.log1p(-u),
    "Laplace": lambda u: stats.laplace.ppf(u, scale=1.5),
    "Student, 5": lambda u: 1.5 * stats.t.ppf(u, 5),
    "Poisson": lambda u: stats.poisson.ppf(u, 4),
    "two modes": _modes,
    "rare arm": _two(4.0, 0.98),
    "common arm": _two(6.0, 0.5),
}
METHODS: tuple[weights.Method, ...] = ("lognormal", "cumulant", "exact")
SAFE = "range"


def safe(log_w: Any) -> float:
    """Return (2/R) arcosh(rho^(-1/2)), at most 1: feasible for every law of that range R."""
    return min(1.0, 2 * math.acosh(RHO**-0.5) / float(np.ptp(log_w)))


def data() -> Tables:
    """Return gamma and the ESS/n that it reaches, one row a law and method."""
    rows: list[Row] = []
    for name, quantile in LAWS.items():
        log_w = np.asarray(quantile(LEVELS), float)
        found: dict[str, float] = {
            m: float(weights.gamma_star(log_w, RHO, method=m)) for m in METHODS
        }
        for method, gamma in {**found, SAFE: safe(log_w)}.items():
            ess = float(weights.ess_ratio(log_w, gamma))
            rows.append({"law": name, "method": method, "gamma": gamma, "ess": ess})
    return {"methods": rows}


LOOK = {
    "lognormal": (style.RED, "o", "closed form", -0.18),
    "cumulant": (style.ORANGE, "s", "cumulants", -0.06),
    "exact": (style.BLUE, "D", "exact root", 0.06),
    SAFE: (style.GREEN, "^", "range bound", 0.18),
}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw a row a law: gamma on the left, the ESS reached on the right."""
    left, right = figure.subplots(1, 2, sharey=True)
    for method, (color, mark, words, shift) in LOOK.items():
        rows = tables.where(sheets["methods"], method=method)
        rank = [k + shift for k in range(len(rows))]
        look = {"color": color, "ms": 3.5, "mew": 0, "label": words}
        left.plot(tables.column(rows, "gamma"), rank, mark, **look)
        right.plot(tables.column(rows, "ess"), rank, mark, **look)
    right.axvline(RHO, color=style.GREY, lw=0.6)
    right.text(
        0.29, -0.62, r"target $\rho = 0.3$", size=7, color=style.GREY, ha="right", va="bottom"
    )
    left.set(xlabel=r"$\gamma$", xlim=(0, 1.04), yticks=range(len(LAWS)), yticklabels=list(LAWS))
    left.set_ylim(len(LAWS) - 0.4, -0.9)
    right.set(xlabel=r"ESS/$n$ at that $\gamma$", xscale="log", xlim=(0.002, 1.1))
    right.set_xticks(
        (0.003, 0.01, 0.03, 0.1, 0.3, 1), labels=("0.003", "0.01", "0.03", "0.1", "0.3", "1")
    )
    for axes in (left, right):
        axes.hlines(
            range(len(LAWS)), *axes.get_xlim(), color=style.GREY, lw=0.3, alpha=0.5, zorder=0
        )
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False
    )
