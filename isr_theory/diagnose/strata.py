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
from isr_theory.diagnose.summary import Summary, merge, summarise

Array = NDArray[np.float64]
Key = float | str

# Cells of one column: more could not be read, and the first few thousand of the largest weights
# are tail enough for each.
MOST_CELLS = 16
MOST_NAMES = 1000
KEEP = 1 << 12
# Numbers of a column that are closer share a bin; where it starts must not depend on the others.
FINEST = 2.0**-20
MISSING = "(missing)"


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


def stratify(log_w: Array, column: NDArray[Any], *, octaves: bool) -> Strata:
    """Return summaries of log-weights by a column: numbers, or names as objects.

    A lower border belongs to its cell, an upper one does not.
    """
    if column.dtype == object:
        strata = Strata("name", cells=_split(log_w, column.astype(str)))
    elif octaves:
        # What is not positive has no octave: it is a cell of its own.
        with np.errstate(divide="ignore", invalid="ignore"):
            strata = Strata("octave", cells=_split(log_w, np.floor(np.log2(column))))
    else:
        width = _width(np.unique(column[np.isfinite(column)]))
        strata = Strata("even", width, _split(log_w, _key(column, width)))
    return _checked(strata)


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


def _split(log_w: Array, keys: NDArray[Any]) -> dict[Key, Summary]:
    """Return the summary of each part; a stable sort keeps the rows of a part in their order."""
    names, place = np.unique(keys, return_inverse=True)
    order = np.argsort(place, kind="stable")
    borders = np.searchsorted(place[order], np.arange(len(names) + 1))
    cells: dict[Key, Summary] = {}
    for name, start, stop in zip(names.tolist(), borders, borders[1:], strict=False):
        key = name if isinstance(name, str) or math.isfinite(name) else MISSING
        cell = summarise(log_w[order[start:stop]], keep=KEEP, grid=PART)
        cells[key] = merge(cells[key], cell) if key in cells else cell
    return cells


def merge_strata(one: Strata, other: Strata) -> Strata:
    """Return the strata of both."""
    if one.kind != other.kind:
        kinds = sorted((one.kind, other.kind))
        raise ValueError(f"a column is {kinds[0]} in one file and {kinds[1]} in another")
    if one.kind != "even":
        return _checked(Strata(one.kind, cells=_joined(one.cells, other.cells)))
    width = max(one.width, other.width)
    cells = _joined(_coarser(one, width), _coarser(other, width))
    while sum(not isinstance(key, str) for key in cells) > MOST_CELLS:
        joined = Strata("even", width, cells)
        numbers = np.array(sorted(key for key in cells if not isinstance(key, str)))
        width = 2 * width if width else _width(numbers)
        cells = _coarser(joined, width)
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


def _checked(strata: Strata) -> Strata:
    if strata.kind == "name" and len(strata.cells) > MOST_NAMES:
        raise TooManyNamesError(
            f"more than {MOST_NAMES} different names: a report by them could not be read"
        )
    return strata
