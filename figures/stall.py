"""Training without a reward under the adaptive rule: where it stops, leaks, and gets out."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from experiments import runs
from figures import style, tables
from figures.tables import Row, Tables

CLAIMS = ("DYN.edge", "DYN.deadzone", "BAN.edge", "BAN.leak", "BAN.wayout", "BAN.pull")
CAPTION = """
    r = 1 and mu = N(0, 1), so that theta = 0 is imitation; rho = 0.3 and a step size of 0.05.
    Shaded, the dead zone |theta| <= 1.097. Left: exact training from seven starts. Right: training
    from theta = 2 in batches of n, the mean of |theta| over 256, 48 and 24 seeds: at the rule's
    gamma with plain weights, with self-normalised weights, and at gamma = 0. The gradient divided
    by 1 - gamma reaches 0 to rounding, and is in the table.
"""
SIZE = (style.PAGE, 2.7)
WAYS = ("plain", "self-normalised", "gamma 0", "divided")


def data() -> Tables:
    """Return exact paths and the mean paths in batches, by step."""
    document = json.loads((runs.HERE / "stall.json").read_text(encoding="utf-8"))
    steps, exact = document["settings"]["steps"], document["cells"]["exact, Gaussian"]
    # One look every so many steps, the first before or after the first step.
    looks = np.arange(len(exact["path"])) * (steps // len(exact["path"]))
    paths: list[Row] = [
        {"start": start, "step": float(step), "theta": look[k]}
        for k, start in enumerate(document["settings"]["starts"])
        for step, look in zip(looks, exact["path"], strict=True)
    ]
    batches: list[Row] = [
        {"way": row["way"], "n": float(row["n"]), "step": float(step), "theta": abs(theta)}
        for row in document["summary"]["batches"]
        if row["way"] in WAYS
        for step, theta in zip(looks, row["path"], strict=True)
    ]
    edge: list[Row] = [{"edge": exact["edge"]}]
    return {"exact": paths, "batches": batches, "edge": edge}


LOOK = {
    "plain": (style.BLUE, "plain"),
    "self-normalised": (style.ORANGE, "self-normalised"),
    "gamma 0": (style.BLACK, r"$\gamma = 0$"),
}
DASHES = {32.0: "-", 512.0: "--", 4096.0: ":"}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw exact paths on the left and batches on the right."""
    left, right = figure.subplots(1, 2)
    edge = float(sheets["edge"][0]["edge"])
    for start in dict.fromkeys(tables.column(sheets["exact"], "start")):
        rows = tables.where(sheets["exact"], start=start)
        left.plot(*(tables.column(rows, k) for k in ("step", "theta")), color=style.BLUE)
    left.axhspan(-edge, edge, color=style.GREY, alpha=0.2, lw=0)
    left.axhline(0, color=style.GREY, lw=0.5, ls="--")
    left.set(xlabel="step", ylabel=r"$\theta$, exact", xlim=(0, 500), ylim=(-2.2, 3.2))
    right.axhspan(0, edge, color=style.GREY, alpha=0.2, lw=0)
    for way, (color, words) in LOOK.items():
        for n, dash in DASHES.items():
            rows = tables.where(sheets["batches"], way=way, n=n)
            if rows:
                name = f"{words}, $n = {n:.0f}$"
                x, y = (tables.column(rows, k) for k in ("step", "theta"))
                right.plot(x, y, dash, color=color, label=name)
    right.set(xlabel="step", ylabel=r"mean $|\theta|$, in batches", xlim=(0, 6000), ylim=(0, 2))
    right.legend(frameon=False, loc="upper right", ncols=2, columnspacing=1)
