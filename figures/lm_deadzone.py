"""The dead zone in a language model: the way back to mu that stops at its edge."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

from experiments import runs, statistics
from figures import style
from figures.tables import Row, Tables

CLAIMS = ("LM.deadzone", "LM.deadzone.nats", "LM.deadzone.rescale", "LM.deadzone.finite")
CAPTION = """
    A small decoder away from mu, without a reward: Var log w by steps of training on mu's answers,
    interquartile means over seeds, each dash pattern a start. The grey line is -log 0.3, where the
    rule's gamma reaches 1. Left: all answers by mu's own probabilities, where gamma = 1 has no
    gradient. Right: logs that were drawn, on which it has one, for the mean of w over a finite log
    has no maximum.
"""
SIZE = (style.PAGE, 2.9)
WAYS = (
    ("rule", r"$\gamma^*$", style.BLUE),
    ("gamma 1", r"$\gamma = 1$", style.RED),
    ("gamma 0.5", r"$\gamma = 1/2$", style.GREEN),
    ("rescale", r"$\gamma^*$, over $1 - \gamma^*$", style.ORANGE),
)
LOGS = (("whole", "all answers"), ("drawn", "a log that was drawn"))
DASHES = ("-", "--", ":")


def data() -> Tables:
    """Return the paths: a row a log, start, way and point."""
    document = json.loads((runs.HERE / "lm_deadzone.json").read_text(encoding="utf-8"))
    settings = document["settings"]
    rows: list[Row] = []
    every = max(1, settings["steps"] // settings["points"])
    kinds = itertools.product(settings["logs"], settings["starts"])
    for (log, start), way in itertools.product(kinds, settings["ways"]):
        cells = (
            document["cells"][f"{log}, start {start:g}, {seed}"]
            for seed in range(settings["seeds"])
        )
        paths = [cell[way] for cell in cells]
        for i in range(len(paths[0]["kl"])):
            row: dict[str, str | float] = {"log": log, "start": start, "way": way}
            row["step"] = i * every
            for name in ("kl", "sigma2", "gamma"):
                row[name] = statistics.iqm([path[name][i] for path in paths])
            rows.append(row)
    return {"paths": rows}


def draw(tables: Tables, figure: Any) -> None:
    """Draw the variance of log w by steps, a log a panel."""
    panels = figure.subplots(1, 2, sharey=True)
    starts = sorted({row["start"] for row in tables["paths"]}, key=float)
    for axes, (log, title) in zip(panels, LOGS, strict=True):
        for way, name, color in WAYS:
            for start, dash in zip(starts, DASHES, strict=True):
                wanted = (log, way, start)
                rows = [r for r in tables["paths"] if (r["log"], r["way"], r["start"]) == wanted]
                steps, spread = ([float(r[x]) for r in rows] for x in ("step", "sigma2"))
                label = name if dash == "-" else None
                # In the dead zone the rule is gamma = 1: its line lies upon a wider one.
                width, over = (1.7, 1) if way == "gamma 1" else (1.0, 2)
                axes.plot(steps, spread, color=color, ls=dash, lw=width, zorder=over, label=label)
        axes.axhline(-math.log(0.3), color=style.GREY, lw=0.6, zorder=0)
        axes.set(yscale="log", title=title, xlabel="steps")
    panels[0].set_ylabel(r"Var$_\mu$ log $w$")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", frameon=False)
