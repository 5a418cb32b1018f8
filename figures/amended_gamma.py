"""The reward-adjusted gamma of Theorem 9.1, as printed and as amended, and the ESS it reaches."""

from __future__ import annotations

from typing import Any

import numpy as np

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Real

CLAIMS = ("T9.1.a", "T9.1.a.fix", "INT9.1", "INT9.1.fix", "GAM.window")
CAPTION = """
    Weights w^gamma e^(R/tau), log w and R jointly normal, sigma^2 = 4, rho = 0.3, by the variance
    of R/tau; the colour is the correlation of log w and R. Left: gamma as printed, which does not
    look at the correlation, and as amended, drawn as far as some gamma meets the target. Right: the
    ESS/n that each reaches. The printed rule misses the target if the reward leans with log w or
    not at all, and can be too careful if it leans against it; the amended one meets it wherever it
    is drawn.
"""
SIZE = (style.PAGE, 2.6)
SIGMA2, RHO = 4.0, 0.3
CORRELATIONS = (-0.6, 0.0, 0.6)
PRINTED, AMENDED = "printed", "amended"
SPREADS = np.linspace(0, 2, 81)


def data() -> Tables:
    """Return gamma and ESS/n of both rules, one row a rule, correlation and reward variance."""
    rows: list[Row] = []
    for correlation in CORRELATIONS:
        for reward2 in SPREADS.tolist():
            cov = correlation * (SIGMA2 * reward2) ** 0.5
            found = {PRINTED: formulas.gamma_reward_printed(SIGMA2, reward2, RHO, Real)}
            if feasible(cov, reward2):
                found[AMENDED] = formulas.gamma_reward(SIGMA2, cov, reward2, RHO, Real)
            for rule, gamma in found.items():
                ess = formulas.ess_reward(SIGMA2, gamma, cov, reward2, Real)
                rows.append(
                    {
                        "correlation": correlation,
                        "reward2": reward2,
                        "rule": rule,
                        "gamma": float(gamma),
                        "ess": float(ess),
                    }
                )
    return {"rules": rows}


def feasible(cov: float, reward2: float) -> bool:
    """Whether some gamma in [0, 1] meets the target: the best one, -cov/sigma2 clipped, does."""
    best = min(max(-cov / SIGMA2, 0.0), 1.0)
    return bool(formulas.ess_reward(SIGMA2, best, cov, reward2, Real) >= RHO)


COLORS = {-0.6: style.BLUE, 0.0: style.BLACK, 0.6: style.RED}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw both rules: gamma on the left, the ESS on the right."""
    left, right = figure.subplots(1, 2)
    for correlation, color in COLORS.items():
        amended, printed = (
            tables.where(sheets["rules"], correlation=correlation, rule=rule)
            for rule in (AMENDED, PRINTED)
        )
        words = rf"amended, $\varrho = {correlation:g}$"
        left.plot(*_of(amended, "gamma"), color=color, label=words)
        # The amended lines lie on each other, at the target: the widest first.
        width = {-0.6: 2.6, 0.0: 1.7, 0.6: 0.8}[correlation]
        right.plot(*_of(amended, "ess"), color=color, lw=width)
        right.plot(*_of(printed, "ess"), "--", color=color)
    left.plot(*_of(printed, "gamma"), "--", color=style.GREY, label="printed, any")
    right.text(0.05, 0.315, r"amended: $\rho = 0.3$", size=7)
    right.text(1.25, 0.5, r"printed, $\varrho = -0.6$", size=7, color=COLORS[-0.6])
    right.text(1.3, 0.145, r"$\varrho = 0$", size=7, color=COLORS[0.0])
    right.text(0.06, 0.04, r"$\varrho = 0.6$", size=7, color=COLORS[0.6])
    left.set(ylabel=r"$\gamma$", ylim=(0, 1.1))
    right.set(ylabel=r"ESS/$n$ reached", ylim=(0, 0.7))
    left.legend(frameon=False, loc="upper right")
    for axes in (left, right):
        axes.set(xlabel=r"$\mathrm{Var}(R/\tau)$", xlim=(0, 2))


def _of(rows: Any, name: str) -> tuple[list[float], list[float]]:
    return tables.column(rows, "reward2"), tables.column(rows, name)
