"""ESS/n = exp(-gamma^2 sigma^2) of a population, and how much better a batch looks."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas, weights
from isr_theory.arithmetic import Real
from isr_theory.claims.x03_finite import first_order
from isr_theory.models import GaussianShift

CLAIMS = ("T8.2", "TAB10.1.3", "GAM.jensen", "GAM.firstorder")
CAPTION = """
    Log-normal weights with sigma^2 = 4. Left: ESS/n of w^gamma in the population and on average in
    batches of n rows (256,000 rows a size, seed 8), which is above the population's at every n and
    falls towards it. Right: n times the excess against v = gamma^2 sigma^2; the line is its limit,
    1 - 2 e^v + e^(3v), which finite n reach for small v only.
"""
SIZE = (style.PAGE, 2.5)
SEED, ROWS, SIGMA2 = 8, 256_000, 4
SIZES = (8, 32, 128, 1024)
GAMMAS = np.linspace(0, 1, 21)


def population(gamma: float) -> float:
    """Return the population's ESS/n."""
    return float(formulas.ess_lognormal(SIGMA2, gamma, Real))


def limit(gamma: float) -> float:
    """Return what n times the excess tends to."""
    return float(
        first_order(*(formulas.lognormal_moment(SIGMA2, k * gamma, Real) for k in (1, 2, 3, 4)))
    )


def data() -> Tables:
    """Return the population's ESS, the batches' mean ESS, and the limit of the excess."""
    law: list[Row] = [{"gamma": g, "ess": population(g)} for g in GAMMAS.tolist()]
    bound: list[Row] = [
        {"v": v, "limit": limit((v / SIGMA2) ** 0.5)} for v in np.linspace(0, 1.5, 61).tolist()
    ]
    shift = GaussianShift(Fraction(SIGMA2))
    rng = np.random.default_rng(SEED)
    log_w = shift.log_w(shift.sample(rng, ROWS))
    seen: list[Row] = []
    for n in SIZES:
        batches = log_w.reshape(-1, n)
        for gamma in GAMMAS.tolist():
            ess = weights.ess_ratio(batches, gamma)
            error = float(ess.std() / len(ess) ** 0.5)
            mean = float(ess.mean())
            seen.append(
                {
                    "n": float(n),
                    "gamma": gamma,
                    "v": gamma * gamma * SIGMA2,
                    "ess": mean,
                    "error": error,
                    "excess": n * (mean - population(gamma)),
                }
            )
    return {"population": law, "limit": bound, "batches": seen}


COLORS = {8: style.RED, 32: style.ORANGE, 128: style.GREEN, 1024: style.BLUE}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the law and the excess."""
    left, right = figure.subplots(1, 2)
    for n, color in COLORS.items():
        rows = tables.where(sheets["batches"], n=float(n))
        gammas, v = tables.column(rows, "gamma"), tables.column(rows, "v")
        left.plot(
            gammas, tables.column(rows, "ess"), "o-", color=color, ms=2.2, label=f"$n = {n:,}$"
        )
        right.plot(v, tables.column(rows, "excess"), "o-", color=color, ms=2.2)
    law = sheets["population"]
    left.plot(
        tables.column(law, "gamma"),
        tables.column(law, "ess"),
        color=style.BLACK,
        label="population",
    )
    bound = sheets["limit"]
    right.plot(tables.column(bound, "v"), tables.column(bound, "limit"), color=style.BLACK)
    left.set(xlabel=r"$\gamma$", ylabel=r"ESS/$n$, $\sigma^2 = 4$", xlim=(0, 1), ylim=(0, 1.02))
    left.legend(frameon=False, loc="upper right")
    right.set(xlabel=r"$v = \gamma^2\sigma^2$", xlim=(0, 2), ylim=(0, 60))
    right.set_ylabel(r"$n\,(\mathbb{E}[\mathrm{ESS}_n]/n - \mathrm{ESS}/n)$")
    right.text(1.16, 50, "limit", size=7, ha="right")
