"""What small batches make of each way to gamma: where it ends, and how it keeps its target."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from experiments import runs
from figures import style, tables
from figures.tables import Row, Tables

CLAIMS = ("BAN.best", "BAN.ends", "BAN.coverage", "BAN.overshoot")
CAPTION = """
    Left and middle: the value at the end of training in batches of n, on the Gaussian problem and
    on a softmax over 16 arms, at fixed gammas (circles, from 0 to 1) and at the gammas of four
    rules; interquartile means over 24 seeds, with 95% intervals, each at its best of four learning
    rates, chosen on other seeds. Right: the share of steps in which the rule's gamma keeps the
    population's ESS/n at 0.3, on the Gaussian problem.
"""
SIZE = (style.PAGE, 3.0)
RULES = ("closed form", "exact ESS", "chi-square", "Kantorovich")
FIXED = ("gamma 0", "gamma 0.25", "gamma 0.5", "gamma 0.75", "gamma 1")
PROBLEMS = ("Gaussian", "softmax")


def data() -> Tables:
    """Return values and kept targets, one row a problem, size and method."""
    document = json.loads((runs.HERE / "small_batch.json").read_text(encoding="utf-8"))
    values: list[Row] = []
    kept: list[Row] = []
    for row in document["summary"]["rows"]:
        same: Row = {"problem": row["problem"], "n": float(row["n"]), "method": row["method"]}
        late = dict(zip(("value", "low", "high"), row["late"], strict=True))
        values.append({**same, "rate": row["rate"], **late})
        # Where the rule never acts there is nothing to keep.
        if row["method"] in RULES and row["kept"]:
            share = dict(zip(("share", "low", "high"), row["kept"], strict=True))
            kept.append({**same, **share})
    return {"values": values, "kept": kept}


LOOK = {
    "closed form": (style.BLUE, "s"),
    "exact ESS": (style.RED, "D"),
    "chi-square": (style.GREEN, "^"),
    "Kantorovich": (style.PINK, "v"),
}
NAMES = {"chi-square": r"$\chi^2$ bound", "Kantorovich": "range bound", "exact ESS": "exact root"}
SHADES = ("0.85", "0.65", "0.45", "0.25", "0.0")
RANK = {8.0: 0, 32.0: 1, 256.0: 2}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the values of both problems and the targets that were kept."""
    left, middle, right = figure.subplots(1, 3)
    looks = {name: (shade, "o") for name, shade in zip(FIXED, SHADES, strict=True)} | LOOK
    for axes, problem in ((left, "Gaussian"), (middle, "softmax")):
        for k, (method, (color, mark)) in enumerate(looks.items()):
            rows = tables.where(sheets["values"], problem=problem, method=method)
            _bars(axes, rows, "value", (k - 4) * 0.085, color, mark, _name(method))
        axes.set(title=problem, ylabel="value at the end" if axes is left else None)
    for k, (method, (color, mark)) in enumerate(LOOK.items()):
        rows = tables.where(sheets["kept"], problem="Gaussian", method=method)
        _bars(right, rows, "share", (k - 1.5) * 0.1, color, mark, None)
    right.set(title="Gaussian", ylabel="steps that keep the target", ylim=(0, 1.05))
    for axes in (left, middle, right):
        axes.set(xlabel="rows $n$ of a batch", xlim=(-0.5, 2.5))
        axes.set_xticks(list(RANK.values()), labels=[f"{n:g}" for n in RANK])
    handles = left.get_legend_handles_labels()
    figure.legend(
        *handles,
        loc="outside upper center",
        ncols=9,
        frameon=False,
        columnspacing=0.9,
        handletextpad=0.1,
    )


def _name(method: str) -> str:
    if method in FIXED:
        return method.replace("gamma ", r"$\gamma = $")
    return NAMES.get(method, method)


def _bars(axes: Any, rows: Any, name: str, shift: float, color: str, mark: str, words: Any) -> None:
    at = [RANK[float(row["n"])] + shift for row in rows]
    value, low, high = (np.array(tables.column(rows, k)) for k in (name, "low", "high"))
    errors = (np.maximum(value - low, 0), np.maximum(high - value, 0))
    bars = {"fmt": mark, "color": color, "ms": 3, "elinewidth": 0.7, "label": words}
    axes.errorbar(at, value, yerr=errors, **bars)
