"""A bandit with two modes: where normal policies end, and where they leave the mean."""

from __future__ import annotations

import json
from typing import Any

import torch

from experiments import runs
from experiments.bandit import bimodal
from figures import style
from figures.tables import Row, Tables

CLAIMS = ("BAN.pitchfork", "BAN.modes", "BAN.broad", "BAN.leap", "ABS.3")
CAPTION = """
    Data with two modes at -m and m, r = 1. Left: for m = 3 the best normal policies with a free
    variance, by the forward KL (gamma = 0) and near the reverse one (gamma = 0.999), where the
    broad policy is a resting point still (dashed). Middle: with the variance held at 1 the mean
    gives way at a pitchfork, at a gamma that falls as the modes part, and below m = 1.46 never;
    dotted, it is unstable. Right: with a free variance every resting
    mean that 32 ascents found, filled where it is the best: the modes begin beside the broad
    policy, and win by a jump, at m = 2 never.
"""
SIZE = (style.PAGE, 2.5)
M, LAST = 3.0, 0.999
SHOWN = {1.5: style.ORANGE, 2.0: style.GREEN, 3.0: style.BLUE}
FREE = {2.0: (style.GREEN, "o"), 3.0: (style.BLUE, "s"), 4.0: (style.RED, "^")}
DATA, FORWARD, MODE, BROAD = "data", "forward", "mode", "broad"


def data() -> Tables:
    """Return densities, branches and resting points, from the committed run."""
    cells = json.loads((runs.HERE / "bimodal.json").read_text(encoding="utf-8"))["cells"]
    return {"densities": _densities(cells), "branches": _branches(cells), "rests": _rests(cells)}


def _densities(cells: Any) -> list[Row]:
    y = torch.linspace(-8, 8, 161, dtype=torch.float64)
    laws = {DATA: bimodal.log_mu(y, M)}
    first, last = (_ends(cells, M, gamma) for gamma in (0.0, LAST))
    for name, end in ((FORWARD, first[0]), (MODE, last[-1]), (BROAD, last[0])):
        theta, v = torch.tensor(end[:2], dtype=torch.float64)
        laws[name] = bimodal.log_normal(y, theta, v)
    return [
        {"name": name, "y": float(at), "density": float(value)}
        for name, law in laws.items()
        for at, value in zip(y, law.exp(), strict=True)
    ]


def _branches(cells: Any) -> list[Row]:
    return [
        {"m": m, "gamma": gamma, "theta": theta}
        for m in SHOWN
        for gamma, theta in zip(
            *_columns(cells[f"branch, m {m:g}"], "gammas", "theta"), strict=True
        )
    ]


def _columns(got: Any, *names: str) -> list[list[float]]:
    return [got[name] for name in names]


def _ends(cells: Any, m: float, gamma: float) -> list[list[float]]:
    """Return |mean|, variance and value of the distinct ends of one cell, smallest mean first."""
    got = cells[f"free, m {m:g}, gamma {gamma:g}"]
    kept: list[list[float]] = []
    rows = zip(*_columns(got, "theta", "v", "value"), strict=True)
    for theta, v, value in sorted((abs(row[0]), *row[1:]) for row in rows):
        if not kept or theta - kept[-1][0] > 1e-3:
            # Rounding, where the mean is 0.
            kept.append([theta if theta > 1e-9 else 0.0, v, value])
    return kept


def _rests(cells: Any) -> list[Row]:
    rows = list[Row]()
    for m in FREE:
        for gamma in bimodal.Settings().gammas:
            ends = _ends(cells, m, gamma)
            top = max(value for _, _, value in ends)
            rows += [
                {
                    "m": m,
                    "gamma": gamma,
                    "theta": theta,
                    "v": v,
                    "best": "yes" if value == top else "no",
                }
                for theta, v, value in ends
            ]
    return rows


def draw(tables: Tables, figure: Any) -> None:
    """Draw densities, the pitchfork and the jump."""
    left, middle, right = figure.subplots(1, 3)
    _draw_densities(left, tables["densities"])
    _draw_branches(middle, tables["branches"])
    _draw_rests(right, tables["rests"])
    for axes in (middle, right):
        axes.set(xlabel=r"$\gamma$", xlim=(-0.02, 1.02))


def _draw_densities(axes: Any, rows: Any) -> None:
    looks = {
        DATA: (style.GREY, "-", r"data $\mu$"),
        FORWARD: (style.ORANGE, "-", r"$\gamma = 0$"),
        MODE: (style.BLUE, "-", rf"$\gamma = {LAST}$, best"),
        BROAD: (style.BLUE, "--", rf"$\gamma = {LAST}$, broad"),
    }
    for name, (color, dash, words) in looks.items():
        mine = [row for row in rows if row["name"] == name]
        x, height = ([row[k] for row in mine] for k in ("y", "density"))
        axes.plot(x, height, dash, color=color, label=words)
        if name == DATA:
            axes.fill_between(x, height, color=color, alpha=0.2, lw=0)
    axes.set(xlabel="$y$", ylabel="density", xlim=(-8, 8), ylim=(0, 0.62))
    axes.legend(frameon=False, loc="upper left", ncols=2, columnspacing=1, handlelength=1.5)


def _draw_branches(axes: Any, rows: Any) -> None:
    for m, color in SHOWN.items():
        mine = [row for row in rows if row["m"] == m]
        away = [row for row in mine if row["theta"] > 0]
        still = [row for row in mine if row["theta"] == 0]
        # The branch is joined to the last mean that holds: its foot is steeper than any grid.
        line = [*still[-1:], *away]
        for sign in (1, -1):
            axes.plot(
                [row["gamma"] for row in line],
                [sign * row["theta"] for row in line],
                color=color,
                label=f"$m = {m:g}$" if sign == 1 else None,
            )
        axes.plot([0, still[-1]["gamma"]], [0, 0], color=color)
        if away:
            axes.plot([away[0]["gamma"], 1], [0, 0], ":", color=color, lw=0.8)
    axes.set(ylabel=r"resting mean $\theta$, $v = 1$", ylim=(-3.4, 4.9))
    axes.legend(frameon=False, loc="upper left", ncols=2, columnspacing=1, handlelength=1.2)


def _draw_rests(axes: Any, rows: Any) -> None:
    for m, (color, mark) in FREE.items():
        mine = [row for row in rows if row["m"] == m]
        # The three have 0 in common: side by side.
        beside = (m - 3) * 0.12
        for best in ("no", "yes"):
            some = [row for row in mine if row["best"] == best]
            axes.plot(
                [row["gamma"] for row in some],
                [row["theta"] + (beside if row["theta"] == 0 else 0) for row in some],
                mark,
                color=color,
                mfc=color if best == "yes" else "white",
                ms=3.2,
                mew=0.7,
                label=f"$m = {m:g}$" if best == "yes" else None,
            )
    axes.set(ylabel=r"resting $|\theta|$, $v$ free", ylim=(-0.4, 4.6))
    axes.legend(frameon=False, loc="center left")
