"""Long sequences: the rule's ESS, the log-normal moments, token weights, and averaged gammas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Real

CLAIMS = (
    *("SEQ.exact", "SEQ.moments", "SEQ.moments.fix", "SEQ.token", "SEQ.token.fix"),
    *("DYN.pooling", "DYN.pooling.fix"),
)
CAPTION = """
    Sequences of T independent tokens on two arms, from mu = (1-p, p) to pi, rho = 0.3. Top left:
    ESS/n at the closed form's gamma tends to the target for every token law, from below where a
    token's log w is skewed to the right. Top right: at gamma = 1 the log-normal formula for E[w^2]
    is off by a factor whose logarithm grows with T. Bottom left: with one weight a token, the
    factor E_mu[w_u^gamma] of all the other tokens is lost, which the sequence's gradient has (mu =
    (0.9, 0.1), pi = (0.7, 0.3)). Bottom right: two micro-batches with variances 4 and 4 k^2 of
    log w: the mean of their gammas is above the gamma of their union.
"""
SIZE = (style.PAGE, 4.3)
RHO = 0.3
TOKENS = {
    "right-skewed": ((0.9, 0.1), (0.7, 0.3)),
    "symmetric": ((0.5, 0.5), (0.6, 0.4)),
    "left-skewed": ((0.7, 0.3), (0.9, 0.1)),
}
LENGTHS = np.unique(np.geomspace(1, 3000, 46).astype(int)).tolist()
SHORT = range(1, 101, 3)
GAMMAS = (0.25, 0.5, 0.75)


def variance(mu: Any, pi: Any) -> float:
    """Return Var_mu(log w) of a token."""
    log_w = [math.log(b / a) for a, b in zip(mu, pi, strict=True)]
    first, second = (sum(a * x**k for a, x in zip(mu, log_w, strict=True)) for k in (1, 2))
    return float(formulas.weight_variance(first, second))


def data() -> Tables:
    """Return the four panels' tables."""
    lengths: list[Row] = []
    off: list[Row] = []
    for name, (mu, pi) in TOKENS.items():
        sigma2 = variance(mu, pi)
        for length in LENGTHS:
            gamma = formulas.gamma_lognormal(length * sigma2, RHO, Real)
            first, second = (formulas.moment(mu, pi, k * gamma, Real) for k in (1, 2))
            # Moments of independent tokens multiply: so do the ESS/n.
            ess = formulas.ess_from_moments(first, second) ** length
            lengths.append(
                {
                    "law": name,
                    "length": float(length),
                    "gamma": float(gamma),
                    "ess": float(ess),
                }
            )
        token = math.log10(formulas.moment(mu, pi, 2, Real))
        normal = math.log10(formulas.lognormal_moment(sigma2, 2, Real))
        off += [{"law": name, "length": float(n), "off": n * (token - normal)} for n in SHORT]
    mu, pi = TOKENS["right-skewed"]
    others: list[Row] = [
        {
            "gamma": gamma,
            "length": float(length),
            "factor": float(formulas.moment(mu, pi, gamma, Real) ** (length - 1)),
        }
        for gamma in GAMMAS
        for length in SHORT
    ]
    pooled: list[Row] = []
    for ratio in np.geomspace(1, 10, 41).tolist():
        variances = (4.0, 4.0 * ratio**2)
        each = [float(formulas.gamma_lognormal(v, RHO, Real)) for v in variances]
        union = float(formulas.gamma_lognormal(sum(variances) / 2, RHO, Real))
        pooled.append({"ratio": ratio, "mean": sum(each) / 2, "union": union})
    return {"lengths": lengths, "moments": off, "others": others, "pooled": pooled}


COLORS = {"right-skewed": style.RED, "symmetric": style.BLACK, "left-skewed": style.BLUE}
SHADES = {0.25: style.SKY, 0.5: style.ORANGE, 0.75: style.GREEN}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the four panels."""
    (rule, moments), (token, pooling) = figure.subplots(2, 2)
    for law, color in COLORS.items():
        rows = tables.where(sheets["lengths"], law=law)
        length = tables.column(rows, "length")
        rule.semilogx(length, tables.column(rows, "ess"), color=color, label=law)
        rows = tables.where(sheets["moments"], law=law)
        moments.plot(*(tables.column(rows, k) for k in ("length", "off")), color=color)
    rule.axhline(RHO, color=style.GREY, lw=0.5)
    rule.text(1.1, 0.31, "target", size=7, color=style.GREY)
    rule.set(ylabel=r"ESS/$n$ at the rule's $\gamma$", ylim=(0, 1.02))
    rule.legend(frameon=False, loc="upper right")
    moments.set_ylabel(r"$\log_{10}$ of $\mathbb{E}_\mu[w^2]$ / formula")
    moments.axhline(0, color=style.GREY, lw=0.5)
    moments.set_xlim(0, 100)
    for gamma, color in SHADES.items():
        rows = tables.where(sheets["others"], gamma=gamma)
        words = rf"$\gamma = {gamma:g}$"
        token.semilogy(
            *(tables.column(rows, k) for k in ("length", "factor")), color=color, label=words
        )
    token.set(ylabel="factor that token weights lose", xlim=(0, 100))
    token.legend(frameon=False, loc="lower left")
    ratio = tables.column(sheets["pooled"], "ratio")
    pooling.semilogx(ratio, tables.column(sheets["pooled"], "mean"), "--", color=style.RED)
    pooling.semilogx(ratio, tables.column(sheets["pooled"], "union"), color=style.BLUE)
    pooling.text(4.2, 0.37, "mean of the two", size=7, color=style.RED)
    pooling.text(2.3, 0.14, "union", size=7, color=style.BLUE)
    pooling.set(xlabel="ratio $k$ of the standard deviations", ylabel=r"$\gamma^*$", ylim=(0, 0.6))
    pooling.set_xticks((1, 2, 5, 10), labels=("1", "2", "5", "10"))
    pooling.minorticks_off()
    for axes in (rule, moments, token):
        axes.set_xlabel("length $T$ in tokens")
