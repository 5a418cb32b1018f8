"""What many seeds say: interquartile means with intervals, and how likely one method beats another.

Seeds are the unit of replication. A score table has a row a seed and a column a setting, the
*strata*: the interquartile mean is that of all its entries, and its interval comes from resampling
seeds within each stratum (Agarwal et al. 2021, Deep reinforcement learning at the edge of the
statistical precipice). Where settings share a seed's problem or its draws, its scores hang
together: `joint=True` resamples whole rows, or the interval would be too narrow. An interval is
`[value, low, high]`, as the ledger reads it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
LEVEL = 0.95
REPLICATES = 2000


def iqm(scores: ArrayLike) -> float:
    """Return the mean of the middle half of all scores: a quarter is cut off at either end."""
    return float(_iqm_rows(_table(scores).reshape(1, -1))[0])


def _iqm_rows(rows: Array) -> Array:
    cut = rows.shape[-1] // 4
    kept = np.sort(rows, axis=-1)[..., cut : rows.shape[-1] - cut]
    means: Array = kept.mean(axis=-1)
    return means


def _mean_rows(rows: Array) -> Array:
    means: Array = rows.mean(axis=-1)
    return means


def iqm_interval(
    scores: ArrayLike, *, seed: int = 0, level: float = LEVEL, joint: bool = False
) -> list[float]:
    """Return the interquartile mean and its percentile interval, by a stratified bootstrap.

    `scores` is one number a seed, or a row a seed and a column a setting; `joint` resamples whole
    rows, for settings that share their seeds' problems or draws. Raises ValueError for scores that
    are not finite, fewer than two seeds, and a level outside (0, 1).
    """
    return _interval(_table(scores), _iqm_rows, seed, level, joint)


def mean_interval(
    scores: ArrayLike, *, seed: int = 0, level: float = LEVEL, joint: bool = False
) -> list[float]:
    """Return the mean and its percentile interval, by the same bootstrap."""
    return _interval(_table(scores), _mean_rows, seed, level, joint)


def difference_interval(
    ours: ArrayLike,
    theirs: ArrayLike,
    *,
    seed: int = 0,
    level: float = LEVEL,
    joint: bool = False,
) -> list[float]:
    """Return the interquartile mean of paired differences, seed by seed, with its interval."""
    first, second = _pair(ours, theirs)
    return _interval(first - second, _iqm_rows, seed, level, joint)


def improvement(
    ours: ArrayLike,
    theirs: ArrayLike,
    *,
    seed: int = 0,
    level: float = LEVEL,
    joint: bool = False,
) -> list[float]:
    """Return P(ours > theirs) + P(ours = theirs)/2 over settings, with its bootstrap interval.

    Each method's seeds are resampled on their own, for a run of one that is not paired with one of
    the other; `paired_improvement` is for methods that met the same problems and draws. Raises as
    `iqm_interval`, and for tables of other settings.
    """
    first, second = _table(ours), _table(theirs)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"theirs must have {first.shape[1]} settings, not {second.shape[1]}")
    _check(first, level)
    _check(second, level)
    rng = np.random.default_rng(seed)
    found = [
        _wins(_resampled(first, rng, joint), _resampled(second, rng, joint))
        for _ in range(REPLICATES)
    ]
    return [_wins(first, second), *_ends(np.array(found), level)]


def paired_improvement(
    ours: ArrayLike, theirs: ArrayLike, *, seed: int = 0, level: float = LEVEL
) -> list[float]:
    """Return the mean over seeds and settings of [ours > theirs] + [ours = theirs]/2.

    A row of both tables is one seed: each method met the same problem with the same draws there, so
    that it is compared with itself alone, and whole rows of both are resampled together. Raises as
    `iqm_interval`, and for tables of other shapes.
    """
    first, second = _pair(ours, theirs)
    # A score that is not finite must be refused before its comparison, which is always finite.
    _check(first, level)
    _check(second, level)
    won = (first > second) + (first == second) / 2
    return _interval(won, _mean_rows, seed, level, joint=True)


def _pair(ours: ArrayLike, theirs: ArrayLike) -> tuple[Array, Array]:
    first, second = _table(ours), _table(theirs)
    if first.shape != second.shape:
        raise ValueError(f"theirs must have the shape of ours, {first.shape}, not {second.shape}")
    return first, second


def _wins(first: Array, second: Array) -> float:
    above = (first[:, None, :] > second[None, :, :]).mean()
    level = (first[:, None, :] == second[None, :, :]).mean()
    return float(above + level / 2)


def _table(scores: ArrayLike) -> Array:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim not in (1, 2) or not table.size:
        raise ValueError(f"scores must be one number a seed, or rows of them, not {table.shape}")
    return table.reshape(len(table), -1)


def _check(table: Array, level: float) -> None:
    if not np.isfinite(table).all():
        raise ValueError("scores must be finite: a run that failed needs a score of its own")
    if len(table) < 2:
        raise ValueError("an interval needs at least two seeds")
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), not {level}")


def _resampled(table: Array, rng: np.random.Generator, joint: bool) -> Array:
    if joint:
        return table[rng.integers(len(table), size=len(table))]
    drawn: Array = np.take_along_axis(table, rng.integers(len(table), size=table.shape), axis=0)
    return drawn


def _interval(
    table: Array, statistic: Statistic, seed: int, level: float, joint: bool
) -> list[float]:
    _check(table, level)
    rng = np.random.default_rng(seed)
    rows = np.stack([_resampled(table, rng, joint).reshape(-1) for _ in range(REPLICATES)])
    return [float(statistic(table.reshape(1, -1))[0]), *_ends(statistic(rows), level)]


def _ends(found: Array, level: float) -> list[float]:
    return [float(x) for x in np.quantile(found, [(1 - level) / 2, (1 + level) / 2])]
