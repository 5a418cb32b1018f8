"""What the drift benchmark says: a table at the best rates, first drifts, and their ratios.

An interval is `[value, low, high]`; seeds are resampled, whole ones where settings share them. All
methods meet the same problems with the same draws, so that they are compared seed by seed. Drifts
are compared in the first batch alone, where every method still has the same mu and the same log:
log KL/KL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments import statistics
from experiments.bandit._training import CALM, FAR
from experiments.runs import Json, rounded

RULE = "w^g*"
Group = tuple[str, str]
"""A kind of reward and an optimiser."""
FROZEN = 0.1
"""An entropy, in nats, below which a policy explores no more: its mode has over 97.9%."""
# Which drift is put over which, at equal rates.
PAIRS = {
    "plain": (
        ("w^0.25", "sft"),
        ("w^0.5", "w^0.25"),
        ("w^0.75", "w^0.5"),
        ("is", "w^0.75"),
        ("is", "sft"),
        ("vespo", "sft"),
        ("w^g*", "sft"),
        ("w^g*, exact KL", "sft"),
        ("w^g*, batch KL", "sft"),
    ),
    "centred": (
        ("sft", "w^0.5"),
        ("sft", "is"),
        ("sft", "cispo"),
        ("sft", "topr"),
        ("sft", "dros"),
        ("sft", "vespo"),
        ("w^g*, exact KL", "w^g*"),
        ("w^g*, batch KL", "w^g*"),
    ),
}


def summarise(settings: Any, found: Mapping[str, Json]) -> Json:
    """Put the table, the paired drifts and the rule's own counts together."""
    groups = [(r, o) for r in settings.rewards for o in settings.optimisers]
    first = next(iter(found.values()))
    return {
        "rates": {o: settings.rates(o) for o in settings.optimisers},
        "start": statistics.iqm_interval(first["start"][settings.tuning :]),
        "table": [row for group in groups for row in _table(settings, found, *group)],
        "first_kl": [row for group in groups for row in _first(settings, found, *group)],
        "pairs": [row for group in groups for row in _pairs(settings, found, *group)],
        "steps": _steps(settings, found, groups),
        "asleep": _asleep(settings, found, groups),
        "rescue": _rescue(settings, found, groups),
    }


def _of(found: Mapping[str, Json], reward: str, optimiser: str, method: str) -> Json:
    return found[f"{reward}, {optimiser}, {method}"]


def _reported(settings: Any, cell: Json, name: str) -> Any:
    """Return one measure of the reported seeds, a row a rate."""
    return np.array(cell[name])[:, settings.tuning :]


def best_rate(settings: Any, cell: Json) -> int:
    """Return the index of the rate with the highest value on the tuning seeds, first in line."""
    scores = [statistics.iqm(row[: settings.tuning]) for row in cell["value"]]
    return int(np.argmax(scores))


def _table(settings: Any, found: Mapping[str, Json], reward: str, optimiser: str) -> list[Json]:
    rule = _of(found, reward, optimiser, RULE)
    ours = _reported(settings, rule, "value")[best_rate(settings, rule)]
    rows = []
    for method in settings.methods:
        cell = _of(found, reward, optimiser, method)
        at = best_rate(settings, cell)
        value, kl, entropy = (
            _reported(settings, cell, name)[at] for name in ("value", "kl", "entropy")
        )
        start = np.array(cell["start"])[settings.tuning :]
        row = {
            "reward": reward,
            "optimiser": optimiser,
            "method": method,
            "best": settings.rates(optimiser)[at],
            "edge": at in (0, len(cell["value"]) - 1),
            "value": statistics.iqm_interval(value),
            "gain": statistics.iqm_interval(value - start),
            "kl": statistics.iqm_interval(kl),
            "entropy": statistics.iqm_interval(entropy),
            "ess": float(np.mean(cell["ess"][at])),
            "lost": float((value < start).mean()),
            "frozen": float((entropy < FROZEN).mean()),
            "against_rule": statistics.paired_improvement(value, ours),
        }
        rows.append(rounded(row, 4))
    return rows


def _first(settings: Any, found: Mapping[str, Json], reward: str, optimiser: str) -> list[Json]:
    """Return the drift in the first batch at each rate, of those that the predictions speak of."""
    rows = []
    for method in ("sft", "is"):
        cell = _of(found, reward, optimiser, method)
        kl = [statistics.iqm(row) for row in _reported(settings, cell, "first_kl")]
        row = {"reward": reward, "optimiser": optimiser, "method": method, "kl": kl}
        rows.append(rounded(row, 4))
    return rows


def _pairs(settings: Any, found: Mapping[str, Json], reward: str, optimiser: str) -> list[Json]:
    rows = []
    for first, second in PAIRS[reward]:
        if first not in settings.methods or second not in settings.methods:
            continue
        kls = [
            _reported(settings, _of(found, reward, optimiser, method), "first_kl")
            for method in (first, second)
        ]
        row = {
            "reward": reward,
            "optimiser": optimiser,
            "first": first,
            "second": second,
            "log_ratio": [
                statistics.difference_interval(np.log(x), np.log(y))
                for x, y in zip(*kls, strict=True)
            ],
        }
        rows.append(rounded(row, 4))
    return rows


def _steps(settings: Any, found: Mapping[str, Json], groups: Sequence[Group]) -> Json:
    """Return the share of steps in which the rule acts, below CALM and above FAR, over seeds.

    A seed's share is that of all its runs; null where no step of any seed lies there.
    """
    counts = [_of(found, *group, RULE)["steps"] for group in groups]
    shares = {}
    for where in ("calm", "far"):
        total, acting = (
            np.sum([np.array(count[name]) for count in counts], axis=0)
            for name in (where, f"{where}_acting")
        )
        there = total > 0
        enough = there.sum() > 1
        shares[where] = statistics.iqm_interval(acting[there] / total[there]) if enough else None
    return shares


def _asleep(settings: Any, found: Mapping[str, Json], groups: Sequence[Group]) -> Json:
    """Count runs of the rule whose KL stays below CALM, and those that end as gamma = 1 ends.

    `awake` counts the same among the runs that went past FAR.
    """
    counts = {"runs": 0, "same": 0, "awake_runs": 0, "awake_same": 0}
    for group in groups:
        rule, plain = (_of(found, *group, method) for method in (RULE, "is"))
        largest = _reported(settings, rule, "largest_kl")
        same = _reported(settings, rule, "value") == _reported(settings, plain, "value")
        calm, far = largest < CALM, largest > FAR
        for name, count in zip(counts, (calm, calm & same, far, far & same), strict=True):
            counts[name] += int(count.sum())
    return counts


def _rescue(settings: Any, found: Mapping[str, Json], groups: Sequence[Group]) -> Json:
    """Return the chance that the rule ends above gamma = 1, over the rates where that goes far.

    Far is a drift of more than FAR in the first batch. Settings are no strata but the same problems
    and draws over again: whole seeds are resampled. Each kind of reward stands beside the whole.
    """
    alone = {reward: [g for g in groups if g[0] == reward] for reward in settings.rewards}
    by_reward = {reward: _chance(settings, found, some) for reward, some in alone.items()}
    return {**_chance(settings, found, groups), "by_reward": by_reward}


def _chance(settings: Any, found: Mapping[str, Json], groups: Sequence[Group]) -> Json:
    """Return the settings, in how many gamma = 1 is ahead, and the chance; null where is none."""
    ours, theirs = [], []
    for group in groups:
        rule, plain = (_of(found, *group, method) for method in (RULE, "is"))
        drifts = _reported(settings, plain, "first_kl")
        for i, drift in enumerate(drifts):
            if statistics.iqm(drift) > FAR:
                ours.append(_reported(settings, rule, "value")[i])
                theirs.append(_reported(settings, plain, "value")[i])
    if not ours:
        return {"settings": 0, "behind": 0, "chance": None}
    chance = statistics.paired_improvement(np.stack(ours, 1), np.stack(theirs, 1))
    pairs = zip(ours, theirs, strict=True)
    behind = sum(int(np.sign(mine - other).sum() < 0) for mine, other in pairs)
    return {"settings": len(ours), "behind": behind, "chance": chance}
