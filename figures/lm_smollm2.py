"""A pretrained model's ESS over gamma beside the closed form, and what gamma of a half keeps."""

from __future__ import annotations

import json
import math
from typing import Any

from experiments import runs
from figures import style
from figures.tables import Row, Tables

CLAIMS = ("LM.smollm.scalar", "LM.smollm.ess", "LM.smollm.reached")
CAPTION = """
    SmolLM2-135M-Instruct after ten steps with LoRA, at strength 1 and 2 of the adapter, on answers
    that it did not learn from. Left: ESS/n of w^gamma with intervals over questions, and
    exp(-sigma^2 gamma^2) at each log's variance as lines. Right, at strength 2: the ESS/n that
    gamma chosen on half of the questions keeps on the other half, middle 95% of 200 splits, by
    method; the dashed line is the target.
"""
SIZE = (style.PAGE, 2.6)
NAMES = {"lognormal": "closed form", "cumulant": "cumulants", "exact": "exact root"}


def data() -> Tables:
    """Return ESS over gamma and the ESS that was reached, from the run."""
    summary = json.loads((runs.HERE / "lm_smollm2.json").read_text(encoding="utf-8"))["summary"]
    ess: list[Row] = []
    for row in summary["scales"]:
        at = {"strength": row["scale"], "sigma2": row["sigma2"][0]}
        for cell in row["ess"]:
            value, low, high = cell["ess"]
            ess.append({**at, "gamma": cell["gamma"], "ess": value, "low": low, "high": high})
    reached: list[Row] = []
    for name, found in summary["scales"][-1]["methods"].items():
        value, low, high = found["reached"]
        target = summary["rho_min"]
        reached.append(
            {"method": name, "target": target, "reached": value, "low": low, "high": high}
        )
    return {"ess": ess, "reached": reached}


def draw(tables: Tables, figure: Any) -> None:
    """Draw points with intervals on the curves of the theory, and the methods beside the target."""
    left, right = figure.subplots(1, 2)
    strengths = list(dict.fromkeys(float(row["strength"]) for row in tables["ess"]))
    for strength, color in zip(strengths, (style.BLUE, style.ORANGE), strict=False):
        rows = [row for row in tables["ess"] if float(row["strength"]) == strength]
        sigma2 = float(rows[0]["sigma2"])
        line = [i / 100 for i in range(101)]
        left.plot(line, [math.exp(-sigma2 * g * g) for g in line], color=color, lw=0.8)
        left.errorbar(
            [float(row["gamma"]) for row in rows],
            [float(row["ess"]) for row in rows],
            _bars(rows, "ess"),
            fmt="o",
            ms=3,
            color=color,
            label=rf"strength {strength:g}, $\sigma^2$ = {sigma2:.2f}",
        )
    left.set(xlabel=r"$\gamma$", ylabel="ESS/$n$", ylim=(0, 1.03))
    left.legend(frameon=False, loc="lower left")
    rows = list(tables["reached"])
    places = range(len(rows))
    reached = [float(row["reached"]) for row in rows]
    right.errorbar(places, reached, _bars(rows, "reached"), fmt="o", ms=3, color=style.ORANGE)
    for target in {float(row["target"]) for row in rows}:
        right.axhline(target, color=style.GREY, lw=0.6, ls="--")
    right.set_xticks(list(places), [NAMES[str(row["method"])] for row in rows])
    right.set(ylabel="ESS/$n$ on the other half", xlim=(-0.5, len(rows) - 0.5))


def _bars(rows: list[Row], name: str) -> list[list[float]]:
    return [
        # A bootstrap's percentiles may leave out the value itself.
        [max(0.0, float(row[name]) - float(row["low"])) for row in rows],
        [max(0.0, float(row["high"]) - float(row[name])) for row in rows],
    ]
