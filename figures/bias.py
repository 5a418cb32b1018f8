"""Bias(gamma) = KL(p* || p_gamma), its slope and its bend, for three pairs of laws."""

from __future__ import annotations

from typing import Any

import numpy as np

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Real
from isr_theory.models import RARE_ARM, THREE_ARMS, TWO_ARMS

CLAIMS = ("T7.2.a", "T7.2.b", "T7.2.b.fix", "PROP7.2.a", "PROP7.2.b")
CAPTION = """
    Bias(gamma) = KL(p* || p_gamma) for three pairs of mu and p* on two, three and four arms. Left:
    it falls to 0 at gamma = 1. Middle: its slope, negative before gamma = 1 and exactly 0 there,
    where the paper prints a negative one. Right: its bend, the variance of log p*/mu under p_gamma,
    which is positive: Bias is convex.
"""
SIZE = (style.PAGE, 2.2)
GAMMAS = np.linspace(0, 1, 51)
LAWS = {"two arms": TWO_ARMS, "three arms": THREE_ARMS, "four arms": RARE_ARM}


def data() -> Tables:
    """Return Bias, Bias' and Bias'', one row a pair and gamma."""
    rows: list[Row] = []
    for name, law in LAWS.items():
        mu, target, _ = law.numbers(Real)
        log_ratio = np.array([np.log(b / a) for a, b in zip(mu, target, strict=True)])
        for gamma in GAMMAS.tolist():
            path = np.array(formulas.geometric_path(mu, target, gamma, Real))
            first, second = path @ log_ratio, path @ log_ratio**2
            rows.append(
                {
                    "law": name,
                    "gamma": gamma,
                    "bias": _exact_zero(formulas.bias(mu, target, gamma, Real)),
                    "slope": _exact_zero(formulas.bias_slope(mu, target, gamma, Real)),
                    "bend": float(formulas.weight_variance(first, second)),
                }
            )
    return {"bias": rows}


def _exact_zero(x: float) -> float:
    """Return 0 for what rounding leaves of it at gamma = 1."""
    return 0.0 if abs(x) < 1e-14 else float(x)


COLORS = {"two arms": style.ORANGE, "three arms": style.BLUE, "four arms": style.GREEN}
NAMES = {
    "bias": r"$\mathrm{Bias}(\gamma)$, nats",
    "slope": r"$\mathrm{Bias}'(\gamma)$",
    "bend": r"$\mathrm{Bias}''(\gamma)$",
}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the three side by side."""
    panels = figure.subplots(1, 3)
    for axes, which in zip(panels, NAMES, strict=True):
        for law, color in COLORS.items():
            rows = tables.where(sheets["bias"], law=law)
            axes.plot(*(tables.column(rows, k) for k in ("gamma", which)), color=color, label=law)
        axes.set(xlabel=r"$\gamma$", ylabel=NAMES[which], xlim=(0, 1))
    panels[0].set_ylim(bottom=0)
    panels[1].plot(1, 0, "o", color=style.BLACK, ms=3.5, clip_on=False, zorder=4)
    panels[1].text(0.99, -2.9, r"slope 0 at $\gamma = 1$", size=7, ha="right")
    panels[1].set_ylim(top=0)
    panels[2].set_ylim(bottom=0)
    panels[0].legend(frameon=False, loc="upper right", handlelength=1.4)
