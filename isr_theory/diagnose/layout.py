"""What to read of a log: decided once, for all files alike, from what their columns hold."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from isr_theory.diagnose.cells import number
from isr_theory.diagnose.records import Columns, Layout, LogError

# Columns that an error lists.
LISTED = 30
DEFAULT = Columns()
MASK = "mask"
# What a number for each row may come as.
SCALAR = ("number", "flag", "text", "unknown")


@dataclass(frozen=True)
class Seen:
    """A file, and what each of its columns holds: number, flag, text, list, unknown or other."""

    path: str
    kinds: Mapping[str, str]


def kind_of(cells: list[Any]) -> str:
    """Return what some cells hold, "unknown" where all are empty; a mixture is text."""
    found = [_kind(cell) for cell in cells if cell is not None and cell != ""]
    if not found:
        return "unknown"
    return found[0] if found[0] == "list" or len(set(found)) == 1 else "text"


def _kind(cell: Any) -> str:
    if isinstance(cell, bool):
        return "flag"
    if isinstance(cell, list) or (isinstance(cell, str) and cell.lstrip().startswith("[")):
        return "list"
    try:
        number(cell)
    except ValueError:
        return "text" if isinstance(cell, str) else "object"
    return "number"


def decide(files: list[Seen], columns: Columns) -> Layout:
    """Return the layout that all files have; raise LogError where one of them does not."""
    chosen = [(seen, _choice(seen, columns)) for seen in files if seen.kinds]
    if not chosen:
        return Layout(pair=(columns.log_pi, columns.log_mu), counted=columns.length or "length")
    (first, layout), *others = chosen
    for seen, other in others:
        _compare(first, layout, seen, other)
    layout = _with_lists([seen for seen, _ in chosen], layout, columns)
    by = _named(columns)
    for seen, _ in chosen:
        _check_by(seen, by, layout)
    numeric = frozenset(
        name
        for name in by
        if not layout.is_count(name)
        and {seen.kinds[name] for seen, _ in chosen} - {"unknown"} == {"number"}
    )
    return replace(
        layout, group=columns.group, by=by, numeric=numeric, absent=_absent(first, layout, columns)
    )


def _named(columns: Columns) -> tuple[str, ...]:
    """Return the columns to report by, where "length" may mean the one that --length names."""
    means = {role: getattr(columns, role) or role for role in ("reward", "length", "step")}
    return tuple(dict.fromkeys(means.get(name, name) for name in columns.by))


def _absent(first: Seen, layout: Layout, columns: Columns) -> tuple[str, ...]:
    """Return the columns that would have been read if they were there."""
    wanted = (columns.reward, MASK if layout.lists else columns.length)
    return tuple(name for name in wanted if name is not None and name not in first.kinds)


def _choice(seen: Seen, columns: Columns) -> Layout:
    """Return what is read of one file, lists aside."""
    for role in ("log_pi", "log_mu", "log_w", "reward", "length", "step", "mask"):
        name = getattr(columns, role)
        if name is not None and name != getattr(DEFAULT, role):
            _need(seen, name, role)
    if columns.group is not None:
        _need(seen, columns.group, "group")
    optional = {
        role: name
        for role in ("reward", "length")
        if (name := getattr(columns, role)) is not None and name in seen.kinds
    }
    notes = []
    for role, name in list(optional.items()):
        if seen.kinds[name] in SCALAR:
            continue
        said = f"the column {name!r} holds {_said(seen.kinds[name])}"
        if name != getattr(DEFAULT, role):
            raise LogError(f"{seen.path}: {said}: {role} is a number for each row")
        # Nobody asked for it.
        del optional[role]
        notes.append(f"{said} and is not read: {role} is a number for each row")
    mask = columns.mask or (MASK if MASK in seen.kinds else None)
    layout = _weights(seen, columns)
    return replace(layout, **optional, mask=mask, notes=(*layout.notes, *notes))


def _weights(seen: Seen, columns: Columns) -> Layout:
    """Return which columns log w is made of."""
    pair, log_w = (columns.log_pi, columns.log_mu), columns.log_w
    both, own = all(name in seen.kinds for name in pair), log_w in seen.kinds
    asked = log_w != DEFAULT.log_w and pair == (DEFAULT.log_pi, DEFAULT.log_mu)
    if own and (asked or not both):
        for name, usual in zip(pair, (DEFAULT.log_pi, DEFAULT.log_mu), strict=True):
            if name != usual and not asked:
                raise LogError(f"{seen.path} has {name!r}, but not the other of {pair}")
        notes = (f"{log_w} is read; {' and '.join(pair)} are not",) if both else ()
        return Layout(pair=None, log_w=log_w, notes=notes)
    if both:
        notes = (f"log w is {' - '.join(pair)}; the column {log_w} is not read",) if own else ()
        return Layout(pair=pair, notes=notes)
    missing = next(name for name in pair if name not in seen.kinds)
    raise LogError(
        f"{seen.path} needs the columns {pair[0]!r} and {pair[1]!r}, or {log_w!r}"
        f"{_found(seen, missing)}"
    )


def _need(seen: Seen, name: str, role: str) -> None:
    if name not in seen.kinds:
        raise LogError(f"{seen.path} has no column {name!r} for {role}{_found(seen, name)}")


def _found(seen: Seen, name: str) -> str:
    """Return what columns there are, and which may have been meant."""
    names = list(seen.kinds)
    listed = ", ".join(map(repr, names[:LISTED])) + (", ..." if len(names) > LISTED else "")
    folded = {other.casefold(): other for other in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    meant = f"; did you mean {folded[near[0]]!r}?" if near else ""
    return f": found {listed}{meant}"


def _said(kind: str) -> str:
    return "lists" if kind == "list" else kind


def _compare(first: Seen, layout: Layout, seen: Seen, other: Layout) -> None:
    """Raise LogError where two files do not have the same columns."""
    for role in ("weights", "mask", "reward", "length"):
        one, two = getattr(layout, role), getattr(other, role)
        if one != two:
            raise LogError(
                f"{first.path} and {seen.path} differ: for {role} the first has {_name(one)}, the "
                f"second {_name(two)}"
            )


def _name(found: Any) -> str:
    return "nothing" if found is None else ", ".join((found,) if isinstance(found, str) else found)


def _with_lists(files: list[Seen], layout: Layout, columns: Columns) -> Layout:
    """Return the layout knowing whether a row is a number or a list for each token."""
    listed = {
        (seen.path, name): seen.kinds[name] == "list"
        for seen in files
        for name in layout.weights
        if seen.kinds[name] != "unknown"
    }
    _check_scalars(files, layout)
    if len(set(listed.values())) == 2:
        one, two = (
            next(at for at, is_list in listed.items() if is_list is k) for k in (True, False)
        )
        raise LogError(
            f"{one[0]}: {one[1]!r} holds lists, but {two[1]!r} of {two[0]} holds numbers"
        )
    counted = columns.length or "length"
    if any(listed.values()):
        return _of_lists(files, replace(layout, lists=True, counted=counted))
    if columns.mask is not None:
        raise LogError(
            f"{files[0].path}: a mask is for lists of tokens, and {layout.weights[0]!r} "
            "holds numbers"
        )
    notes = ("the column mask is not read: there are no lists",) if layout.mask else ()
    return replace(layout, mask=None, counted=counted, notes=layout.notes + notes)


def _check_scalars(files: list[Seen], layout: Layout) -> None:
    for seen in files:
        for name in layout.weights:
            if seen.kinds[name] not in ("number", "text", "unknown", "list"):
                raise LogError(
                    f"{seen.path}: the column {name!r} holds {seen.kinds[name]}, not numbers"
                )


def _of_lists(files: list[Seen], layout: Layout) -> Layout:
    """Return the layout of lists, whose counted tokens are the length."""
    for seen in files:
        if layout.mask and seen.kinds[layout.mask] not in ("list", "unknown"):
            raise LogError(
                f"{seen.path}: the mask {layout.mask!r} holds {seen.kinds[layout.mask]}, not lists"
            )
    dropped = f"the length is the number of counted tokens; the column {layout.length} is not read"
    notes = (dropped,) if layout.length else ()
    return replace(layout, length=None, notes=layout.notes + notes)


def _check_by(seen: Seen, by: tuple[str, ...], layout: Layout) -> None:
    for name in by:
        if layout.is_count(name):
            continue
        _need(seen, name, "by")
        if seen.kinds[name] == "list":
            raise LogError(f"{seen.path}: {name!r} holds lists, and cannot be reported by")
