"""Tables of numbers and words, as CSV with six significant digits, and whether two agree."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

Cell = str | float
Row = Mapping[str, Cell]
Tables = Mapping[str, Sequence[Row]]
"""Name of a table to its rows; all rows of a table have the same columns."""


def where(rows: Sequence[Row], **wanted: Cell) -> list[Row]:
    """Return the rows that have these cells."""
    return [row for row in rows if all(row[name] == cell for name, cell in wanted.items())]


def column(rows: Sequence[Row], name: str) -> list[float]:
    """Return one column as numbers."""
    return [float(row[name]) for row in rows]


def text(rows: Sequence[Row]) -> str:
    """Return a table as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _written(cell) for name, cell in row.items()})
    return out.getvalue()


def _written(cell: Cell) -> str:
    # Adding 0 turns -0 into 0, which a processor may or may not write.
    return cell if isinstance(cell, str) else f"{float(f'{cell:.6g}') + 0.0:.6g}"


def differences(committed: str, fresh: str) -> list[str]:
    """Say where two tables differ beyond rounding.

    Numbers may differ by one in the sixth digit, at most 1e-5 of them, since a number that lies on
    the border of two roundings may fall either way; or by 1e-12, where they are 0 but for noise.
    """
    ours, theirs = (list(csv.reader(io.StringIO(content))) for content in (committed, fresh))
    if len(ours) != len(theirs) or ours[:1] != theirs[:1]:
        return [f"{len(ours)} lines, headed {ours[:1]}, are now {len(theirs)}, {theirs[:1]}"]
    return [
        f"line {number}, {name}: {a} is now {b}"
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True), start=1)
        for name, a, b in zip(ours[0], one, other, strict=True)
        if not _same(a, b)
    ]


def _same(a: str, b: str) -> bool:
    if a == b:
        return True
    try:
        return math.isclose(float(a), float(b), rel_tol=1.01e-5, abs_tol=1e-12)
    except ValueError:
        return False
