"""gamma as a temperature in a language model: slopes of log(pi/mu) against the reward."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from experiments import runs
from figures import style
from figures.tables import Row, Tables

CLAIMS = ("LM.temperature.slope", "LM.temperature.order")
CAPTION = """
    A small decoder trained to the end with rewards e^(R/tau): the slope of log(pi/mu) against R
    within prompts. Left, means over seeds with 95% intervals: on all answers by mu's own
    probabilities; lines are 1/(tau (1-gamma)). Right: on five logs of 8,192 that were drawn, tau =
    1, each by itself; crosses are what the best free policy would have on the same logs. At gamma =
    3/4 one of them leads to another answer.
"""
SIZE = (style.PAGE, 2.9)
COLORS = {1.0: style.BLUE, 2.0: style.RED}


def data() -> Tables:
    """Return the mean slopes on all answers, and each log's own on those that were drawn."""
    document = json.loads((runs.HERE / "lm_temperature.json").read_text(encoding="utf-8"))
    whole: list[Row] = []
    drawn: list[Row] = []
    for row in document["summary"]["rows"]:
        tau, gamma = row["tau"], row["gamma"]
        if row["log"] == "whole":
            value, low, high = row["slope"]
            whole.append({"tau": tau, "gamma": gamma, "slope": value, "low": low, "high": high})
            continue
        cell = document["cells"][f"drawn, tau {tau:g}, gamma {gamma:g}"]
        pairs = zip(cell["slope"], cell["free"], strict=True)
        for seed, (slope, free) in enumerate(pairs):
            drawn.append({"seed": seed, "tau": tau, "gamma": gamma, "slope": slope, "free": free})
    return {"whole": whole, "drawn": drawn}


def draw(tables: Tables, figure: Any) -> None:
    """Draw slopes over gamma, on all answers and on each log that was drawn."""
    left, right = figure.subplots(1, 2)
    grid = [i / 200 for i in range(161)]
    for tau, color in COLORS.items():
        own = [row for row in tables["whole"] if float(row["tau"]) == tau]
        gammas, slopes, low, high = (_column(own, x) for x in ("gamma", "slope", "low", "high"))
        ends = [
            [slope - end for slope, end in zip(slopes, low, strict=True)],
            [end - slope for slope, end in zip(slopes, high, strict=True)],
        ]
        left.plot(grid, [1 / (tau * (1 - g)) for g in grid], color=color, lw=0.8)
        label = rf"$\tau = {tau:g}$"
        left.errorbar(gammas, slopes, ends, fmt="o", color=color, ms=3.5, lw=1, label=label)
    right.plot(grid, [1 / (1 - g) for g in grid], color=style.BLUE, lw=0.8)
    own = list(tables["drawn"])
    # Beside one another, so that a log can be followed from gamma to gamma.
    at = [float(row["gamma"]) + 0.012 * (float(row["seed"]) - 2) for row in own]
    right.plot(at, _column(own, "slope"), "o", color=style.BLUE, ms=3, label=r"$\tau = 1$, a log")
    right.plot(at, _column(own, "free"), "x", color=style.BLACK, ms=4, label="free policy")
    for axes, title in ((left, "all answers"), (right, "logs that were drawn")):
        axes.set(title=title, xlabel=r"$\gamma$")
        axes.legend(frameon=False)
    left.set_ylim(0, 5.2)
    left.set_ylabel(r"slope of $\log(\pi/\mu)$ against $R$")


def _column(rows: Sequence[Row], name: str) -> list[float]:
    return [float(row[name]) for row in rows]
