"""Measure the pitfalls that docs/trust.md lists: what goes wrong, here, with these versions.

Run it after an upgrade: a line that no longer goes wrong can leave the page.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import flint
import mpmath
import numpy as np
import pytest
import sympy


def interval_arithmetic_of_mpmath() -> str:
    """How often mpmath's interval for exp leaves out the value that a ball proves."""
    mpmath.iv.prec, points = 53, 20_000
    misses = 0
    with flint.ctx.workprec(400):
        for x in np.random.default_rng(2).uniform(0.1, 50, points):
            low, high = (_exactly(end) for end in mpmath.iv.exp(mpmath.iv.mpf(float(x)))._mpi_)
            truth = flint.arb(float(x)).exp()
            misses += bool(truth < low or truth > high)
    return f"mpmath {version('mpmath')}: iv.exp leaves out e^x at {misses} of {points} points x"


def _exactly(raw: Any) -> Any:
    """Return the binary number sign, mantissa, exponent, bits as a ball of radius 0."""
    sign, mantissa, exponent, _ = raw
    return flint.arb(int(mantissa) * (-1) ** sign) * flint.arb(2) ** exponent


def square_of_a_ball() -> str:
    """What x**2 and x*x are for a ball around 0."""
    x = flint.arb(0, 1)
    return f"python-flint {version('python-flint')}: arb(0, 1)**2 is {x**2}, x*x is {x * x}"


def structural_equality() -> str:
    """What sympy's == says of two equal expressions."""
    x = sympy.symbols("x")
    same = (x + 1) ** 2 == x**2 + 2 * x + 1
    return f"sympy {version('sympy')}: (x + 1)**2 == x**2 + 2*x + 1 is {same}"


def central_limit_test() -> str:
    """How often a z-test of E[w^2] = e^sigma2 rejects, sigma2 = 4, n = 10,000."""
    rng = np.random.default_rng(0)
    n, runs = 10_000, 2_000
    alarms = 0
    for _ in range(runs):
        square = np.exp(4 * rng.standard_normal(n) - 4)
        alarms += abs(square.mean() - np.exp(4)) > 3.2905 * square.std() / n**0.5
    return (
        f"z-test of E[w^2] at a nominal 0.1%, sigma2 = 4, n = 10,000: rejects {alarms / runs:.0%}"
    )


def sample_ess() -> str:
    """The mean of the sample's ESS/n at gamma = 1 against the population's e^(-sigma2)."""
    rng = np.random.default_rng(1)
    log_w = 2 * rng.standard_normal((4_000, 64))
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    ess = (w.sum(1) ** 2 / (w * w).sum(1) / 64).mean()
    population = np.exp(-4)
    return f"mean sample ESS/n, sigma2 = 4, n = 64: {ess:.3f}; the population's: {population:.3f}"


def relative_tolerance() -> str:
    """How far from a small number pytest's approx lets another one be, asked for 14 digits."""
    gamma = 1e-3
    off = max(k for k in range(-16, 0) if gamma * (1 + 10.0**k) == pytest.approx(gamma, rel=1e-14))
    return f"pytest {version('pytest')}: approx({gamma}, rel=1e-14) allows an error of 1e{off}"


if __name__ == "__main__":
    for measure in (
        interval_arithmetic_of_mpmath,
        square_of_a_ball,
        structural_equality,
        central_limit_test,
        sample_ess,
        relative_tolerance,
    ):
        print(measure())
