"""Where w^gamma leads, how fast, and gamma as a temperature: theory as lines, training as marks."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from experiments import runs
from experiments.bandit.fixed_point import PROBLEMS
from figures import style, tables
from figures.tables import Row, Tables
from isr_theory import formulas
from isr_theory.arithmetic import Real

CLAIMS = (
    "P5.3.fix",
    "OBJ.stability",
    "OBJ.temperature",
    "BAN.fixed",
    "BAN.rate",
    "BAN.temperature",
)
CAPTION = """
    Lines are theory, marks recorded training by exact natural gradients. Left: the policy at which
    w^gamma rests on three arms with mu = (0.6, 0.3, 0.1) and r = (1, 2, 4): mu r^(1/(1-gamma)).
    Middle: the rate of approach a step, -log(1 - 0.2 (1-gamma)) for a step size of 0.2, in three
    problems (the marks lie on each other). Right: with r = e^(R/tau), the slope of log pi/mu
    against R is 1/(tau (1-gamma)); each mark is the mean of 200 problems.
"""
SIZE = (style.PAGE, 2.4)
ARMS = "three arms"


def data() -> Tables:
    """Return the curves of the theory and what was recorded."""
    run, hot = (
        json.loads((runs.HERE / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("fixed_point", "temperature")
    )
    mu, reward = PROBLEMS[ARMS]
    step = run["settings"]["step"]
    curves: list[Row] = []
    for gamma in np.linspace(0, 0.95, 96).tolist():
        point = formulas.fixed_point(mu, reward, gamma, Real)
        curves.append(
            {
                "gamma": gamma,
                **{f"p{k}": p for k, p in enumerate(point, 1)},
                "rate": -math.log(1 - step * (1 - gamma)),
                "slope": 1 / (1 - gamma),
            }
        )
    rests: list[Row] = [
        {"gamma": gamma, **{f"p{k}": p for k, p in enumerate(cell["policy"], 1)}}
        for gamma in run["settings"]["gammas"]
        for cell in [run["cells"][f"{ARMS}, gamma {gamma:g}"]]
    ]
    rates: list[Row] = [
        {"problem": row["problem"], "gamma": row["gamma"], "rate": row["rate"]}
        for row in run["summary"]["rows"]
    ]
    slopes: list[Row] = [
        {"tau": row["tau"], "gamma": row["gamma"], "slope": row["slope"]}
        for row in hot["summary"]["hot"]
    ]
    return {"theory": curves, "rests": rests, "rates": rates, "slopes": slopes}


ARM_COLORS = (style.GREY, style.ORANGE, style.BLUE)
TAUS = {0.5: style.RED, 1.0: style.BLACK, 2.0: style.GREEN}
MARKS = {"two arms": "o", "three arms": "s", "five arms": "^"}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the rests, the rates and the temperature."""
    left, middle, right = figure.subplots(1, 3)
    gammas = tables.column(sheets["theory"], "gamma")
    places = ((0.2, 0.2), (0.57, 0.35), (0.42, 0.6))
    for k, (color, place) in enumerate(zip(ARM_COLORS, places, strict=True), 1):
        left.plot(gammas, tables.column(sheets["theory"], f"p{k}"), color=color)
        rests = sheets["rests"]
        left.plot(tables.column(rests, "gamma"), tables.column(rests, f"p{k}"), "o", color=color)
        left.text(*place, f"$r = {2 ** (k - 1)}$", color=color, size=7)
    middle.plot(gammas, tables.column(sheets["theory"], "rate"), color=style.BLACK)
    for problem, mark in MARKS.items():
        rows = tables.where(sheets["rates"], problem=problem)
        x, y = (tables.column(rows, k) for k in ("gamma", "rate"))
        middle.plot(x, y, mark, color=style.BLUE, mfc="none", mew=0.7, label=problem)
    for tau, color in TAUS.items():
        line = [slope / tau for slope in tables.column(sheets["theory"], "slope")]
        right.semilogy(gammas, line, color=color)
        rows = tables.where(sheets["slopes"], tau=tau)
        x, y = (tables.column(rows, k) for k in ("gamma", "slope"))
        right.plot(x, y, "o", color=color, label=rf"$\tau = {tau:g}$")
    middle.legend(frameon=False, loc="upper right", handlelength=1)
    right.legend(frameon=False, loc="upper left", handlelength=1)
    left.set(ylabel=r"policy at rest", ylim=(0, 1.02))
    middle.set(ylabel="rate of approach, a step", ylim=(0, 0.25))
    right.set(ylabel=r"slope of $\log\,\pi/\mu$ in $R$", ylim=(0.4, 50))
    for axes in (left, middle, right):
        axes.set(xlabel=r"$\gamma$", xlim=(-0.03, 1))
