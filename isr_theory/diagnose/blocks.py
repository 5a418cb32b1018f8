"""Blocks of whole lines of a text file, plain or compressed, and the number of the first line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from isr_theory.diagnose.records import LogError, arrow

BLOCK = 1 << 22
# No row is longer; a block that seems to have no end of a row in this much is cut at a line.
LONGEST = 1 << 24
COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Block:
    """Whole lines of a file."""

    line: int
    """The number of the first."""
    content: bytes
    done: int
    """Bytes of the file, compressed or not, that had been read by its end."""


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[Any, Any]]:
    """Yield the text and the file it comes from."""
    pa, kind = arrow(), COMPRESSED.get(f".{path.lower().rpartition('.')[2]}")
    try:
        with pa.OSFile(path) as file:
            if kind is None:
                yield file, file
                return
            with pa.CompressedInputStream(file, kind) as stream:
                yield stream, file
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error}") from error


def blocks(path: str, *, quotes: bool) -> Iterator[Block]:
    """Yield the blocks of a file; with `quotes` no quoted cell is cut."""
    rest, line, done = b"", 1, 0
    with _opened(path) as (stream, file):
        while more := stream.read(BLOCK):
            rest += more
            done = file.tell()
            if line == 1:
                rest = rest.removeprefix(BOM)
            end = _end_of_rows(rest, quotes)
            if not end and len(rest) > LONGEST:
                # A quote that is never closed costs its own row, not the rest of the file.
                end = _end_of_rows(rest, quotes=False)
                if not end:
                    raise LogError(f"{path}: line {line} is longer than {LONGEST:,} bytes")
            if end:
                yield Block(line, rest[:end], done)
                line += rest.count(b"\n", 0, end)
                rest = rest[end:]
    if rest:
        yield Block(line, rest, done)


def _end_of_rows(block: bytes, quotes: bool) -> int:
    """Return where the last whole row ends: after a newline with an even number of quotes."""
    end = block.rfind(b"\n") + 1
    odd = quotes and block.count(b'"', 0, end) % 2
    while odd and end:
        before = block.rfind(b"\n", 0, end - 1) + 1
        odd ^= block.count(b'"', before, end) % 2
        end = before
    return end


def text(block: bytes) -> str:
    """Return a block as text; bytes that are not UTF-8 become replacement characters."""
    return block.decode("utf-8", errors="replace")
