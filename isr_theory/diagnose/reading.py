"""Reading a log: which files, which columns, and its rows batch by batch in constant memory.

`pieces` finds the files, `resolve` decides once what is read from them all, `batches` reads one
piece. Each format has a module of its own: `tables`, `delimited`, `jsonlines`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from isr_theory.diagnose import delimited, jsonlines, tables
from isr_theory.diagnose.blocks import COMPRESSED
from isr_theory.diagnose.layout import Seen, decide, kind_of
from isr_theory.diagnose.records import BadRow, Batch, Columns, Layout, LogError, Piece, Remark

__all__ = [
    "BadRow",
    "Batch",
    "Columns",
    "Layout",
    "LogError",
    "Piece",
    "Remark",
    "available",
    "batches",
    "pieces",
    "resolve",
    "skipped",
]

KINDS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
ALLOWED = f"a log ends in {', '.join(KINDS)}; text may be followed by {', '.join(COMPRESSED)}"

# Rows of a batch: two megabytes a column, which stay in the cache of a core while they are summed.
ROWS = 1 << 18


def pieces(paths: Sequence[str | Path]) -> list[Piece]:
    """Return the pieces of files and of folders, those of a folder in the order of their names.

    Raises LogError for a path that is not there or given twice, an ending that is not known, and a
    folder without a log.
    """
    files = [file for path in paths for file in _files(Path(path))]
    seen: set[Path] = set()
    for file in files:
        if (whole := file.resolve()) in seen:
            raise LogError(f"{file} is given twice: its rows would count twice")
        seen.add(whole)
    return [piece for file in files for piece in _pieces_of(file)]


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise LogError(f"{path}: there is no such file or folder")
    if not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and _kind(file) and not _is_hidden(file.relative_to(path))
    )
    if not found:
        raise LogError(f"{path} is a folder without a log: {ALLOWED}")
    return found


def skipped(paths: Sequence[str | Path]) -> tuple[str, ...]:
    """Return the files of the folders that are no part of the log, by their names or endings."""
    return tuple(
        str(file)
        for path in map(Path, paths)
        if path.is_dir()
        for file in sorted(path.rglob("*"))
        if file.is_file() and (not _kind(file) or _is_hidden(file.relative_to(path)))
    )


def _kind(file: Path) -> str | None:
    """Return the format that a name promises."""
    inner = file.with_suffix("") if file.suffix.lower() in COMPRESSED else file
    kind = KINDS.get(inner.suffix.lower())
    return None if kind == "parquet" and inner is not file else kind


def _is_hidden(file: Path) -> bool:
    """Return whether a name marks what other programs leave beside a log."""
    return any(part.startswith((".", "_")) for part in file.parts)


def _pieces_of(file: Path) -> list[Piece]:
    kind = _kind(file)
    if kind is None:
        raise LogError(f"{file}: {ALLOWED}")
    if kind == "parquet":
        return tables.pieces_of(str(file))
    return [Piece(str(file), kind, size=file.stat().st_size)]


def available(piece: Piece) -> dict[str, str]:
    """Return the columns of a file and what each holds: number, flag, text, list, unknown, object.

    Of text these are what the first thousand lines have.
    """
    if piece.kind == "parquet":
        return tables.kinds(piece)
    head = jsonlines.head(piece) if piece.kind == "jsonl" else delimited.head(piece)
    return {name: kind_of(list(cells)) for name, cells in head.items()}


def resolve(found: Sequence[Piece], columns: Columns) -> Layout:
    """Decide what is read from a log.

    Raises LogError, listing the columns found, where one that is needed or was named is not there,
    and naming both files where two disagree.
    """
    files = {piece.path: piece for piece in found}
    return decide([Seen(path, available(piece)) for path, piece in files.items()], columns)


def batches(piece: Piece, layout: Layout, rows: int = ROWS) -> Iterator[Batch]:
    """Yield the rows of a piece, those that are no use kept out and counted.

    Raises LogError for a file that is not what its name promises.
    """
    if piece.kind == "parquet":
        return tables.batches(piece, layout, rows)
    if piece.kind == "jsonl":
        return jsonlines.batches(piece, layout, rows)
    return delimited.batches(piece, layout, rows)
