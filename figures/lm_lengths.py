"""Length: how gamma* falls with it, and what sum, mean and gamma* make of one log."""

from __future__ import annotations

from typing import Any

from figures import distances, style
from figures.tables import Row, Tables

CLAIMS = ("LM.length.rate", "LM.length.aggregation")
CAPTION = """
    Left: the exact gamma* (target 0.3, not stopped at 1) of the first T tokens of the longest task,
    under policies at growing distance from mu; grey: the power -1/2. Middle: ESS/n of that task's
    sequences weighted by w (sum), w^(1/T) (mean) and w^gamma* (rule), by the policy's KL. Right:
    how far each goes from mu's mean reward to the policy's, which w itself defines, on the words,
    the one task whose reward moves; there w alone keeps the target, and rule and sum are one.
"""
SIZE = (style.PAGE, 2.6)
MOVING = "spell_backward"
LINES = (
    ("sum", r"sum, $w$", style.RED, "^"),
    ("mean", r"mean, $w^{1/T}$", style.BLUE, "o"),
    ("rule", r"rule, $w^{\gamma^*}$", style.BLACK, "D"),
)


def data() -> Tables:
    """Return gamma* by prefix, and the aggregations by policy and task."""
    rates: list[Row] = []
    methods: list[Row] = []
    for name, cell in distances.cells("lengths"):
        task = distances.longest(cell)
        found = cell["rate"][task]
        for i, t in enumerate(found["lengths"]):
            own = {k: found[k][i][0] for k in ("closed", "exact")}
            rates.append({"policy": name, "tokens": t, **own})
        for scope, row in cell["scopes"].items():
            for method, _, _, _ in LINES:
                kept = row["methods"][method]
                way = "" if kept["way"] is None else kept["way"][0]
                numbers = {k: kept[k][0] for k in ("ess", "value", "error")}
                where = {"policy": name, "task": "longest" if scope == task else scope}
                methods.append(
                    {**where, "kl": row["kl"][0], "method": method, **numbers, "way": way}
                )
    return {"rates": rates, "methods": methods}


def draw(tables: Tables, figure: Any) -> None:
    """Draw gamma* by length, and ESS and way of the three by distance."""
    rate, ess, way = figure.subplots(1, 3)
    rows = tables["rates"]
    names = distances.policies(rows)
    for policy in names:
        own = distances.where(rows, policy=policy)
        at, values = distances.column(own, "tokens"), distances.column(own, "exact")
        look = {"color": distances.color(names, policy), "ms": 2, "label": policy.upper()}
        rate.plot(at, values, "o-", lw=0.8, **look)
    rate.plot(at, [values[0] * (t / at[0]) ** -0.5 for t in at], color=style.GREY, lw=0.6, ls="--")
    rate.axhline(1, color=style.GREY, lw=0.5)
    rate.set(xscale="log", yscale="log", xlabel="first $T$ tokens", ylabel=r"$\gamma^*$")
    rate.set_ylim(bottom=0.02)
    rate.legend(frameon=False, handlelength=1.2, loc="lower left")
    for method, words, color, mark in LINES:
        own = distances.where(tables["methods"], task="longest", method=method)
        look = {"color": color, "marker": mark, "ms": 3.5, "lw": 0.8, "label": words}
        ess.plot(distances.column(own, "kl"), distances.column(own, "ess"), **look)
        words_own = distances.where(tables["methods"], task=MOVING, method=method)
        going = [row for row in words_own if row["way"] != ""]
        way.plot(distances.column(going, "kl"), distances.column(going, "way"), **look)
    ess.axhline(0.3, color=style.GREY, lw=0.5)
    for axes, label in ((ess, "ESS/$n$"), (way, "share of the way to the policy")):
        axes.set(xscale="log", xlabel=r"KL$(\mu\,\|\,\pi)$, nats", ylabel=label)
    ess.legend(frameon=False, handlelength=1.4)
