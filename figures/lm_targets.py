"""ESS targets out of sample: which rule for gamma keeps its own, by the size of the batch."""

from __future__ import annotations

import math
from typing import Any

from figures import distances, style
from figures.tables import Row, Tables

CLAIMS = (
    "LM.target.closed",
    "LM.target.safe",
    "LM.target.exact",
    "LM.target.kantorovich",
    "LM.target.cumulant",
)
CAPTION = """
    gamma chosen from a batch of some prompts, ESS/n measured on the others' sequences; means over
    policies and targets of 0.3, 0.5 and 0.7 that gamma = 1 misses. Left and middle: the share of
    batches whose gamma meets its target, on the longest task and on all tasks together; grey: 95%,
    which the safe rule promises for normal log w. Right: the median of log ESS over its target on
    the longest task, 1 where it is just met, above it where gamma was too large.
"""
SIZE = (style.PAGE, 2.6)
LINES = (
    ("lognormal", "closed form", style.BLACK, "o"),
    ("cumulant", "cumulants", style.ORANGE, "s"),
    ("exact", "exact ESS", style.RED, "^"),
    ("safe", "upper bound of the variance", style.BLUE, "v"),
    ("kantorovich", "range of the batch", style.GREEN, "D"),
)


def data() -> Tables:
    """Return the rows of the run, on the longest task and on all tasks."""
    rows: list[Row] = []
    for name, cell in distances.cells("targets"):
        for scope in (distances.longest(cell), "all"):
            for row in cell["scopes"][scope]["rows"]:
                own = {k: row[k] for k in ("n", "rho_min", "rule")}
                found = {"met": row["met"][0], "middle": row["middle"][0], "gamma": row["gamma"]}
                where = "all" if scope == "all" else "longest"
                rows.append({"policy": name, "task": where, **own, **found})
    return {"rows": rows}


def draw(tables: Tables, figure: Any) -> None:
    """Draw the shares that are met, and the medians."""
    longest, mixed, middle = figure.subplots(1, 3)
    rows = tables["rows"]
    for rule, words, color, mark in LINES:
        look = {"color": color, "marker": mark, "ms": 3.5, "lw": 0.9, "label": words}
        for axes, task, name in (
            (longest, "longest", "met"),
            (mixed, "all", "met"),
            (middle, "longest", "middle"),
        ):
            own = distances.where(rows, rule=rule, task=task)
            sizes = sorted({float(row["n"]) for row in own})
            axes.plot(sizes, [_mean(own, n, name) for n in sizes], **look)
    for axes, title in ((longest, "longest task"), (mixed, "all tasks together")):
        axes.axhline(0.95, color=style.GREY, lw=0.6)
        axes.set(xscale="log", ylim=(0, 1.03), xlabel="$n$ of the batch", title=title)
    longest.set_ylabel("share that meets the target")
    middle.axhline(1, color=style.GREY, lw=0.6)
    middle.set(xscale="log", yscale="log", xlabel="$n$ of the batch", title="longest task")
    middle.set_ylabel("log ESS over log target")
    handles = longest.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=5, frameon=False)


def _mean(rows: list[Row], n: float, name: str) -> float:
    values = distances.column([row for row in rows if float(row["n"]) == n], name)
    if name == "met":
        return sum(values) / len(values)
    return math.exp(sum(math.log(v) for v in values) / len(values))
