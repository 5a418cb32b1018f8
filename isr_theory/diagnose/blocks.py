"""Blocks of whole lines of a text file, plain or compressed, and the number of the first line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from isr_theory.diagnose.records import LogError, arrow

BLOCK = 1 << 22
# No row is longer; a block that seems to have no end of a row in this much is cut at a line.
LONGEST = 1 << 24
COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
BOM = b"\xef\xbb\xbf"


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    suffix = f".{path.lower().rpartition('.')[2]}"
    try:
        with arrow().input_stream(path, compression=COMPRESSED.get(suffix)) as stream:
            yield stream
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error}") from error


def blocks(path: str, *, quotes: bool) -> Iterator[tuple[int, bytes]]:
    """Yield the number of its first line and each block; with `quotes` no quoted cell is cut."""
    rest, line = b"", 1
    with _opened(path) as stream:
        while more := stream.read(BLOCK):
            rest += more
            if line == 1:
                rest = rest.removeprefix(BOM)
            end = _end_of_rows(rest, quotes)
            if not end and len(rest) > LONGEST:
                # A quote that is never closed costs its own row, not the rest of the file.
                end = _end_of_rows(rest, quotes=False)
                if not end:
                    raise LogError(f"{path}: line {line} is longer than {LONGEST:,} bytes")
            if end:
                yield line, rest[:end]
                line += rest.count(b"\n", 0, end)
                rest = rest[end:]
    if rest:
        yield line, rest


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
