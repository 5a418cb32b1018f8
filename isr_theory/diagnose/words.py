"""Words for what comes from a log, which is data: made safe to show, and cut to a length."""

from __future__ import annotations

# Sentences and cells that quote a log.
LONGEST = 400


def shown(text: str, most: int = 60) -> str:
    """Return text with what does not print written out, cut to a length."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return plain if len(plain) <= most else plain[: most - 3] + "..."


def place(path: str, most: int = 32) -> str:
    """Return a path made safe to show, of a long one the end."""
    whole = shown(path, len(path) * 10)
    return whole if len(whole) <= most else "..." + whole[3 - most :]


def counted(count: int, thing: str) -> str:
    """Return a number of things: 1 row, 2 rows."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
