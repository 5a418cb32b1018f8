"""When the rule acts on a language model: by KL, and the target that it takes at a given KL."""

from __future__ import annotations

import math
from typing import Any

from figures import distances, style
from figures.tables import Row, Tables

CLAIMS = ("LM.activation", "LM.activation.ppo")
CAPTION = """
    Left: the share of batches of 256 in which the closed form (filled) and the exact rule (hollow)
    give gamma < 1 at a target of 0.3, by the policy's KL from mu, in each task and in all together;
    the line is -log(0.3)/2 = 0.602 nats. Right: the target from which the rule acts, as -log of it,
    by KL: ESS/n at gamma = 1, with 95% intervals; the line is 2 KL, log-normal weights', and the
    grey band a KL of 0.01 to 0.04, about where PPO stays.
"""
SIZE = (style.PAGE, 2.7)


def data() -> Tables:
    """Return the run by policy and task."""
    rows: list[Row] = []
    for name, cell in distances.cells("activation"):
        for scope, row in cell["scopes"].items():
            deficit = [-math.log(row["rho_exact"][i]) for i in (0, 2, 1)]
            own = {**distances.ends(deficit, "deficit"), "kl": row["kl"][0]}
            acts = {f"acts_{rule}": row["acts"][rule] for rule in ("lognormal", "exact")}
            rows.append({"policy": name, "task": scope, **own, **acts})
    return {"rows": rows}


def draw(tables: Tables, figure: Any) -> None:
    """Draw how often the rule acts, and the target that it takes."""
    acts, target = figure.subplots(1, 2)
    shown = {**distances.TASKS, "all": ("D", "all")}
    colors = (style.BLUE, style.GREEN, style.RED, style.BLACK)
    for (task, (mark, words)), color in zip(shown.items(), colors, strict=True):
        own = sorted(distances.where(tables["rows"], task=task), key=lambda row: float(row["kl"]))
        kl = distances.column(own, "kl")
        look = {"color": color, "marker": mark, "ms": 3.5}
        acts.plot(kl, distances.column(own, "acts_lognormal"), lw=0.8, label=words, **look)
        exact = distances.column(own, "acts_exact")
        acts.plot(kl, exact, lw=0.6, ls=":", mfc="white", **look)
        distances.bars(target, own, "kl", "deficit", ls="none", **look)
    acts.axvline(0.602, color=style.GREY, lw=0.6)
    acts.set(xscale="log", xlabel=r"KL$(\mu\,\|\,\pi)$, nats", ylabel="share of batches that act")
    acts.legend(frameon=False, handlelength=1.4)
    kls = distances.column(tables["rows"], "kl")
    line = [min(kls), max(kls)]
    target.axvspan(0.01, 0.04, color=style.GREY, alpha=0.15, lw=0)
    target.plot(line, [2 * x for x in line], color=style.GREY, lw=0.6)
    target.set(xscale="log", yscale="log", xlabel=r"KL$(\mu\,\|\,\pi)$, nats")
    target.set_ylabel(r"$-\log\rho$ from which the rule acts")
