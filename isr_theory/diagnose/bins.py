"""A histogram of log w that can be merged, whose bins know their first two moments.

Bins are narrow near the largest weight and widen with the distance from it, which bounds their
number whatever the range: what is at a distance d from the largest counts e^(-a d) in a sum of w^a,
so that the error a d / octave of its bin is small wherever it counts at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from isr_theory.diagnose.records import LARGEST, Array


@dataclass(frozen=True)
class Grid:
    """Where bins of log w begin and end, given the largest. All three are powers of two.

    With A the multiple of `span` next above the largest, bins are `width` wide from A - 2 span up;
    from A - 2^(k+1) span up to A - 2^k span, k >= 1, they are 2^k span / octave wide. So a bin at a
    distance d from the largest is at most 2 d / octave wide, or `width`. Where A rises a bin is
    still whole within one of the new ones.
    """

    width: float
    """In nats."""
    span: float
    octave: int

    def anchor(self, high: float) -> float:
        """Return A for the largest log-weight."""
        return (math.floor(high / self.span) + 1) * self.span

    def error(self, order: float, n: int) -> float:
        """Return a bound on the relative error of a sum of w^order over n weights.

        Near the largest u is order width/2. A bin at a distance d has u <= x / octave, x = order d,
        and what is beyond x = log n + 3 adds less than e^-3 to a sum of at least 1.
        """
        near, far = order * self.width / 2, (math.log(n) + 3) / self.octave
        return math.exp(near) * near**3 / 6 + 1.1 * math.exp(far) * far**3 / 6


WHOLE = Grid(2.0**-7, 2.0**10, 1 << 12)
"""For a log: an error of 2e-7 for any number of weights; 2^18 bins at most, and 4,096 an octave."""
PART = Grid(2.0**-6, 2.0**3, 1 << 8)
"""For one of a thousand parts: an error of 2e-5 for ten thousand weights and 2e-4 for a billion,
in at most 1,024 bins and 256 an octave: 75 KB where log w ranges over 3,000 nats."""


@dataclass(frozen=True, eq=False)
class Levels:
    """The bins of a grid below an anchor, numbered upwards, the last one below it -1."""

    lows: Array
    """Where bins of a next width begin, going up from the lowest."""
    widths: Array
    """One more than `lows`: below the first, between two, and from the last up."""
    shifts: Array
    """What is added to floor(x / width) for the number of the bin."""

    def of(self, values: Array) -> tuple[Array, Array, Array]:
        """Return floor(x / width), the number of the bin, and the width for each x."""
        at = np.searchsorted(self.lows, values, side="right")
        width = self.widths[at]
        # Not the floor of a quotient, which rounds the least number below 0 up to 0.
        low: Array = np.floor_divide(values, width)
        return low, low + self.shifts[at], width

    def edges(self, numbers: Array) -> tuple[Array, Array]:
        """Return where bins begin, and their widths."""
        firsts = self.lows / self.widths[1:] + self.shifts[1:]
        at = np.searchsorted(firsts, numbers, side="right")
        return (numbers - self.shifts[at]) * self.widths[at], self.widths[at]


@lru_cache(maxsize=256)
def _levels(grid: Grid, anchor: float) -> Levels:
    """Return the bins below an anchor, down to the least log-weight that is allowed."""
    lows, widths = [anchor - 2 * grid.span], [grid.width]
    shifts = [-anchor / grid.width]
    first = -2 * grid.span / grid.width
    size = 2 * grid.span
    while True:
        width = size / grid.octave
        widths.append(width)
        shifts.append(first - lows[-1] / width)
        if lows[-1] < -LARGEST:
            break
        size *= 2
        # A multiple of the next width, so that bins of this one are whole within those.
        low = (math.floor(anchor * grid.octave / size) - grid.octave) * size / grid.octave
        first -= (lows[-1] - low) / width
        lows.append(low)
    return Levels(*(np.array(each[::-1]) for each in (lows, widths, shifts)))


@dataclass(frozen=True, eq=False)
class Bins:
    """The bins of log w that hold something, and sums over what is in each."""

    grid: Grid
    anchor: float
    numbers: NDArray[np.int32] = field(repr=False)
    """Which bins, rising; see `Levels`."""
    sums: Array = field(repr=False)
    """Sums of v d^0, v d^1, v d^2, d from the centre, shape (layers, 3, bins); v = 1 in layer 0."""

    def centres(self) -> tuple[Array, Array]:
        """Return the middle and the width of each bin."""
        edges, widths = _levels(self.grid, self.anchor).edges(self.numbers.astype(np.float64))
        return edges + widths / 2, widths


@dataclass(frozen=True, eq=False)
class Counter:
    """All bins of a range, being filled."""

    grid: Grid
    anchor: float
    first: int
    """The number of the lowest bin."""
    sums: Array

    @classmethod
    def over(cls, grid: Grid, low: float, high: float, layers: int) -> Counter:
        """Return empty bins that hold a range."""
        if max(-low, high) > LARGEST:
            raise ValueError(f"log-weights beyond {LARGEST:g} cannot be summed up: {low} to {high}")
        anchor = grid.anchor(high)
        _, (first, last), _ = _levels(grid, anchor).of(np.array([low, high]))
        return cls(grid, anchor, int(first), np.zeros((layers, 3, int(last - first) + 1)))

    def count(self, chunk: Array, values: Sequence[Array]) -> None:
        """Add numbers within the range of the bins, and the values beside them."""
        size = self.sums.shape[-1]
        index, offset = self._placed(chunk)
        square = offset * offset
        self.sums[0, 0] += np.bincount(index, minlength=size)
        self.sums[0, 1] += np.bincount(index, offset, minlength=size)
        self.sums[0, 2] += np.bincount(index, square, minlength=size)
        for layer, value in zip(self.sums[1:], values, strict=True):
            layer[0] += np.bincount(index, value, minlength=size)
            layer[1] += np.bincount(index, value * offset, minlength=size)
            layer[2] += np.bincount(index, value * square, minlength=size)

    def _placed(self, chunk: Array) -> tuple[NDArray[np.intp], Array]:
        """Return the place of each number's bin, and how far it is from the middle of that.

        The width is a power of two and nothing is shifted before it is cut, so that a number falls
        into the same bin whatever the others are.
        """
        levels, width = _levels(self.grid, self.anchor), self.grid.width
        if self.first < -2 * self.grid.span / width:
            low, number, widths = levels.of(chunk)
            return (number - self.first).astype(np.intp), chunk - (low + 0.5) * widths
        # All bins are of one width.
        place = chunk * (1 / width)
        low = np.floor(place)
        index = (low - (self.first - levels.shifts[-1])).astype(np.intp)
        return index, (place - low - 0.5) * width

    def filled(self) -> Bins:
        """Return the bins that hold something."""
        filled = np.flatnonzero(self.sums[0, 0])
        numbers = (filled + self.first).astype(np.int32)
        return Bins(self.grid, self.anchor, numbers, self.sums[:, :, filled])


def merge_bins(one: Bins, other: Bins) -> Bins:
    """Return the bins of both, which are of one grid."""
    anchor = max(one.anchor, other.anchor)
    one, other = _moved(one, anchor), _moved(other, anchor)
    numbers = np.union1d(one.numbers, other.numbers)
    # The last layers of the one with more of them are 0 in the other.
    sums = np.zeros((max(len(one.sums), len(other.sums)), 3, len(numbers)))
    for bins in (one, other):
        sums[: len(bins.sums), :, np.searchsorted(numbers, bins.numbers)] += bins.sums
    return Bins(one.grid, anchor, numbers, sums)


def _moved(bins: Bins, anchor: float) -> Bins:
    """Return the same sums in the bins below a higher anchor, each of which holds whole ones."""
    if anchor == bins.anchor:
        return bins
    centres, _ = bins.centres()
    low, number, widths = _levels(bins.grid, anchor).of(centres)
    shift = centres - (low + 0.5) * widths
    count, linear, square = np.moveaxis(bins.sums, 1, 0)
    moved = np.stack(
        [count, linear + shift * count, square + 2 * shift * linear + shift**2 * count], axis=1
    )
    numbers, starts = np.unique(number, return_index=True)
    sums = np.add.reduceat(moved, starts, axis=-1)
    return Bins(bins.grid, anchor, numbers.astype(np.int32), sums)
