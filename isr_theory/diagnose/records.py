"""The words in which a log is read: columns and layout, pieces, batches, rows that are no use.

Everything here is plain data that can be sent to another process.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST = 1e12
"""Log w of a larger size, in nats, is an error of the log: what stands for a weight of 0 is -inf.

Up to it numbers are still apart by less than a bin is wide.
"""
# Rows of a batch that are shown with the reason why they could not be used.
SHOWN = 20


class LogError(ValueError):
    """A log that cannot be read, or does not have the columns that were asked for."""


@dataclass(frozen=True)
class Columns:
    """Which columns of the log to read, by the names they have there.

    A name that is not the default must exist; None says not to read that column.
    """

    log_pi: str = "log_pi"
    log_mu: str = "log_mu"
    log_w: str = "log_w"
    reward: str | None = "reward"
    length: str | None = "length"
    step: str | None = "step"
    """What "step" in `by` means; not read otherwise."""
    mask: str | None = None
    """1 for the tokens that count; a column "mask" of lists is used unasked."""
    group: str | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Piece:
    """A unit of work: some row groups of a Parquet file, or the whole of another file."""

    path: str
    kind: str
    """parquet, csv, tsv or jsonl."""
    row_groups: tuple[int, ...] = ()
    first_row: int = 0
    """Rows of the file that come before this piece."""
    rows: int | None = None
    size: int = 0
    """Bytes on disk."""


@dataclass(frozen=True)
class Layout:
    """What is read from every file of a log, decided once."""

    pair: tuple[str, str] | None
    """The columns log_pi and log_mu; None where log_w is read."""
    log_w: str | None = None
    lists: bool = False
    """Whether a row holds a list with a number for each token."""
    mask: str | None = None
    reward: str | None = None
    length: str | None = None
    """None where there are lists, whose counted tokens are the length."""
    group: str | None = None
    by: tuple[str, ...] = ()
    numeric: frozenset[str] = frozenset()
    """Which of `by` hold numbers."""
    counted: str = "length"
    """The name in `by` for the number of counted tokens."""
    absent: tuple[str, ...] = ()
    """Columns that would have been read, and are not there; a line of JSON may still have them."""
    notes: tuple[str, ...] = ()
    """Choices that a reader should know of."""

    @property
    def weights(self) -> tuple[str, ...]:
        """The columns that log w is made of."""
        return self.pair or ((self.log_w,) if self.log_w else ())

    @property
    def names(self) -> tuple[str, ...]:
        """Every column to read, once."""
        others = (self.mask, self.reward, self.length, self.group)
        by = (name for name in self.by if not self.is_count(name))
        named = (*self.weights, *(name for name in others if name is not None), *by)
        return tuple(dict.fromkeys(named))

    @property
    def ratio(self) -> str:
        """How log w is made of the columns, in words."""
        made = " - ".join(self.weights)
        if not self.lists:
            return f"log w = {made}"
        where = f" where {self.mask} is 1" if self.mask else ""
        return f"log w = the sum over tokens of {made}{where}"

    def is_count(self, name: str) -> bool:
        """Return whether a name in `by` means the number of counted tokens."""
        return self.lists and name == self.counted

    def is_length(self, name: str) -> bool:
        """Return whether a name in `by` holds lengths."""
        return name == self.length or self.is_count(name)


@dataclass(frozen=True)
class BadRow:
    """A row that was kept out, and why."""

    where: str
    line: int
    """Counted from 1: a line of a text file, where a CSV header is line 1, or a row of Parquet."""
    reason: str


@dataclass(frozen=True)
class Remark:
    """Rows that count for gamma, and lack something for another number."""

    what: str
    """What is true of them, after "so many rows"."""
    count: int
    first: BadRow


@dataclass(frozen=True, eq=False)
class Names:
    """A column as text: few names, and which of them each row has."""

    texts: tuple[str, ...]
    """All different; "(missing)" for an empty cell."""
    place: NDArray[np.int64]

    def __getitem__(self, rows: Any) -> Names:
        """Return the column of some of the rows."""
        return Names(self.texts, self.place[rows])


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of a log, the unusable ones kept out; the arrays may be read-only."""

    log_w: Array
    """(n,); -inf is a weight of 0."""
    length: Array | None = None
    """NaN where it is not known, as is the reward."""
    reward: Array | None = None
    group: NDArray[np.uint64] | None = None
    """A hash of the group's value, the same in every process and for every format."""
    by: dict[str, Array | Names] = field(default_factory=dict)
    """Numbers as float64, NaN where missing."""
    remarks: tuple[Remark, ...] = ()
    read: int = 0
    """Rows seen, good and bad."""
    bad: tuple[BadRow, ...] = ()
    """The first of them."""
    bad_count: int = 0
    done: int = 0
    """Bytes of the piece that have been read."""


def arrow(module: str = "pyarrow") -> Any:
    """Return pyarrow or one of its modules; raise LogError saying how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LogError(
            f'reading a log needs pyarrow ({error}): pip install "isr-theory[diagnose]"'
        ) from error
