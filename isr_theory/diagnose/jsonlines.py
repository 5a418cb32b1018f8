"""JSON lines: one object a line, which names its columns anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from isr_theory.diagnose.blocks import blocks, text
from isr_theory.diagnose.cells import quoted
from isr_theory.diagnose.checking import Chunk, checked
from isr_theory.diagnose.records import Batch, Layout, LogError, Piece
from isr_theory.diagnose.rules import Mask

# Lines that are looked at to learn what the columns are.
SNIFFED = 1000


def head(piece: Piece) -> dict[str, list[Any]]:
    """Return the first cells of each column."""
    found: dict[str, list[Any]] = {}
    for _, line in islice(_lines(piece.path), SNIFFED):
        row = _parsed(line)
        if isinstance(row, dict):
            for name, cell in row.items():
                found.setdefault(name, []).append(cell)
        elif not found and line.startswith("[") and ".json" in piece.path.lower()[-9:]:
            raise LogError(f"{piece.path} is one JSON array: one object a line can be read")
    return found


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers."""
    for block in blocks(path, quotes=False):
        for number, line in enumerate(text(block.content).split("\n"), block.line):
            if stripped := line.strip():
                yield number, stripped


def _parsed(line: str) -> Any:
    """Return what a line says, or the reason why it is no row."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return f"not JSON: {quoted(line)}"
    return row if isinstance(row, dict) else f"not a JSON object: {quoted(line)}"


def batches(piece: Piece, layout: Layout, rows: int) -> Iterator[Batch]:
    """Yield the rows of a file in batches of at most `rows`, fewer where lines are long."""
    names = layout.names
    for block in blocks(piece.path, quotes=False):
        lines = enumerate(text(block.content).split("\n"), block.line)
        while some := list(islice(lines, rows)):
            parsed = [(number, _parsed(line)) for number, line in some if not _blank(line)]
            found = [(number, row) for number, row in parsed if isinstance(row, dict)]
            refused = [(number, row) for number, row in parsed if isinstance(row, str)]
            columns = {name: [row.get(name) for _, row in found] for name in names}
            places = [number for number, _ in found]
            if parsed:
                late = _late([row for _, row in found], layout.absent)
                chunk = Chunk(piece.path, len(found), columns, places.__getitem__, refused, late)
                yield replace(checked(chunk, layout), done=block.done)


def _late(
    rows: list[dict[str, Any]], absent: tuple[str, ...]
) -> list[tuple[str, Mask, Callable[[int], str]]]:
    """Return which rows have a column that no row among the first had."""
    found: list[tuple[str, Mask, Callable[[int], str]]] = []
    for name in absent:
        cells = [row.get(name) for row in rows]
        late = np.array([cell is not None for cell in cells], dtype=np.bool_)
        if late.any():
            found.append((name, late, partial(_said, name, cells)))
    return found


def _said(name: str, cells: list[Any], row: int) -> str:
    return f"{name} is {quoted(cells[row])}"


def _blank(line: str) -> bool:
    return not line or line.isspace()
