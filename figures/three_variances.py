"""Three quantities that are called the variance, and where each of them is least."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from experiments.bandit.estimators import least
from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Real
from isr_theory.claims.x02_variance import EXCHANGED

CLAIMS = ("VAR.three", "C7.5.a", "C7.5.b", "C7.5.b.fix", "C7.5.c", "C7.5.c.fix")
CAPTION = """
    The second moment of w^gamma, the variance of w^gamma and the variance of the gradient w^gamma s
    at r = 1, this one over its value at gamma = 0, with the gamma at which each is least. Left: two
    arms that mu = (1/5, 4/5) and pi = (4/5, 1/5) exchange. Right: log-normal weights, a normal law
    in one dimension shifted by sigma = 1. The 1/4 of Corollary 7.5 belongs to the second moment and
    to nothing else.
"""
SIZE = (style.PAGE, 2.6)
GAMMAS = np.linspace(0, 0.8, 41)
SIGMA2 = 1.0
ARMS, NORMAL = "two arms", "log-normal"
MOMENT, WEIGHTS, GRADIENT = "moment", "weights", "gradient"


def two_arms(gamma: float) -> Mapping[str, float]:
    """Return the three on the exchanged arms, with one free logit: s = (pi_2, -pi_1)."""
    mu, pi, _ = EXCHANGED.numbers(Real)
    w = [Real.power(b / a, gamma) for a, b in zip(mu, pi, strict=True)]
    scores = (pi[1], -pi[0])

    def variance(values: Any) -> float:
        first, second = (sum(a * v**k for a, v in zip(mu, values, strict=True)) for k in (1, 2))
        return float(formulas.weight_variance(first, second))

    return {
        MOMENT: float(formulas.moment(mu, pi, 2 * gamma, Real)),
        WEIGHTS: variance(w),
        GRADIENT: variance([a * s for a, s in zip(w, scores, strict=True)]),
    }


def lognormal(gamma: float) -> Mapping[str, float]:
    """Return the three for a Gaussian that is shifted by sigma in one dimension."""
    return {
        MOMENT: float(formulas.second_moment_lognormal(SIGMA2, gamma, Real)),
        WEIGHTS: float(formulas.weight_variance_lognormal(SIGMA2, gamma, Real)),
        GRADIENT: float(formulas.gradient_variance_gaussian(SIGMA2, gamma, 1, Real)),
    }


def curves(case: str, gamma: float) -> dict[str, float]:
    """Return what is drawn."""
    found = dict(CASES[case](gamma))
    found[GRADIENT] /= CASES[case](0.0)[GRADIENT]
    return found


CASES: dict[str, Callable[[float], Mapping[str, float]]] = {ARMS: two_arms, NORMAL: lognormal}


def data() -> Tables:
    """Return the curves, and the least point of each."""
    rows: list[Row] = [
        {"case": case, "gamma": float(gamma), **curves(case, float(gamma))}
        for case in CASES
        for gamma in GAMMAS
    ]
    lows: list[Row] = []
    for case in CASES:
        for which in (MOMENT, WEIGHTS, GRADIENT):

            def curve(gammas: Any, case: str = case, which: str = which) -> Any:
                return torch.tensor(
                    np.array([curves(case, float(gamma))[which] for gamma in gammas])
                )

            # The search is as fine as 1e-8, and the variance is flat to rounding before that.
            gamma = round(least(curve, 81), 6)
            lows.append(
                {"case": case, "which": which, "gamma": gamma, **_value(case, which, gamma)}
            )
    return {"curves": rows, "least": lows}


def _value(case: str, which: str, gamma: float) -> dict[str, float]:
    return {"value": curves(case, gamma)[which]}


LOOK = {
    MOMENT: (style.BLUE, r"$\mathbb{E}_\mu[w^{2\gamma}]$"),
    GRADIENT: (style.RED, r"$\mathrm{Var}_\mu(w^\gamma s)/\mathrm{Var}_\mu(s)$"),
    WEIGHTS: (style.GREEN, r"$\mathrm{Var}_\mu(w^\gamma)$"),
}
PLACES = {
    (ARMS, MOMENT): (0.42, 1.12),
    (ARMS, GRADIENT): (0.27, 0.5),
    (ARMS, WEIGHTS): (0.53, 0.2),
    (NORMAL, MOMENT): (0.36, 1.05),
    (NORMAL, GRADIENT): (0.02, 0.45),
    (NORMAL, WEIGHTS): (0.58, 0.14),
}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the curves of both cases, with the least point of each curve."""
    titles = (r"two arms, exchanged", r"shifted normal law, $d = 1$, $\sigma = 1$")
    for axes, case, title in zip(figure.subplots(1, 2), CASES, titles, strict=True):
        rows = tables.where(sheets["curves"], case=case)
        for which, (color, words) in LOOK.items():
            axes.plot(tables.column(rows, "gamma"), tables.column(rows, which), color=color)
            axes.text(*PLACES[case, which], words, color=color, size=8)
            (low,) = tables.where(sheets["least"], case=case, which=which)
            gamma, value = float(low["gamma"]), float(low["value"])
            axes.plot((gamma, gamma), (-0.15, value), ":", color=color, lw=0.8)
            axes.plot(gamma, value, "o", color=color, ms=4, clip_on=False, zorder=4)
            name = r"$1/4$" if which == MOMENT else f"{gamma:.3g}"
            side, step = ("right", -0.01) if which == MOMENT else ("left", 0.012)
            axes.text(gamma + step, -0.02, name, color=color, size=7, ha=side, va="top")
        axes.set(xlabel=r"$\gamma$", title=title, xlim=(0, 0.8), ylim=(-0.15, 2.2))
