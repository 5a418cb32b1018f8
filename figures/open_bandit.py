"""Real logs of the Open Bandit data: estimates beside the truth, the ESS reached, and learning."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from experiments import runs
from figures import style, tables
from figures.tables import Row, Tables

CLAIMS = (
    *("BAN.logs.closed", "BAN.logs.exact", "BAN.logs.truth", "BAN.logs.rivals"),
    *("BAN.learn.sharper", "BAN.learn.same"),
)
CAPTION = """
    Three campaigns of the Open Bandit data, 10,000 rows each. Left: clicks per 1,000 looks of the
    uniform policy as estimated from the other policy's log, with 95% intervals of the bootstrap;
    shaded, what its own log says. Middle: the ESS/n that is left at the gamma of each method, for a
    target of 0.3, with the interval over resampled logs. Right: the entropy of the policy learned
    at a fixed gamma below that learned at gamma = 0, mean of 20 seeds with 95% intervals.
"""
SIZE = (style.PAGE, 3.3)
CAMPAIGNS = ("all", "men", "women")
SHOWN = (
    ("ips", "IPS"),
    ("snips", "SNIPS"),
    ("gamma 0", r"$\gamma = 0$"),
    ("gamma 0.5", r"$\gamma = 1/2$"),
    ("gamma* lognormal", r"$\gamma^*$, closed form"),
    ("gamma* exact", r"$\gamma^*$, exact root"),
    ("tis tuned", "TIS, tuned"),
    ("dros tuned", "DRos, tuned"),
    ("tis", "TIS, $C = 2$"),
    ("dros", r"DRos, $\lambda = 1$"),
    ("log_smoothing", "log smoothing"),
)
RULES = (("lognormal", "closed form"), ("cumulant", "cumulants"), ("exact", "exact root"))


def data() -> Tables:
    """Return estimates, the truth, the ESS that is reached, and how much sharper learning is."""
    logs, learning = (
        json.loads((runs.HERE / f"{name}.json").read_text(encoding="utf-8"))["summary"]["campaigns"]
        for name in ("open_bandit", "open_bandit_learning")
    )
    estimates: list[Row] = []
    truth: list[Row] = []
    reached: list[Row] = []
    sharper: list[Row] = []
    for campaign in CAMPAIGNS:
        truth.append({"campaign": campaign, **_three(logs[campaign]["truth"]["value"])})
        for key, own in logs[campaign]["methods"].items():
            estimates.append({"campaign": campaign, "method": key, **_three(own["value"])})
            if "ess" in own:
                reached.append({"campaign": campaign, "method": key, **_three(own["ess"])})
        for key, own in learning[campaign]["methods"].items():
            if key.startswith("gamma ") and key != "gamma 0":
                gamma = float(key.removeprefix("gamma "))
                sharper.append({"campaign": campaign, "gamma": gamma, **_three(own["sharper"])})
    return {"estimates": estimates, "truth": truth, "reached": reached, "sharper": sharper}


def _three(numbers: Any) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), numbers, strict=True))


LOOK = {"all": (style.BLACK, "o"), "men": (style.BLUE, "s"), "women": (style.RED, "^")}


def draw(sheets: Tables, figure: Any) -> None:
    """Draw the estimates, the ESS and the learning."""
    grid = figure.add_gridspec(1, 3, width_ratios=(1.5, 1.1, 1))
    left, middle, right = (figure.add_subplot(cell) for cell in grid)
    order = {key: k for k, (key, _) in enumerate(SHOWN)}
    for k, (campaign, (color, mark)) in enumerate(LOOK.items()):
        shift = (k - 1) * 0.22
        (own,) = tables.where(sheets["truth"], campaign=campaign)
        left.axvspan(
            1e3 * float(own["low"]), 1e3 * float(own["high"]), color=color, alpha=0.08, lw=0
        )
        rows = [
            x for x in tables.where(sheets["estimates"], campaign=campaign) if x["method"] in order
        ]
        ranks = [order[str(row["method"])] + shift for row in rows]
        _bars(left, rows, ranks, LOOK[campaign], 1e3, campaign)
        places = {f"gamma* {key}": j for j, (key, _) in enumerate(RULES)}
        rows = [
            x for x in tables.where(sheets["reached"], campaign=campaign) if x["method"] in places
        ]
        _bars(middle, rows, [places[str(row["method"])] + shift for row in rows], LOOK[campaign])
        rows = tables.where(sheets["sharper"], campaign=campaign)
        value, low, high = (
            np.array(tables.column(rows, name)) for name in ("value", "low", "high")
        )
        at = np.array(tables.column(rows, "gamma")) + (k - 1) * 0.02
        bars = {"fmt": mark, "color": color, "ms": 3, "elinewidth": 0.7}
        right.errorbar(at, value, yerr=(value - low, high - value), **bars)
    left.set(xlabel="clicks per 1,000 looks", xlim=(0, 18), ylim=(len(SHOWN) - 0.5, -0.5))
    left.set_yticks(range(len(SHOWN)), labels=[words for _, words in SHOWN])
    left.legend(frameon=False, loc="lower right", handletextpad=0.2)
    middle.set(xlabel=r"ESS/$n$ at $\gamma^*$", xscale="log", ylim=(2.6, -0.5), xlim=(3e-4, 1))
    middle.set_yticks(range(3), labels=[words for _, words in RULES])
    middle.axvline(0.3, color=style.GREY, lw=0.6)
    right.axhline(0, color=style.GREY, lw=0.5)
    right.set(xlabel=r"$\gamma$", ylabel="entropy lost, nats", xticks=(0.25, 0.5, 0.75, 1))
    right.set_ylim(bottom=0)


def _bars(axes: Any, rows: Any, ranks: Any, look: Any, unit: float = 1, words: Any = None) -> None:
    value, low, high = (unit * np.array(tables.column(rows, k)) for k in ("value", "low", "high"))
    errors = (np.maximum(value - low, 0), np.maximum(high - value, 0))
    bars = {"fmt": look[1], "color": look[0], "ms": 3, "elinewidth": 0.7, "label": words}
    axes.errorbar(value, ranks, xerr=errors, **bars)
