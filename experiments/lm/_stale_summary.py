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

MEASURES = ("reward", "entropy", "drift", "acts")
BESIDE = ("from_start", "gamma", "ess")
"""Measures of which the interquartile mean alone is kept."""
POWERS = ("w^0", "w^0.25", "w^0.5", "w^1")
MORE = ", more"
AGAINST_IS = ("w^0", "w^0.25", "w^0.5", "w^1", "w^g*", "w^g*, KL")
APART = (
    *((method, "w^0") for method in ("w^1", "w^0.5", "ppo", "cispo", "topr", "vespo")),
    ("v3.1", "v3.1 as run"),
)
"""Which rewards are put against which."""


def summarise(settings: Any, found: Mapping[str, Json]) -> Json:
    """Put the table, its strata over epochs, and the paired differences together."""
    found = joined(found)
    first = found[f"centred, {max(settings.epochs)}, {settings.methods[0]}"]
    kinds = [("centred", n) for n in settings.epochs] + [("plain", n) for n in settings.plain]
    return {
        "start": statistics.iqm_interval(first["start"]),
        "table": [row for kind in kinds for row in _table(settings, found, *kind)],
        "pooled": _pooled(settings, found),
        "pairs": [row for kind in kinds for row in _pairs(settings, found, *kind)],
        "apart": _apart(settings, found),
        "aged": _aged(settings, found),
    }


def joined(found: Mapping[str, Json]) -> dict[str, Json]:
    """Return the cells with those of more seeds put to the others of their setting."""
    cells = {key: cell for key, cell in found.items() if not key.endswith(MORE)}
    for key, cell in cells.items():
        if key + MORE in found:
            more = found[key + MORE]
            cells[key] = {name: [*values, *more[name]] for name, values in cell.items()}
    return cells


def _table(settings: Any, found: Mapping[str, Json], reward: str, epochs: int) -> list[Json]:
    rows = []
    for method in settings.methods:
        cell = found[f"{reward}, {epochs}, {method}"]
        intervals = {name: statistics.iqm_interval(cell[name]) for name in MEASURES}
        beside = {name: statistics.iqm(cell[name]) for name in BESIDE}
        row = {"rewards": reward, "epochs": epochs, "method": method, **intervals, **beside}
        rows.append(rounded({**row, "collapsed": collapsed(settings, cell)}, 4))
    return rows


def collapsed(settings: Any, cell: Json) -> float:
    """Return the share of seeds whose reward fell more than `fallen` below that of the start."""
    fell = np.array(cell["start"]) - np.array(cell["reward"])
    return float((fell > settings.fallen).mean())


def _pooled(settings: Any, found: Mapping[str, Json]) -> list[Json]:
    """Return each method's reward over all epochs of centred rewards: epochs are the strata.

    Of the seeds that all epochs have.
    """
    rows = []
    for method in settings.methods:
        cells = [found[f"centred, {n}, {method}"] for n in settings.epochs]
        rewards = np.stack([cell["reward"][: settings.seeds] for cell in cells], 1)
        share = float(np.mean([collapsed(settings, cell) for cell in cells]))
        row = {"method": method, "reward": statistics.iqm_interval(rewards), "collapsed": share}
        rows.append(rounded(row, 4))
    return rows


def _apart(settings: Any, found: Mapping[str, Json]) -> list[Json]:
    """Return differences of rewards, seed by seed, at the stalest log with centred rewards."""
    rows = []
    for first, second in APART:
        if {first, second} <= set(settings.methods):
            stalest = f"centred, {max(settings.epochs)}, "
            ours, theirs = (found[stalest + method]["reward"] for method in (first, second))
            difference = statistics.difference_interval(ours, theirs)
            rows.append(rounded({"first": first, "second": second, "gain": difference}, 4))
    return rows


def _aged(settings: Any, found: Mapping[str, Json]) -> list[Json]:
    """Return what each method's reward loses from fresh logs to a stale one, seed by seed."""
    rows = []
    for method in settings.methods:
        fresh, stale = (
            found[f"centred, {pick(settings.epochs)}, {method}"]["reward"][: settings.seeds]
            for pick in (min, max)
        )
        loss = statistics.difference_interval(fresh, stale)
        rows.append(rounded({"method": method, "loss": loss}, 4))
    return rows


def _pairs(settings: Any, found: Mapping[str, Json], reward: str, epochs: int) -> list[Json]:
    """Return some methods against gamma = 1: rewards' difference and drifts' log ratio."""
    base = found[f"{reward}, {epochs}, w^1"]
    rows = []
    for method in AGAINST_IS:
        if method not in settings.methods:
            continue
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
