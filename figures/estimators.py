"""Where real estimators are least noisy and least wrong, from the recorded run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from experiments import runs
from figures import style, tables
from figures.tables import Row, Tables

CLAIMS = ("C7.5.c", "T7.6.a.fix", "BAN.quarter", "BAN.coded", "BAN.error", "BAN.drawn")
CAPTION = """
    Left: on 400 random problems with six arms, the share whose second moment of the weights, whose
    gradient variance, and whose self-normalised gradient variance is least at a gamma of at most
    this. Middle: the gamma of least mean squared error by the number of rows, for normal laws
    shifted in one dimension. Right: the variance of drawn estimators over what the formula says,
    100 seeds of 400 batches of 128 rows, with 95% intervals; sigma^2 = 1 in one dimension, plain
    and self-normalised, where the formula is the first order in 1/n.
"""
SIZE = (style.PAGE, 2.4)
WHICH = ("moment", "trace", "sn_trace")
SHIFTS = (0.25, 1.0, 4.0, 16.0)


def data() -> Tables:
    """Return distribution functions, least errors and the ratios of drawn to stated variances."""
    document = json.loads((runs.HERE / "estimators.json").read_text(encoding="utf-8"))
    found = document["cells"]["random problems"]
    shares: list[Row] = [
        {"which": which, "gamma": gamma, "share": float(np.mean(np.array(found[which]) <= gamma))}
        for which in WHICH
        for gamma in np.linspace(0, 1, 101).round(6).tolist()
    ]
    errors: list[Row] = [
        {"sigma2": sigma2, "n": float(n), "gamma": gamma}
        for sigma2 in SHIFTS
        for n, gamma in document["cells"][f"shift {sigma2:g}, d 1"]["least_error"].items()
    ]
    drawn: list[Row] = [
        {
            "which": which,
            "gamma": row["gamma"],
            **dict(zip(("ratio", "low", "high"), row[which], strict=True)),
        }
        for row in document["summary"]["sampled"]
        if (row["sigma2"], row["d"]) == (1.0, 1)
        for which in ("trace", "sn_trace")
    ]
    return {"shares": shares, "errors": errors, "drawn": drawn}


LOOK = {
    "moment": (style.BLUE, r"$\mathbb{E}_\mu[w^{2\gamma}]$"),
    "trace": (style.RED, "gradient"),
    "sn_trace": (style.BLACK, "self-normalised"),
}
SHADES = {0.25: style.SKY, 1.0: style.ORANGE, 4.0: style.GREEN, 16.0: style.RED}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the three side by side."""
    left, middle, right = figure.subplots(1, 3)
    for which, (color, words) in LOOK.items():
        rows = tables.where(sheets["shares"], which=which)
        left.plot(*(tables.column(rows, k) for k in ("gamma", "share")), color=color, label=words)
    left.axvline(0.25, color=style.GREY, lw=0.5, ls="--")
    left.set(xlabel=r"$\gamma$ of the least", ylabel="share of problems", ylim=(0, 1.02))
    left.legend(frameon=False, loc="lower right", handlelength=1.2, bbox_to_anchor=(1, 0.02))
    for sigma2, color in SHADES.items():
        rows = tables.where(sheets["errors"], sigma2=sigma2)
        words = rf"$\sigma^2 = {sigma2:g}$"
        middle.semilogx(
            *(tables.column(rows, k) for k in ("n", "gamma")),
            "o-",
            color=color,
            ms=2.5,
            label=words,
        )
    middle.set(xlabel="rows $n$", ylabel=r"$\gamma$ of least error", ylim=(0, 1.03))
    middle.legend(frameon=False, loc="lower right", handlelength=1.2)
    for which, shift in (("trace", -0.012), ("sn_trace", 0.012)):
        rows = tables.where(sheets["drawn"], which=which)
        ratio, low, high = (np.array(tables.column(rows, k)) for k in ("ratio", "low", "high"))
        at = np.array(tables.column(rows, "gamma")) + shift
        color, words = LOOK[which]
        bars = {"elinewidth": 0.8, "color": color, "ms": 3, "fmt": "o", "label": words}
        right.errorbar(at, ratio, yerr=(ratio - low, high - ratio), **bars)
    right.axhline(1, color=style.GREY, lw=0.5)
    right.set(xlabel=r"$\gamma$", ylabel="drawn over formula", ylim=(0.88, 1.12))
    right.legend(frameon=False, loc="upper left", handlelength=1.2)
