"""ESS/n of w^gamma on a language model's log, beside the closed form and the cumulants."""

from __future__ import annotations

from typing import Any

from figures import distances, style
from figures.tables import Row, Tables

CLAIMS = ("LM.ess.law", "LM.ess.cumulant")
CAPTION = """
    Left: -log(ESS/n) of w^gamma over gamma^2 sigma^2, for 20 gammas up to 1 and policies at growing
    distance from mu, on the task with the longest responses; log-normal weights lie on the
    diagonal, and right of the dotted line ESS/n is below 0.3. Right: how far the closed form is off
    up to that line, root mean square of its ratio to the truth less 1, and what is left with the
    third and fourth cumulant, by policy and task: below the diagonal the cumulants help, below the
    dashed line they take half of it away.
"""
SIZE = (style.PAGE, 2.9)


def data() -> Tables:
    """Return the curves of the longest task and how far both series are off, from the run."""
    curves: list[Row] = []
    off: list[Row] = []
    for name, cell in distances.cells("ess_law"):
        row = cell["scopes"][distances.longest(cell)]
        for i, gamma in enumerate(row["gammas"]):
            both = {k: row[k][i][0] for k in ("deficit", "closed", "cumulant")}
            curves.append({"policy": name, "gamma": gamma, **both})
        for scope, found in cell["scopes"].items():
            errors = {k: found["off"][k][0] for k in ("closed", "cumulant")}
            off.append({"policy": name, "task": scope, **errors})
    return {"curves": curves, "off": off}


def draw(tables: Tables, figure: Any) -> None:
    """Draw truth against the closed form, and both series' errors."""
    curve, error = figure.subplots(1, 2)
    rows = tables["curves"]
    names = distances.policies(rows)
    for policy in names:
        own = distances.where(rows, policy=policy)
        look = {
            "color": distances.color(names, policy),
            "ms": 2,
            "lw": 0.8,
            "label": policy.upper(),
        }
        curve.plot(distances.column(own, "closed"), distances.column(own, "deficit"), "o-", **look)
    both = distances.column(rows, "closed")
    line = [min(both), max(both)]
    curve.plot(line, line, color=style.GREY, lw=0.6)
    curve.axvline(1.204, color=style.GREY, lw=0.6, ls=":")
    curve.set(
        xscale="log",
        yscale="log",
        xlabel=r"$\gamma^2\sigma^2$",
        ylabel=r"$-\log\,(\mathrm{ESS}/n)$",
    )
    curve.legend(frameon=False, handlelength=1.2)
    shown = {**distances.TASKS, "all": ("D", "all")}
    for task, (mark, words) in shown.items():
        own = distances.where(tables["off"], task=task)
        for row in own:
            color = distances.color(names, str(row["policy"]))
            error.plot(float(row["closed"]), float(row["cumulant"]), mark, color=color, ms=4)
        error.plot([], [], mark, color=style.GREY, label=words)
    sizes = distances.column(tables["off"], "closed")
    line = [min(sizes), max(sizes)]
    error.plot(line, line, color=style.GREY, lw=0.6)
    error.plot(line, [x / 2 for x in line], color=style.GREY, lw=0.6, ls="--")
    error.set(
        xscale="log", yscale="log", xlabel="closed form off by", ylabel="off by with cumulants"
    )
    error.xaxis.set_minor_formatter("")
    error.legend(frameon=False, handlelength=1.2)
