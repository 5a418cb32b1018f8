"""How often the gamma of a batch meets its target in the population, and by how much it misses."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas, weights
from isr_theory.arithmetic import Real

CLAIMS = ("GAM.coverage", "GAM.upper", "GAM.monitor")
CAPTION = """
    Log-normal weights with sigma^2 = 9, rho = 0.3. Left: the share of batches whose gamma keeps the
    population's ESS/n at rho. The lines are exact, by the chi-squared law of the batch's variance:
    the closed form with that variance stays below one half at every n, with its 95% upper bound it
    is 95%. The marks are 2,000 drawn batches a size (seed 12), with the closed form and with the
    root of the batch's own ESS. Right: the ESS/n that the population has at the gamma of the closed
    form, median and the middle 90% of batches; dashed, with the upper bound.
"""
SIZE = (style.PAGE, 2.5)
RHO, SIGMA2, DELTA = 0.3, 9.0, 0.05
SEED, BATCHES = 12, 2000
SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
LINE = np.unique(np.geomspace(2, 256, 40).astype(int))


def factor(n: int) -> float:
    """Return what the batch's variance is multiplied with to bound sigma^2 at 95%."""
    return float((n - 1) / stats.chi2.ppf(DELTA, n - 1))


def reached(ratio: float) -> float:
    """Return the population's ESS/n where the variance was taken for `ratio` times what it is."""
    # No cap at gamma = 1: for small batches it would only mend what is to be seen.
    return float(RHO ** (1 / ratio))


def data() -> Tables:
    """Return exact coverages and quantiles, and drawn coverages."""
    lines: list[Row] = []
    for n in LINE.tolist():
        low, middle, high = stats.chi2.ppf((0.05, 0.5, 0.95), n - 1) / (n - 1)
        lines.append(
            {
                "n": float(n),
                "plain": float(stats.chi2.sf(n - 1, n - 1)),
                "bound": float(stats.chi2.sf((n - 1) / factor(n), n - 1)),
                "low": reached(low),
                "median": reached(middle),
                "high": reached(high),
                "bound_median": reached(factor(n) * middle),
            }
        )
    rng = np.random.default_rng(SEED)
    drawn: list[Row] = []
    for n in SIZES:
        log_w = SIGMA2**0.5 * rng.standard_normal((BATCHES, n)) - SIGMA2 / 2
        closed = [
            formulas.gamma_lognormal(float(s2), RHO, Real) for s2 in log_w.var(axis=-1, ddof=1)
        ]
        exact = weights.gamma_star(log_w, RHO, method="exact")
        for method, gammas in (("closed form", closed), ("exact root", exact.tolist())):
            ess = [formulas.ess_lognormal(SIGMA2, gamma, Real) for gamma in gammas]
            drawn.append(
                {"n": float(n), "method": method, "share": float(np.mean(np.array(ess) >= RHO))}
            )
    return {"lines": lines, "drawn": drawn}


LOOK = {"closed form": (style.BLUE, "o"), "exact root": (style.RED, "D")}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the coverages and the ESS that is reached."""
    left, right = figure.subplots(1, 2)
    n = tables.column(sheets["lines"], "n")
    left.plot(n, tables.column(sheets["lines"], "plain"), color=style.BLUE)
    left.plot(n, tables.column(sheets["lines"], "bound"), color=style.GREEN)
    for method, (color, mark) in LOOK.items():
        rows = tables.where(sheets["drawn"], method=method)
        left.plot(*(tables.column(rows, k) for k in ("n", "share")), mark, color=color, ms=3.5)
    left.axhline(0.5, color=style.GREY, lw=0.5, ls="--")
    left.text(2.2, 0.88, r"$\chi^2$ upper bound", size=7, color=style.GREEN)
    left.text(2.6, 0.52, "closed form", size=7, color=style.BLUE)
    left.text(20, 0.05, "exact root", size=7, color=style.RED)
    left.set(xlabel="rows $n$ of a batch", ylabel="share that meet the target", ylim=(-0.03, 1))
    low, high = (tables.column(sheets["lines"], k) for k in ("low", "high"))
    right.fill_between(n, low, high, color=style.BLUE, alpha=0.2, lw=0)
    right.plot(n, tables.column(sheets["lines"], "median"), color=style.BLUE)
    right.plot(n, tables.column(sheets["lines"], "bound_median"), "--", color=style.GREEN)
    right.axhline(RHO, color=style.GREY, lw=0.5)
    right.text(250, 0.315, "target", size=7, color=style.GREY, ha="right")
    right.text(7, 0.71, "median with the upper bound", size=7, color=style.GREEN)
    right.text(5, 0.2, "median", size=7, color=style.BLUE)
    right.set(xlabel="rows $n$ of a batch", ylabel=r"population's ESS/$n$", ylim=(0, 1))
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_xticks(SIZES, labels=[str(size) for size in SIZES])
        axes.set_xlim(1.8, 290)
