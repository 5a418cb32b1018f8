"""The same summary within each part of a log: by length in octaves, by step in even bins, by name.

Cells must merge to the same answer in any order, so their borders are nested: octaves are fixed,
even bins have a width that is a power of two and doubles when there are too many.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isr_theory.diagnose.bins import PART
from isr_theory.diagnose.cells import MISSING
from isr_theory.diagnose.records import Array, Names
from isr_theory.diagnose.summary import Summary, merge, summarise

Key = float | str

# Cells of one column: more could not be read, and the first few thousand of the largest weights
# are tail enough for each.
MOST_CELLS = 16
MOST_NAMES = 1000
KEEP = 1 << 12
# Numbers of a column that are closer share a bin; where it starts must not depend on the others.
FINEST = 2.0**-20


class TooManyNamesError(ValueError):
    """A column to stratify by has more names than a report can show."""


@dataclass(frozen=True)
class Strata:
    """Summaries by the values of one column, of kind octave, even or name."""

    kind: str
    width: float = 0.0
    """Of even bins: a power of two, or 0 while every number has its own cell."""
    cells: dict[Key, Summary] = field(default_factory=dict)

    def labelled(self) -> list[tuple[str, Summary]]:
        """Return the cells with labels, in the order of their values, what is missing last."""
        return [(self._label(key), cell) for key, cell in _in_order(self.cells)]

    def _label(self, key: Key) -> str:
        if isinstance(key, str):
            return key
        if self.kind == "octave":
            return f"{2**key:g} to {2 ** (key + 1):g}"
        if self.width == 0:
            return f"{key:g}"
        return f"{key * self.width:g} to {(key + 1) * self.width:g}"


def stratify(log_w: Array, column: Array | Names, *, octaves: bool) -> Strata:
    """Return summaries of log-weights by a column.

    A lower border belongs to its cell, an upper one does not.
    """
    if isinstance(column, Names):
        present, place = np.unique(column.place, return_inverse=True)
        _check_names(len(present))
        names = [column.texts[code] for code in present.tolist()]
        return Strata("name", cells=_split(log_w, names, place))
    if octaves:
        # What is not positive has no octave: it is a cell of its own.
        with np.errstate(divide="ignore", invalid="ignore"):
            return Strata("octave", cells=_split_numbers(log_w, np.floor(np.log2(column))))
    width = _width(np.unique(column[np.isfinite(column)]))
    return Strata("even", width, _split_numbers(log_w, _key(column, width)))


def _width(values: Array) -> float:
    """Return 0 where distinct values are few, else the least power of two with few enough bins.

    The least one: so that merged strata, which only ever double, come to the same.
    """
    if len(values) <= MOST_CELLS:
        return 0.0
    width = FINEST
    bins = np.unique(np.floor(values / width))
    while len(bins) > MOST_CELLS:
        width *= 2
        bins = np.unique(np.floor(bins / 2))
    return width


def _key(values: Any, width: float) -> Any:
    return np.floor(values / width) if width else values


def _split_numbers(log_w: Array, numbers: Array) -> dict[Key, Summary]:
    keys, place = np.unique(numbers, return_inverse=True)
    return _split(log_w, [key if math.isfinite(key) else MISSING for key in keys.tolist()], place)


def _split(log_w: Array, keys: list[Key], place: NDArray[np.int64]) -> dict[Key, Summary]:
    """Return the summary of each part; a stable sort keeps the rows of a part in their order."""
    order = np.argsort(place, kind="stable")
    borders = np.searchsorted(place[order], np.arange(len(keys) + 1))
    cells: dict[Key, Summary] = {}
    for key, start, stop in zip(keys, borders, borders[1:], strict=False):
        cell = summarise(log_w[order[start:stop]], keep=KEEP, grid=PART)
        cells[key] = merge(cells[key], cell) if key in cells else cell
    return cells


def merge_strata(one: Strata, other: Strata) -> Strata:
    """Return the strata of both."""
    if one.kind != other.kind:
        kinds = sorted((one.kind, other.kind))
        raise ValueError(f"a column is {kinds[0]} in one file and {kinds[1]} in another")
    if one.kind != "even":
        joined = _joined(one.cells, other.cells)
        _check_names(len(joined) if one.kind == "name" else 0)
        return Strata(one.kind, cells=joined)
    width = max(one.width, other.width)
    cells = _joined(_coarser(one, width), _coarser(other, width))
    while sum(not isinstance(key, str) for key in cells) > MOST_CELLS:
        bins = Strata("even", width, cells)
        numbers = np.array(sorted(key for key in cells if not isinstance(key, str)))
        width = 2 * width if width else _width(numbers)
        cells = _coarser(bins, width)
    return Strata("even", width, cells)


def _coarser(strata: Strata, width: float) -> dict[Key, Summary]:
    """Return the cells of even bins of another, larger width."""
    if strata.width == width:
        return strata.cells

    def moved(key: Key) -> Key:
        if isinstance(key, str):
            return key
        return float(_key(key * strata.width if strata.width else key, width))

    return _joined({}, strata.cells, moved)


def _joined(
    one: dict[Key, Summary],
    other: dict[Key, Summary],
    moved: Callable[[Key], Key] = lambda key: key,
) -> dict[Key, Summary]:
    cells = dict(one)
    for key, cell in _in_order(other):
        at = moved(key)
        cells[at] = merge(cells[at], cell) if at in cells else cell
    return cells


def _in_order(cells: dict[Key, Summary]) -> list[tuple[Key, Summary]]:
    """Return cells in the order of their numbers or names, numbers first."""
    return sorted(cells.items(), key=lambda item: (isinstance(item[0], str), item[0]))


def _check_names(count: int) -> None:
    if count > MOST_NAMES:
        raise TooManyNamesError(
            f"has more than {MOST_NAMES:,} different names: a report by them could not be read"
        )
