"""Collapse: where each method ends after 64 epochs on one log, beside where mu began."""

from __future__ import annotations

import json
from typing import Any

from experiments import runs
from figures import style
from figures.tables import Row, Tables

CLAIMS = ("LM.stale.collapse", "LM.stale.v31", "LM.stale.order", "LM.stale.top")
CAPTION = """
    Reward on words that no log has after 64 epochs on one log, by method: with centred rewards (12
    seeds) and with plain ones (5). Interquartile means, bars their 95% bootstrap intervals; open
    marks where at least half of the runs collapsed, that is ended over 0.05 below mu's own reward,
    the grey line.
"""
SIZE = (style.PAGE, 3.6)
NAMES = {
    "w^0": r"SFT, $w^0$",
    "w^0.25": r"$w^{1/4}$",
    "w^0.5": r"$w^{1/2}$",
    "w^1": r"IS, $w^1$",
    "w^g*": r"$w^{\gamma^*}$",
    "w^g*, KL": r"$w^{\gamma^*}$, controller",
    "v3.1": "v3.1, right gradient",
    "v3.1 as run": "v3.1, as run",
    "ppo": "PPO",
    "gspo": "GSPO",
    "cispo": "CISPO",
    "topr": "TOPR",
    "vespo": "VESPO",
    "p3o": "P3O",
    "dft": "DFT",
}
KINDS = (("centred", "centred rewards", style.BLUE), ("plain", "plain rewards", style.RED))


def data() -> Tables:
    """Return a row a kind of reward and method, with what mu itself has."""
    document = json.loads((runs.HERE / "lm_staleness.json").read_text(encoding="utf-8"))
    rows: list[Row] = []
    for row in document["summary"]["table"]:
        if row["epochs"] == 64:
            value, low, high = row["reward"]
            own = {name: row[name] for name in ("rewards", "method", "collapsed")}
            start = document["summary"]["start"][0]
            rows.append({**own, "reward": value, "low": low, "high": high, "start": start})
    return {"ends": rows}


def draw(tables: Tables, figure: Any) -> None:
    """Draw rewards by method, both kinds of reward side by side."""
    panels = figure.subplots(1, 2, sharey=True, sharex=True)
    for axes, (kind, title, color) in zip(panels, KINDS, strict=True):
        rows = {row["method"]: row for row in tables["ends"] if row["rewards"] == kind}
        for place, method in enumerate(NAMES):
            row = rows[method]
            axes.hlines(place, float(row["low"]), float(row["high"]), color=color, lw=1)
            face = "white" if float(row["collapsed"]) >= 0.5 else color
            axes.plot(float(row["reward"]), place, "o", color=color, mfc=face, ms=4)
        start = float(next(iter(rows.values()))["start"])
        axes.axvline(start, color=style.GREY, lw=0.6, zorder=0)
        axes.set(title=title, xlabel="reward, held out")
    panels[0].set_yticks(range(len(NAMES)), list(NAMES.values()))
    panels[0].invert_yaxis()
