"""E_mu[w^alpha] = exp((alpha - 1) D_alpha): the identity, and what a sample sees of it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas, weights
from isr_theory.arithmetic import Real
from isr_theory.models import RARE_ARM, GaussianShift

CLAIMS = ("T6.2", "REM6.1", "T6.3.b", "REN.gaussian")
CAPTION = """
    log E_mu[w^alpha] against the order. The line is (alpha - 1) D_alpha, with D_alpha in closed
    form; the marks are means over n rows drawn from mu, one sample each (seed 6). Left: four arms,
    the rarest with chance 1/100 and a weight of 40. Right: log-normal weights with sigma^2 = 4. The
    identity is exact; a sample strays from it where a few large weights rule, and past order 2,
    which is gamma = 1, all three fall short.
"""
SIZE = (style.PAGE, 2.5)
SEED = 6
SIGMA2 = 4
SHIFT = GaussianShift(Fraction(SIGMA2))
ORDERS = np.linspace(0, 3, 31)
SIZES = (100, 10_000, 1_000_000)
ARMS, NORMAL = "four arms", "log-normal"


def data() -> Tables:
    """Return the identity's right side, and log-means of samples."""
    exact: list[Row] = [
        {"law": law, "alpha": float(a), "log_moment": right_side(law, float(a))}
        for law in (ARMS, NORMAL)
        for a in ORDERS
    ]
    rng = np.random.default_rng(SEED)
    seen: list[Row] = []
    for n in SIZES:
        of_arms = RARE_ARM.log_w()[RARE_ARM.sample(rng, n)]
        of_normal = SHIFT.log_w(SHIFT.sample(rng, n))
        for law, log_w in ((ARMS, of_arms), (NORMAL, of_normal)):
            found = weights.log_moments(log_w, 0.2, 16)
            seen += [
                {"law": law, "n": float(n), "alpha": 0.2 * k, "log_moment": float(x)}
                for k, x in enumerate(found)
            ]
    return {"identity": exact, "samples": seen}


def right_side(law: str, alpha: float) -> float:
    """Return (alpha - 1) D_alpha."""
    if alpha == 1:
        # D_1 is finite.
        return 0.0
    mu, pi, _ = RARE_ARM.numbers(Real)
    moment = (
        formulas.lognormal_moment(SIGMA2, alpha, Real)
        if law == NORMAL
        else formulas.moment(mu, pi, alpha, Real)
    )
    divergence = formulas.renyi(moment, alpha, Real)
    return float(np.log(formulas.moment_from_renyi(divergence, alpha, Real)))


LOOK = {
    100.0: (style.RED, "v", "$n = 100$"),
    10_000.0: (style.ORANGE, "o", "$n = 10^4$"),
    1_000_000.0: (style.BLUE, "s", "$n = 10^6$"),
}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw both laws side by side."""
    for axes, law, title in zip(
        figure.subplots(1, 2),
        (ARMS, NORMAL),
        ("four arms", r"log-normal weights, $\sigma^2 = 4$"),
        strict=True,
    ):
        rows = tables.where(sheets["identity"], law=law)
        at, size = (tables.column(rows, name) for name in ("alpha", "log_moment"))
        axes.plot(at, size, color=style.BLACK, label=r"$(\alpha - 1)\,D_\alpha$")
        for n, (color, mark, words) in LOOK.items():
            rows = tables.where(sheets["samples"], law=law, n=n)
            at, size = (tables.column(rows, name) for name in ("alpha", "log_moment"))
            axes.plot(at, size, mark, color=color, mfc="none", ms=3.5, mew=0.8, label=words)
        axes.set(xlabel=r"order $\alpha = 2\gamma$", title=title, xlim=(-0.05, 3.05))
        axes.set_ylabel(r"$\log\,\mathbb{E}_\mu[w^\alpha]$")
        axes.legend(frameon=False, loc="upper left")
