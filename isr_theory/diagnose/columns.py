"""One column of some rows, from Arrow or from Python's cells, as numbers, lists, text or hashes.

What is not a number or a list is kept beside the numbers with the reason in words. Columns that
are numbers already are not copied.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import chain
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isr_theory.diagnose.cells import absent, hashed, label, mixed, number, quoted, token_list
from isr_theory.diagnose.records import Array, Names, arrow


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column of numbers: NaN where `missing` says so, and where `odd` says what was there."""

    values: Array
    missing: Any = None
    """An Arrow array of the same rows, asked which are null; None where none is."""
    odd: dict[int, str] = field(default_factory=dict)

    def is_missing(self, row: int) -> bool:
        """Return whether a row has no value."""
        return self.missing is not None and not self.missing[row].is_valid


@dataclass(frozen=True, eq=False)
class Lists:
    """A column of lists of numbers, the numbers of all rows one after the other."""

    tokens: Numbers
    counts: NDArray[np.int64]
    """(n,); 0 where there is no list."""
    present: NDArray[np.bool_]
    odd: dict[int, str] = field(default_factory=dict)


def numbers(source: Any, *, flag: bool = False) -> Numbers:
    """Return a column as numbers; true and false are 1 and 0 where `flag` is set."""
    if isinstance(source, list):
        found = _inferred(source, bool) if flag else _inferred(source)
        return _parsed_numbers(source, flag=flag) if found is None else numbers(found, flag=flag)
    pa = arrow()
    if pa.types.is_dictionary(source.type):
        source = source.dictionary_decode()
    if _is_number(source.type) or (flag and pa.types.is_boolean(source.type)):
        return _floats(source.cast(pa.float64(), safe=False))
    return numbers(source.to_pylist(), flag=flag)


def _is_number(kind: Any) -> bool:
    types = arrow().types
    return bool(
        types.is_floating(kind)
        or types.is_integer(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def _floats(array: Any) -> Numbers:
    if not array.null_count:
        return Numbers(array.to_numpy())
    return Numbers(array.to_numpy(zero_copy_only=False), missing=array)


def _inferred(cells: list[Any], *more: type) -> Any | None:
    """Return cells as an Arrow array where they are all numbers, or all of one type in `more`.

    Left to itself Arrow takes true for 1 among floats.
    """
    types = set(map(type, cells)) - {NoneType}
    if not (types <= {int, float} or (len(types) == 1 and types <= set(more))):
        return None
    pa = arrow()
    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
        # Too large a number, or half a character.
        return None


def _parsed_numbers(cells: list[Any], *, flag: bool) -> Numbers:
    values: list[float | None] = []
    odd: dict[int, str] = {}
    for row, cell in enumerate(cells):
        try:
            values.append(number(cell, flag=flag))
        except ValueError:
            odd[row] = f"not a number: {quoted(cell)}"
            values.append(None)
    pa = arrow()
    parsed = _floats(pa.array(values, pa.float64()))
    return Numbers(parsed.values, parsed.missing, odd)


def lists(source: Any, *, flag: bool = False) -> Lists:
    """Return a column as lists of numbers."""
    if isinstance(source, list):
        return _gathered(*_token_lists(source), flag=flag)
    if not hasattr(source, "flatten") or not hasattr(source.type, "value_type"):
        return lists(source.to_pylist(), flag=flag)
    if arrow().types.is_dictionary(source.type):
        return lists(source.dictionary_decode(), flag=flag)
    counts = arrow("pyarrow.compute").list_value_length(source).fill_null(0).to_numpy()
    present = source.is_valid().to_numpy(zero_copy_only=False)
    return Lists(numbers(source.flatten(), flag=flag), counts.astype(np.int64), present)


def _token_lists(cells: list[Any]) -> tuple[list[list[Any] | None], dict[int, str]]:
    """Return the list in each cell, None where there is none, and what was there instead."""
    if (quick := _json_lists(cells)) is not None:
        return quick, {}
    found: list[list[Any] | None] = []
    odd: dict[int, str] = {}
    for row, cell in enumerate(cells):
        try:
            found.append(token_list(cell))
        except ValueError:
            odd[row] = f"not a list: {quoted(cell)}"
            found.append(None)
    return found, odd


def _json_lists(cells: list[Any]) -> list[list[Any] | None] | None:
    """Return the lists of cells that are all JSON text of one list, in a single call, or None."""
    if set(map(type, cells)) != {str}:
        return None
    try:
        found = json.loads(f"[{','.join(cells)}]")
    except (ValueError, RecursionError):
        return None
    return found if len(found) == len(cells) and set(map(type, found)) == {list} else None


def _gathered(found: list[list[Any] | None], odd: dict[int, str], *, flag: bool) -> Lists:
    tokens = list(chain.from_iterable(tokens for tokens in found if tokens))
    counts = np.fromiter((len(tokens or ()) for tokens in found), np.int64, len(found))
    present = np.fromiter((tokens is not None for tokens in found), np.bool_, len(found))
    return Lists(numbers(tokens, flag=flag), counts, present, odd)


def names(source: Any) -> Names:
    """Return a column as text."""
    values, place = _distinct(source)
    # 3 and "3" are two values and one name.
    codes: dict[str, int] = {}
    code = [codes.setdefault(label(value), len(codes)) for value in values]
    return Names(tuple(codes), np.array(code, dtype=np.int64)[place])


def hashes(source: Any) -> tuple[NDArray[np.uint64], NDArray[np.bool_] | None]:
    """Return the hash of each row, and which rows have a value: None where all have."""
    types = arrow().types
    found = _inferred(source, str) if isinstance(source, list) else source
    if (
        found is not None
        and types.is_integer(found.type)
        and not found.null_count
        and not types.is_uint64(found.type)
    ):
        return mixed(found.to_numpy()), None
    values, place = _distinct(source)
    known = np.array([not absent(value) for value in values], dtype=np.bool_)
    coded = np.array([hashed(value) for value in values], dtype=np.uint64)
    return coded[place], None if known[place].all() else known[place]


def _distinct(source: Any) -> tuple[list[Any], NDArray[np.int64]]:
    """Return values and, for each row, the place of its own among them."""
    pa = arrow()
    found = _inferred(source, str) if isinstance(source, list) else source
    if found is None or pa.types.is_nested(found.type):
        cells = source if isinstance(source, list) else source.to_pylist()
        return cells, np.arange(len(cells))
    coded = found if pa.types.is_dictionary(found.type) else found.dictionary_encode()
    values = coded.dictionary.to_pylist()
    place = coded.indices.cast(pa.int64()).fill_null(len(values)).to_numpy()
    return [*values, None], place
