"""The length-normalised weights as gamma against the length, beside the rule's gamma and w."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from figures import style
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Real
from isr_theory.training.atlas import ATLAS

CLAIMS = ("SEQ.length", "SEQ.gspo", "SEQ.moments.fix", "T8.2")
CAPTION = """
    Left: the power of w that a weight is for sequences of T tokens. GSPO, GMPO and iw-SFT (t = 1)
    are 1/T, P-GSPO is T^-a, shown at a = 1/2 and 3/4, and the rule gamma* = sqrt(log(1/rho)/(T
    sigma1^2)) falls like T^(-1/2); rho = 0.3, and sigma1 = 0.1 is the standard deviation of a
    token's log-ratio, which is normal here, so that the log-normal law is exact at every T. Right:
    the ESS/n that is left. w loses all of it, the rule keeps rho, and 1/T keeps all, having given
    up the correction.
"""
SIZE = (style.PAGE, 2.9)
RHO, SIGMA = 0.3, 0.1
# With the length at which the rule leaves 1, so that its bend is drawn as one.
LENGTHS = np.sort(np.append(np.geomspace(1, 1e5, 61), np.log(1 / RHO) / SIGMA**2))
P_GSPO = (0.5, 0.75)
GSPO, HALF, STEEP, RULE, PLAIN = "gspo", "p_gspo 0.5", "p_gspo 0.75", "rule", "w"


def data() -> Tables:
    """Return gamma and log10(ESS/n), one row a weight and length."""
    rows = [_row(name, length) for name in (PLAIN, HALF, STEEP, GSPO, RULE) for length in LENGTHS]
    # Those that are drawn as one line, to show that they are one.
    same: list[Row] = [
        {"key": key, "length": float(length), "gamma": _gamma(key, length, 0.0)}
        for key in ("gspo", "gmpo", "iw_sft")
        for length in LENGTHS[::10]
    ]
    return {"gamma": rows, "one_over_length": same}


def _row(name: str, length: float) -> Row:
    sigma2 = length * SIGMA**2
    gamma = _gamma(name, length, sigma2)
    # log ESS/n = -gamma^2 sigma2: the formula's exponential would be 0 for w.
    return {
        "name": name,
        "length": length,
        "gamma": gamma,
        "log10_ess": float(-sigma2 * gamma**2 / np.log(10)),
    }


def _gamma(name: str, length: float, sigma2: float) -> float:
    if name == PLAIN:
        return 1.0
    if name == RULE:
        return float(formulas.gamma_lognormal(sigma2, RHO, Real))
    key, _, a = name.partition(" ")
    entry = ATLAS[key]
    p = entry.settings(a=float(a)) if a else entry.parameters
    gamma: Any = entry.gamma
    return float(gamma(torch.tensor(length, dtype=torch.float64), p))


LOOK = {
    PLAIN: (style.BLACK, "-", "$w$: $\\gamma = 1$"),
    RULE: (style.BLUE, "-", r"$\gamma^* \sim T^{-1/2}$"),
    HALF: (style.ORANGE, "--", "P-GSPO, $a = 1/2$"),
    STEEP: (style.ORANGE, ":", "P-GSPO, $a = 3/4$"),
    GSPO: (style.GREEN, "-", "GSPO, GMPO, iw-SFT: $1/T$"),
}


def draw(tables: Tables, figure: Any) -> None:
    """Draw gamma on the left and what is left of the sample on the right."""
    left, right = figure.subplots(1, 2)
    for name, (color, dash, words) in LOOK.items():
        rows = [row for row in tables["gamma"] if row["name"] == name]
        lengths = [row["length"] for row in rows]
        left.loglog(lengths, [row["gamma"] for row in rows], dash, color=color, label=words)
        ess = [10 ** float(row["log10_ess"]) for row in rows]
        right.semilogx(lengths, ess, dash, color=color)
    left.set(ylabel=r"$\gamma$", ylim=(5e-6, 2.5))
    left.legend(frameon=False, loc="lower left")
    right.axhline(RHO, color=style.GREY, lw=0.4)
    right.text(1.3, RHO + 0.02, r"$\rho = 0.3$", size=7, color=style.GREY)
    right.set(ylabel=r"population ESS/$n$", ylim=(-0.02, 1.06))
    for axes in (left, right):
        axes.set(xlabel="length $T$ in tokens", xlim=(1, 1e5))
