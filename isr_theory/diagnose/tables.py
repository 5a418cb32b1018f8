"""Parquet: pieces of row groups, and their rows as Arrow batches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from isr_theory.diagnose.checking import Chunk, checked
from isr_theory.diagnose.records import Batch, Layout, LogError, Piece, arrow

# A piece has at most this many rows, unless a single row group has more: enough of them for the
# processes of a cluster to share, and each worth the message that sends it.
MOST_ROWS = 1 << 22
# Read from disk at a time, so that a row group of any size takes no more memory than this a column.
BUFFER = 1 << 20


def pieces_of(path: str) -> list[Piece]:
    """Return the pieces of a file: neighbouring row groups."""
    with _opened(path) as table:
        groups = [table.metadata.row_group(k) for k in range(table.metadata.num_row_groups)]
        rows = [group.num_rows for group in groups]
        sizes = [group.total_byte_size for group in groups]
    found: list[Piece] = []
    first = 0
    for start, end in _runs(rows):
        count = sum(rows[start:end])
        size = sum(sizes[start:end])
        found.append(Piece(path, "parquet", tuple(range(start, end)), first, count, size))
        first += count
    # A file without rows still has columns.
    return found or [Piece(path, "parquet", rows=0)]


def _runs(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Yield where runs of row groups begin and end."""
    start = taken = 0
    for k, count in enumerate(rows):
        if k > start and taken + count > MOST_ROWS:
            yield start, k
            start, taken = k, 0
        taken += count
    if rows:
        yield start, len(rows)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    pa, parquet = arrow(), arrow("pyarrow.parquet")
    try:
        with parquet.ParquetFile(path, buffer_size=BUFFER) as table:
            yield table
    except (pa.ArrowException, OSError) as error:
        raise LogError(f"{path} cannot be read as Parquet: {error}") from error


def kinds(piece: Piece) -> dict[str, str]:
    """Return the columns of a file and what each holds."""
    with _opened(piece.path) as table:
        names = table.schema_arrow.names
        if repeated := [name for name in names if names.count(name) > 1]:
            raise LogError(f"{piece.path} has more than one column {repeated[0]!r}")
        return {field.name: _kind(field.type) for field in table.schema_arrow}


def _kind(of: Any) -> str:
    types = arrow().types
    if types.is_dictionary(of):
        return _kind(of.value_type)
    if types.is_nested(of):
        return "list" if hasattr(of, "value_type") and not types.is_map(of) else "object"
    if types.is_boolean(of):
        return "flag"
    if types.is_integer(of) or types.is_floating(of) or types.is_decimal(of):
        return "number"
    return "unknown" if types.is_null(of) else "text"


def batches(piece: Piece, layout: Layout, rows: int) -> Iterator[Batch]:
    """Yield the rows of a piece in batches of at most `rows`."""
    if not piece.row_groups:
        return
    names = list(layout.names)
    first = piece.first_row + 1
    with _opened(piece.path) as table:
        groups = list(piece.row_groups)
        for part in table.iter_batches(rows, row_groups=groups, columns=names):
            columns = {name: part.column(name) for name in names}
            lines = range(first, first + len(part))
            batch = checked(Chunk(piece.path, len(part), columns, lines.__getitem__), layout)
            first += len(part)
            done = piece.size * (first - 1 - piece.first_row) // max(1, piece.rows or 1)
            yield replace(batch, done=done)
