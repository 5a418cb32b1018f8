"""CSV and TSV: by Arrow where a block is as it should be, line by line where it is not.

A block goes line by line when Arrow refuses it, or finds other than one row a line: then a cell is
no number, a line has too few or too many fields, is blank, or a quoted cell runs over several. Both
ways read a good row alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from isr_theory.diagnose.blocks import blocks, text
from isr_theory.diagnose.checking import Chunk, checked
from isr_theory.diagnose.records import Batch, Layout, LogError, Piece, arrow

DELIMITER = {"csv": ",", "tsv": "\t"}
# Lines that are looked at to learn what the columns hold.
SNIFFED = 1000


@dataclass(frozen=True)
class Header:
    """The names of the columns, and what stands between two fields."""

    names: tuple[str, ...]
    delimiter: str


def head(piece: Piece) -> dict[str, list[str]]:
    """Return the first cells of each column; nothing for an empty file."""
    for header, first, block, _ in _bodies(piece):
        records = islice(_records(block, first, header), SNIFFED)
        rows = [cells for _, cells in records if isinstance(cells, list)]
        return {name: [row[i] for row in rows] for i, name in enumerate(header.names)}
    return {}


def _bodies(piece: Piece) -> Iterator[tuple[Header, int, bytes, int]]:
    """Yield the header with each block of lines below it: its first, itself, and what is done."""
    header = None
    for whole in blocks(piece.path, quotes=True):
        first, block = whole.line, whole.content
        while header is None and block:
            line, _, block = block.partition(b"\n")
            first += 1
            header = _header(piece, text(line)) if line.strip() else None
        if header is not None:
            yield header, first, block, whole.done


def _header(piece: Piece, line: str) -> Header:
    delimiter = DELIMITER[piece.kind]
    names = _fields(line.rstrip("\r"), delimiter, strict=True)
    if names is None:
        raise LogError(f"{piece.path}: the quotes of the header do not match")
    names = [name.strip() for name in names]
    repeated = [name for name in names if name and names.count(name) > 1]
    if repeated:
        raise LogError(f"{piece.path} has more than one column {repeated[0]!r}")
    return Header(tuple(names), delimiter)


def batches(piece: Piece, layout: Layout, rows: int) -> Iterator[Batch]:
    """Yield the rows of a file in batches of at most `rows`, fewer where lines are long."""
    for header, first, block, done in _bodies(piece):
        table = _table(block, header, layout)
        chunks = (
            _by_line(piece, layout, header, _records(block, first, header), rows)
            if table is None
            else _by_table(piece, layout, table, first, rows)
        )
        for chunk in chunks:
            yield replace(checked(chunk, layout), done=done)


def _table(block: bytes, header: Header, layout: Layout) -> Any | None:
    """Return the columns to read as an Arrow table of one row a line, or None if it is not so."""
    pa, csv = arrow(), arrow("pyarrow.csv")
    # Columns are known by their place: names that are not read may be empty or repeated.
    place = {name: str(header.names.index(name)) for name in layout.names}
    measured = {*layout.numeric, layout.reward, layout.length}
    measured |= set() if layout.lists else set(layout.weights)
    # What is a group, or is read as text elsewhere, must be seen as it is written.
    measured -= {layout.group, *(name for name in layout.by if name not in layout.numeric)}
    try:
        table = csv.read_csv(
            pa.BufferReader(block),
            csv.ReadOptions(
                column_names=[str(i) for i in range(len(header.names))],
                block_size=len(block) + 1 if layout.lists else 1 << 20,
            ),
            csv.ParseOptions(delimiter=header.delimiter, newlines_in_values=b'"' in block),
            csv.ConvertOptions(
                include_columns=list(place.values()),
                column_types={
                    place[name]: pa.float64() if name in measured else pa.string()
                    for name in layout.names
                },
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    return table.rename_columns(list(layout.names)) if table.num_rows == lines else None


def _by_table(piece: Piece, layout: Layout, table: Any, first: int, rows: int) -> Iterator[Chunk]:
    for part in table.combine_chunks().to_batches(max_chunksize=rows):
        columns = {name: part.column(name) for name in layout.names}
        yield Chunk(piece.path, len(part), columns, range(first, first + len(part)).__getitem__)
        first += len(part)


def _by_line(
    piece: Piece,
    layout: Layout,
    header: Header,
    records: Iterator[tuple[int, list[str] | str]],
    rows: int,
) -> Iterator[Chunk]:
    place = {name: header.names.index(name) for name in layout.names}
    while some := list(islice(records, rows)):
        good = [(line, cells) for line, cells in some if isinstance(cells, list)]
        refused = [(line, cells) for line, cells in some if isinstance(cells, str)]
        columns = {name: [cells[i] for _, cells in good] for name, i in place.items()}
        lines = [line for line, _ in good]
        yield Chunk(piece.path, len(good), columns, lines.__getitem__, refused)


def _records(block: bytes, first: int, header: Header) -> Iterator[tuple[int, list[str] | str]]:
    """Yield the first line of each row with its fields, or with the reason why it is no row."""
    lines = [line.removesuffix("\r") for line in text(block).split("\n")]
    width = len(header.names)
    at = 0
    while at < len(lines):
        here, used = at, 1
        if not lines[here]:
            at += 1
            continue
        cells, used = _row_at(lines, here, header)
        at += used
        if cells is None:
            yield first + here, "a quote is not closed"
        elif len(cells) != width:
            yield first + here, f"{len(cells)} fields, and the header has {width}"
        else:
            yield first + here, cells


def _row_at(lines: list[str], at: int, header: Header) -> tuple[list[str] | None, int]:
    """Return the fields of the row that begins at a line, and how many lines it takes.

    A row over several lines must be sound: else a stray quote would swallow what follows it.
    """
    line = lines[at]
    if '"' not in line:
        return line.split(header.delimiter), 1
    if line.count('"') % 2 == 0:
        return _fields(line, header.delimiter, strict=False), 1
    for end in range(at + 1, len(lines)):
        if lines[end].count('"') % 2:
            cells = _fields("\n".join(lines[at : end + 1]), header.delimiter, strict=True)
            if cells is not None and len(cells) == len(header.names):
                return cells, end + 1 - at
            break
    return _fields(line, header.delimiter, strict=True), 1


def _fields(row: str, delimiter: str, *, strict: bool) -> list[str] | None:
    """Return the fields of a row, or None where a quote is not closed.

    `strict` refuses text after a closing quote as well. The csv module would do, but for its
    limit on the length of a field, which is one for the whole process.
    """
    pattern = rf'(?:"((?:[^"]+|"")*)"([^{delimiter}]*)|([^{delimiter}]*))({delimiter}|\Z)'
    field, fields, at = re.compile(pattern), list[str](), 0
    while match := field.match(row, at):
        inside, after, plain, end = match.groups()
        if plain is not None and plain.startswith('"'):
            return None
        if strict and (after or (plain is not None and "\n" in plain)):
            return None
        fields.append(plain if inside is None else inside.replace('""', '"') + after)
        at = match.end()
        if not end:
            return fields
    return None
