"""The drift benchmark: how far 16 epochs on one log carry each method, and what that earns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments import runs, statistics
from figures import style
from figures.tables import Row, Tables

CLAIMS = (
    "BAN.drift.order",
    "BAN.drift.brake",
    "BAN.drift.letgo",
    "BAN.drift.backfire",
    "BAN.drift.rescue",
)
CAPTION = """
    Left: KL(mu || pi) after 16 epochs on the first log, by the learning rate of Adam. Right: the
    value after eight logs against the mean drift of a log, each line one method over the same
    learning rates, its mark the rate that seeds of its own chose; a triangle is one at an end of
    the sweep, here always the largest: past it the method may do better. Above rewards are in (0,
    1), below the log's mean is taken off. Interquartile means of 20 seeds; values, entropies and
    divergences are exact sums over 625 sequences. The controller acts on gamma and aims at 0.1
    nats, the grey line; with r > 0 TOPR is SFT, which the controlled runs join past the target. The
    table has SGD too.
"""
SIZE = (style.PAGE, 5.2)
# Method, its name, colour and dash; the others are in the table.
LINES: tuple[tuple[str, str, str, str], ...] = (
    ("sft", r"SFT, $w^0$", style.BLACK, ":"),
    ("w^0.5", r"$w^{1/2}$", style.BLACK, "--"),
    ("is", r"IS, $w^1$", style.BLACK, "-"),
    ("w^g*", r"$w^{\gamma^*}$", style.BLUE, "-"),
    ("w^g*, exact KL", r"$w^{\gamma^*}$, controller", style.BLUE, "--"),
    ("ppo", "PPO", style.RED, "-"),
    ("gspo 0.2", "GSPO, clip 0.2", style.RED, "--"),
    ("cispo", "CISPO", style.GREEN, "-"),
    ("topr", "TOPR", style.GREEN, "--"),
    ("vespo", "VESPO", style.ORANGE, "-"),
    ("dros", "DRos", style.ORANGE, "--"),
    ("p3o", "P3O", style.PINK, "-"),
)
ROWS = (("plain", r"rewards $r \in (0, 1)$"), ("centred", r"centred rewards $r - \bar{r}$"))
KAPPA = 0.1


def data() -> Tables:
    """Return the sweep: interquartile means over the reported seeds, a row a method and rate."""
    document = json.loads((runs.HERE / "drift.json").read_text(encoding="utf-8"))
    settings, best = document["settings"], {}
    for row in document["summary"]["table"]:
        best[f"{row['reward']}, {row['optimiser']}, {row['method']}"] = row["best"]
    rows: list[Row] = []
    for key, cell in document["cells"].items():
        reward, optimiser, method = key.split(", ", 2)
        rates = document["summary"]["rates"][optimiser]
        for i, rate in enumerate(rates):
            own = {
                name: statistics.iqm(cell[name][i][settings["tuning"] :])
                for name in ("first_kl", "kl", "value", "entropy")
            }
            rows.append(
                {
                    "reward": reward,
                    "optimiser": optimiser,
                    "method": method,
                    "rate": rate,
                    **own,
                    "ess": float(np.mean(cell["ess"][i])),
                    "best": "yes" if rate == best[key] else "no",
                    "end": "yes" if rate in (rates[0], rates[-1]) else "no",
                }
            )
    return {"sweep": rows}


def draw(tables: Tables, figure: Any) -> None:
    """Draw drift by learning rate, and value by drift, for both kinds of reward."""
    grid = figure.subplots(2, 2, sharex="col")
    for (drifts, values), (reward, words) in zip(grid, ROWS, strict=True):
        for method, name, color, dash in LINES:
            rows = _line(tables["sweep"], reward, method)
            look = {"color": color, "ls": dash, "lw": 1.0}
            rates, first = _column(rows, "rate"), _column(rows, "first_kl")
            drifts.plot(rates, first, label=name, **look)
            values.plot(_column(rows, "kl"), _column(rows, "value"), **look)
            chosen = [row for row in rows if row["best"] == "yes"]
            at = _column(chosen, "kl"), _column(chosen, "value")
            # The best of a grid is not the best rate where it is the last of them.
            mark, size = (">", 5.5) if chosen[0]["end"] == "yes" else ("o", None)
            face = "white" if dash == "--" else color
            values.plot(*at, mark, color=color, mfc=face, ms=size, zorder=3)
        drifts.axhline(KAPPA, color=style.GREY, lw=0.5, zorder=0)
        drifts.text(3, KAPPA * 0.9, "target", size=7, color=style.GREY, ha="right", va="top")
        drifts.set(xscale="log", yscale="log", title=words)
        drifts.set_ylabel(r"KL$(\mu\,\|\,\pi)$ after the first log, nats")
        values.set(xscale="log", xlim=(8e-3, 60), title=words)
        values.set_ylabel("value after the last log")
    grid[0, 1].set_ylim(0.75, 1)
    grid[1, 1].set_ylim(0.92, 1)
    grid[1, 0].set_xlabel("learning rate of Adam")
    grid[1, 1].set_xlabel(r"KL$(\mu\,\|\,\pi)$ a log, mean, nats")
    handles = grid[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", frameon=False, handlelength=2.4)


def _line(rows: Sequence[Row], reward: str, method: str) -> list[Row]:
    wanted = (reward, "Adam", method)
    return [row for row in rows if (row["reward"], row["optimiser"], row["method"]) == wanted]


def _column(rows: Sequence[Row], name: str) -> list[float]:
    return [float(row[name]) for row in rows]
