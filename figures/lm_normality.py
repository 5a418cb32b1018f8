"""How near to normal log w of a language model's sequences is: by length and by distance."""

from __future__ import annotations

from typing import Any

from figures import distances, style
from figures.tables import Row, Tables

CLAIMS = ("LM.normal.skew", "LM.normal.kurtosis", "LM.normal.kl")
CAPTION = """
    log w of a small decoder's sequences under policies at growing distance from mu, on a log that
    they were not trained on. Left and middle: size of skewness and excess kurtosis of the first T
    tokens of the longest task, hollow where negative; in grey the slopes of independent tokens, T
    to the power -1/2 and -1. Right: 2 KL(mu || pi)/Var(log w) by KL, for each task and for all
    together, with 95% intervals, prompts resampled; the band is what was predicted.
"""
SIZE = (style.PAGE, 2.6)


def data() -> Tables:
    """Return shapes by prefix, and the ratio by policy and task, from the committed run."""
    shapes: list[Row] = []
    ratios: list[Row] = []
    for name, cell in distances.cells("normality"):
        found = cell["by_length"][distances.longest(cell)]
        for i, t in enumerate(found["lengths"]):
            both = {k: found[k][i][0] for k in ("skewness", "kurtosis")}
            shapes.append({"policy": name, "tokens": t, **both})
        for scope, row in cell["scopes"].items():
            own = {**distances.ends(row["ratio"], "ratio"), "kl": row["kl"][0]}
            ratios.append({"policy": name, "task": scope, **own})
    return {"shapes": shapes, "ratios": ratios}


def draw(tables: Tables, figure: Any) -> None:
    """Draw both shapes by length, and the ratio by distance."""
    skewness, kurtosis, ratio = figure.subplots(1, 3)
    rows = tables["shapes"]
    names = distances.policies(rows)
    for axes, name, power in ((skewness, "skewness", -0.5), (kurtosis, "kurtosis", -1.0)):
        for policy in names:
            own = distances.where(rows, policy=policy)
            at, values = distances.column(own, "tokens"), distances.column(own, name)
            color = distances.color(names, policy)
            axes.plot(at, [abs(v) for v in values], color=color, lw=0.8, label=policy.upper())
            for t, v in zip(at, values, strict=True):
                face = color if v > 0 else "white"
                axes.plot(t, abs(v), "o", ms=2.5, mfc=face, mec=color, mew=0.6)
        first = max(abs(v) for v in distances.column(rows, name))
        guide = [first * (t / at[0]) ** power for t in at]
        axes.plot(at, guide, color=style.GREY, lw=0.6, ls="--")
        axes.set(xscale="log", yscale="log", xlabel="first $T$ tokens", ylabel=f"|{name}|")
    # Near mu the skewness is 0 but for noise, of which a logarithm would make a valley.
    skewness.set_ylim(bottom=1e-2)
    kurtosis.legend(frameon=False, handlelength=1.2, loc="lower left")
    _ratios(ratio, tables["ratios"])


def _ratios(axes: Any, rows: Any) -> None:
    axes.axhspan(0.8, 1.25, color=style.GREY, alpha=0.15, lw=0)
    axes.axhline(1, color=style.GREY, lw=0.5)
    shown = {**distances.TASKS, "all": ("D", "all")}
    colors = (style.BLUE, style.GREEN, style.RED, style.BLACK)
    for (task, (mark, words)), color in zip(shown.items(), colors, strict=True):
        own = distances.where(rows, task=task)
        look = {"marker": mark, "ms": 3, "lw": 0.6, "color": color, "label": words}
        distances.bars(axes, own, "kl", "ratio", **look)
    axes.set(xscale="log", xlabel=r"KL$(\mu\,\|\,\pi)$, nats", ylabel=r"2 KL / Var$(\log w)$")
    axes.legend(frameon=False, handlelength=1.2)
