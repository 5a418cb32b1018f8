"""What the staleness run says: a row a method and setting, and the differences between methods.

An interval is `[value, low, high]`, of interquartile means over seeds. All methods meet the same
prompts in the same order, so that they are compared seed by seed; drifts are compared by their
logarithms, log KL/KL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments import statistics
from experiments.runs import Json, rounded

MEASURES = ("reward", "entropy", "drift", "from_start", "gamma", "acts", "ess")
POWERS = ("w^0", "w^0.25", "w^0.5", "w^1")
RULE = "w^g*"


def summarise(settings: Any, found: Mapping[str, Json]) -> Json:
    """Put the table, its strata over epochs, and the paired differences together."""
    first = next(iter(found.values()))
    kinds = [("centred", n) for n in settings.epochs] + [("plain", n) for n in settings.plain]
    return {
        "start": statistics.iqm_interval(first["start"]),
        "table": [row for kind in kinds for row in _table(settings, found, *kind)],
        "pooled": _pooled(settings, found),
        "pairs": [row for kind in kinds for row in _pairs(settings, found, *kind)],
    }


def _table(settings: Any, found: Mapping[str, Json], reward: str, epochs: int) -> list[Json]:
    rows = []
    for method in settings.methods:
        cell = found[f"{reward}, {epochs}, {method}"]
        intervals = {name: statistics.iqm_interval(cell[name]) for name in MEASURES}
        row = {"rewards": reward, "epochs": epochs, "method": method, **intervals}
        rows.append(rounded({**row, "collapsed": collapsed(settings, cell)}, 4))
    return rows


def collapsed(settings: Any, cell: Json) -> float:
    """Return the share of seeds whose reward fell more than `fallen` below that of the start."""
    fell = np.array(cell["start"]) - np.array(cell["reward"])
    return float((fell > settings.fallen).mean())


def _pooled(settings: Any, found: Mapping[str, Json]) -> list[Json]:
    """Return each method's reward over all epochs of centred rewards: epochs are the strata."""
    rows = []
    for method in settings.methods:
        cells = [found[f"centred, {n}, {method}"] for n in settings.epochs]
        rewards = np.stack([cell["reward"] for cell in cells], 1)
        share = float(np.mean([collapsed(settings, cell) for cell in cells]))
        row = {"method": method, "reward": statistics.iqm_interval(rewards), "collapsed": share}
        rows.append(rounded(row, 4))
    return rows


def _pairs(settings: Any, found: Mapping[str, Json], reward: str, epochs: int) -> list[Json]:
    """Return each method against gamma = 1: rewards' difference and drifts' log ratio."""
    base = found[f"{reward}, {epochs}, w^1"]
    rows = []
    for method in settings.methods:
        cell = found[f"{reward}, {epochs}, {method}"]
        # A drift of nothing at all would have no logarithm.
        ours, theirs = (np.log(np.array(c["drift"]) + 1e-9) for c in (cell, base))
        row = {
            "rewards": reward,
            "epochs": epochs,
            "method": method,
            "gain": statistics.difference_interval(cell["reward"], base["reward"]),
            "log_drift": statistics.difference_interval(ours, theirs),
        }
        rows.append(rounded(row, 4))
    return rows
