"""Staleness: held-out reward and drift by the number of epochs on one log."""

from __future__ import annotations

import json
from typing import Any

from experiments import runs
from figures import style
from figures.tables import Row, Tables

CLAIMS = (
    "LM.stale.letgo",
    "LM.stale.backfire",
    "LM.stale.asleep",
    "LM.stale.old",
)
CAPTION = """
    A small decoder after 64 steps with centred rewards, by the number N of epochs on each log: N =
    1 is 64 fresh logs, N = 64 a single stale one. Left: reward on words that no log has, the grey
    line mu's own. Middle: KL from the last log's mu. Right: entropy. Interquartile means over
    seeds, bars their 95% bootstrap intervals; all methods have one learning rate.
"""
SIZE = (style.PAGE, 3.2)
LINES: tuple[tuple[str, str, str, str], ...] = (
    ("w^0", r"SFT, $w^0$", style.BLACK, ":"),
    ("w^0.5", r"$w^{1/2}$", style.BLACK, "--"),
    ("w^1", r"IS, $w^1$", style.BLACK, "-"),
    ("w^g*", r"$w^{\gamma^*}$", style.BLUE, "-"),
    ("w^g*, KL", r"$w^{\gamma^*}$, controller", style.BLUE, "--"),
    ("v3.1", r"v3.1, right", style.BLUE, ":"),
    ("ppo", "PPO", style.RED, "-"),
    ("gspo", "GSPO", style.RED, "--"),
    ("cispo", "CISPO", style.GREEN, "-"),
    ("topr", "TOPR", style.GREEN, "--"),
    ("vespo", "VESPO", style.ORANGE, "-"),
    ("dft", "DFT", style.ORANGE, "--"),
    ("p3o", "P3O", style.PINK, "-"),
)
PANELS = (
    ("reward", "reward, held out", "linear"),
    ("drift", r"KL$(\mu\,\|\,\pi)$ after the last log, nats", "log"),
    ("entropy", "entropy, nats a word", "linear"),
)


def data() -> Tables:
    """Return a row a kind of reward, number of epochs and method, with what mu itself has."""
    document = json.loads((runs.HERE / "lm_staleness.json").read_text(encoding="utf-8"))
    rows: list[Row] = []
    for row in document["summary"]["table"]:
        names = ("rewards", "epochs", "method", "collapsed")
        own: dict[str, str | float] = {name: row[name] for name in names}
        for name, _, _ in PANELS:
            ends = zip(("", "_low", "_high"), row[name], strict=True)
            own |= {f"{name}{end}": value for end, value in ends}
        rows.append({**own, "start": document["summary"]["start"][0]})
    return {"ends": rows}


def draw(tables: Tables, figure: Any) -> None:
    """Draw reward, drift and entropy over N for centred rewards."""
    panels = figure.subplots(1, 3)
    rows = [row for row in tables["ends"] if row["rewards"] == "centred"]
    for axes, (name, label, scale) in zip(panels, PANELS, strict=True):
        for place, (method, words, color, dash) in enumerate(LINES):
            own = [row for row in rows if row["method"] == method]
            # Beside one another, so that bars can be told apart.
            at = [float(row["epochs"]) * 1.035 ** (place - len(LINES) / 2) for row in own]
            middle, low, high = (
                [float(row[f"{name}{end}"]) for row in own] for end in ("", "_low", "_high")
            )
            axes.plot(at, middle, color=color, ls=dash, lw=1.0, label=words)
            axes.vlines(at, low, high, color=color, lw=0.6)
        axes.set(xscale="log", yscale=scale, xlabel="epochs a log, $N$", title=label)
        axes.set_xticks([1, 4, 16, 64], ["1", "4", "16", "64"])
        axes.minorticks_off()
    panels[0].axhline(float(rows[0]["start"]), color=style.GREY, lw=0.6, zorder=0)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", frameon=False, handlelength=2.2)
