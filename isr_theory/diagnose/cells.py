"""One cell of a log, whatever it came as: its number, its text, its hash, and how to show it.

The same value has the same number, text and hash in Parquet, CSV and JSON lines: a whole number
is written in digits, so that 3, 3.0 and "3" are one group.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = "(missing)"

# Characters of a name that a report shows.
LONGEST_NAME = 60
# Characters of a value that an error quotes.
QUOTED = 40

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.0)?")
_SWITCH = {"true": 1.0, "false": 0.0}


def number(cell: Any, *, flag: bool = False) -> float | None:
    """Return the number that a cell holds, or None where it is empty.

    A number written as text counts; true and false do where `flag` is set. Raises ValueError for
    everything else.
    """
    if cell is None:
        return None
    if isinstance(cell, str):
        return _written(cell.strip(), flag=flag)
    if isinstance(cell, (list, dict, bytes)) or (isinstance(cell, bool) and not flag):
        raise ValueError("not a number")
    try:
        return float(cell)
    except (TypeError, OverflowError) as error:
        raise ValueError("not a number") from error


def _written(text: str, *, flag: bool) -> float | None:
    if not text:
        return None
    if flag and text.lower() in _SWITCH:
        return _SWITCH[text.lower()]
    # float() takes 1_000 and digits of every script; no other reader of numbers does.
    if "_" in text or not text.isascii():
        raise ValueError("not a number")
    return float(text)


def token_list(cell: Any) -> list[Any] | None:
    """Return the list that a cell holds, as such or as text like [-1.5, -inf], or None if empty.

    Raises ValueError for everything else.
    """
    if cell is None or isinstance(cell, list):
        return cell
    text = cell.strip() if isinstance(cell, str) else "?"
    if not text:
        return None
    if text[0] != "[" or text[-1] != "]":
        raise ValueError("not a list")
    if not text[1:-1].strip():
        return []
    return [None if part.strip() == "null" else part.strip() for part in text[1:-1].split(",")]


def absent(cell: Any) -> bool:
    """Return whether a cell is empty: null, no text, or NaN."""
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))


def text_of(cell: Any) -> str:
    """Return the text of a cell, "(missing)" for an empty one."""
    if absent(cell):
        return MISSING
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, bytes):
        return cell.decode(errors="replace")
    if isinstance(cell, (list, dict)):
        return json.dumps(cell, sort_keys=True, default=str)
    return str(cell)


def label(cell: Any) -> str:
    """Return the text of a cell as a name: one that is too long is cut, and ends in its hash."""
    # Half a character, which JSON can write and UTF-8 cannot.
    text = text_of(cell).encode("utf-8", "backslashreplace").decode()
    if len(text) <= LONGEST_NAME:
        return text
    return f"{text[: LONGEST_NAME - 13]}... #{hashed(cell) >> 32:08x}"


def hashed(cell: Any) -> int:
    """Return a hash of a cell below 2^64: of a whole number by mixing, of text by BLAKE2b."""
    text = text_of(cell)
    if _WHOLE.fullmatch(text) and -(2**63) <= (whole := int(text.removesuffix(".0"))) < 2**63:
        return int(mixed(np.array([whole]))[0])
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def mixed(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return whole numbers scattered over 2^64, one to one.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    """
    z = numbers.astype(np.int64).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return result


def quoted(cell: Any) -> str:
    """Return a value for an error, cut short, with what a terminal would act on escaped."""
    # A long one is cut before it is escaped too: nothing past the cut is looked at.
    text = repr(cell[: 2 * QUOTED] if isinstance(cell, (str, list)) else cell)
    return text if len(text) <= QUOTED else f"{text[: QUOTED - 3]}..."
