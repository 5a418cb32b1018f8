"""What the rule for gamma asks for, and the two answers to it that need no search.

    -log(ESS/n) = log n + log sum w^(2 gamma) - 2 log sum w^gamma = -log rho_min

Kantorovich's inequality gives the gamma that every sample of a range can bear; the first cumulants
of log w give a polynomial in gamma.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from isr_theory.logspace import namespace

Method = Literal["auto", "lognormal", "cumulant", "exact"]
METHODS = ("auto", "lognormal", "cumulant", "exact")

# The 95% point of chi-square with two degrees of freedom: the limit of Jarque and Bera's statistic.
NORMAL = 5.991464547107979
# How far the sample's -log ESS may be from its target for the cumulants to be believed.
NEAR = 0.05
# Three to six Newton steps are typical. On a bracket of ratio 1e4 plain halving needs 60 to exhaust
# float64, which bounds what can happen.
MAX_STEPS = 64


def check_rule(rho_min: float, method: str, gamma_min: float, gamma_max: float) -> None:
    """Raise ValueError for a target, a method or a range of gamma that means nothing."""
    if not 0 < rho_min < 1:
        raise ValueError(f"rho_min must be in (0, 1), not {rho_min}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if not 0 <= gamma_min <= gamma_max <= 1:
        raise ValueError(
            f"bounds must satisfy 0 <= gamma_min <= gamma_max <= 1, not {gamma_min} and {gamma_max}"
        )


def safe_gamma(spread: Any, target: Any) -> Any:
    """Return (2/R) arcosh(rho^(-1/2)): the gamma that is feasible for every sample of range R."""
    # arcosh(e^(L/2)) = log(e^(L/2) + sqrt(e^L - 1)), written for small L.
    root = np.sqrt(np.expm1(target))
    return 2 * np.log1p(np.expm1(target / 2) + root) / spread


def cumulant_gamma(second: Any, third: Any, fourth: Any, target: float) -> Any:
    """Solve k2 g^2 + k3 g^3 + 7/12 k4 g^4 = target for its first root; without one, drop k3, k4.

    log(ESS/n) = 2K(g) - K(2g) in cumulants of log w. In x = g / g0, g0 the closed form's gamma,
    the series is x^2 + b x^3 + c x^4 = 1. It must rise on (0, x], or the root is of the cut series
    and not of the ESS.
    """
    xp = namespace(second)
    start = math.sqrt(target) / xp.sqrt(second)
    # Standardised first: cumulants of a law of spread 1e-155 are below the least float.
    b, c = third / second * start, 7 / 12 * (fourth / second * start) * start
    x = xp.ones_like(start)
    for _ in range(12):
        value = x * x * (1 + x * (b + c * x)) - 1
        slope = x * (2 + x * (3 * b + 4 * c * x))
        # A step may at most halve or double x, which keeps it from leaving for another root; where
        # the series falls, the part that rises from 0 is further down.
        step = (x - value / xp.where(slope > 0, slope, 1.0)).clip(x / 2, 2 * x)
        x = xp.where(slope > 0, step, x / 2)
    solved = xp.abs(x * x * (1 + x * (b + c * x)) - 1) < 1e-6
    # The slope over x, a quadratic, is positive at 0: it stays so if it is at x and at its bottom.
    bottom = (-3 * b / xp.where(c != 0, 8 * c, 1.0)).clip(0.0 * x, x)
    rising = (2 + x * (3 * b + 4 * c * x) > 0) & (2 + bottom * (3 * b + 4 * c * bottom) > 0)
    return start * xp.where(solved & rising, x, 1.0)
