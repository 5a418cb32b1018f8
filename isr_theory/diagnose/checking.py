"""From columns as they were read to a batch: log w of each row, the rows that are no use kept out.

A batch in which every log w is finite costs a subtraction and a sum; only one that is not is
looked through value by value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isr_theory.diagnose import columns
from isr_theory.diagnose.records import SHOWN, Array, BadRow, Batch, Layout, Names, Remark
from isr_theory.diagnose.rules import Mask, Rule, all_usable, in_range, number_rule, range_rule
from isr_theory.diagnose.tokens import Part, token_weights

WITHOUT = {"reward": "the mean reward", "length": "what is said of the mean of token log-ratios"}


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows as a reader found them."""

    where: str
    rows: int
    columns: dict[str, Any]
    """By name: Arrow arrays, or lists of cells."""
    line: Callable[[int], int]
    """From the place of a row among these to its line in the file."""
    refused: list[tuple[int, str]] = field(default_factory=list)
    """Lines that are no row at all, and why; they are not among the rows."""
    late: list[tuple[str, Mask, Callable[[int], str]]] = field(default_factory=list)
    """Columns that are not read, which rows have one, and what it is."""


def checked(chunk: Chunk, layout: Layout) -> Batch:
    """Return a chunk's rows as a batch, those that are no use kept out and counted."""
    # A bad value may overflow or give NaN on its way to being found.
    with np.errstate(all="ignore"):
        found, rules = _weights(chunk, layout)
        lacking: list[tuple[str, Rule]] = []
        for role in ("reward", "length"):
            if (name := getattr(layout, role)) is not None:
                found[role] = _measured(chunk, name, role, lacking)
    if layout.group is not None:
        found["group"] = _grouped(chunk, layout.group, rules)
    found["by"] = {
        name: found["length"] if layout.is_count(name) else _stratum(chunk, layout, name, lacking)
        for name in layout.by
    }
    lacking += [
        (f"have a {name}, which is not read: no row among the first has one", Rule(~late, reason))
        for name, late, reason in chunk.late
    ]
    return _sifted(chunk, found, rules, lacking)


def _weights(chunk: Chunk, layout: Layout) -> tuple[dict[str, Any], list[Rule]]:
    """Return log_w, with lists the length too, and the rules that some row breaks."""
    roles = ("log_pi", "log_mu") if layout.pair else ("log_w",)
    if not layout.lists:
        log_w, rules = _row_weights(chunk, layout.weights, roles)
        return {"log_w": log_w}, rules
    named = list(zip(layout.weights, roles, strict=True))
    if layout.mask is not None:
        named.append((layout.mask, "mask"))
    parts = [
        Part(name, role, columns.lists(chunk.columns[name], flag=role == "mask"))
        for name, role in named
    ]
    log_w, length, rules = token_weights(parts)
    return {"log_w": log_w, "length": length}, rules


def _row_weights(
    chunk: Chunk, names: tuple[str, ...], roles: tuple[str, ...]
) -> tuple[Array, list[Rule]]:
    """Log w = log pi - log mu, one number a row."""
    parts = [columns.numbers(chunk.columns[name]) for name in names]
    values = [part.values for part in parts]
    log_w = values[0] - values[1] if len(values) == 2 else values[0]
    if in_range(log_w):
        return log_w, []
    rules = [number_rule(*each) for each in zip(names, roles, parts, strict=True)]
    return log_w, [*rules, range_rule(names, log_w)]


def _measured(chunk: Chunk, name: str, role: str, lacking: list[tuple[str, Rule]]) -> Array:
    """Return a column that gamma does not need, NaN where it is not known."""
    column = columns.numbers(chunk.columns[name], flag=role == "reward")
    if all_usable(role, column.values):
        return column.values
    rule = number_rule(name, role, column)
    lacking.append((f"have no {role} that can be used: {WITHOUT[role]} leaves them out", rule))
    return np.where(rule.passed, column.values, np.nan)


def _grouped(chunk: Chunk, name: str, rules: list[Rule]) -> NDArray[np.uint64]:
    group, known = columns.hashes(chunk.columns[name])
    if known is not None:
        rules.append(Rule(known, lambda row: f"{name} is missing"))
    return group


def _stratum(
    chunk: Chunk, layout: Layout, name: str, lacking: list[tuple[str, Rule]]
) -> Array | Names:
    if name not in layout.numeric:
        return columns.names(chunk.columns[name])
    column = columns.numbers(chunk.columns[name])
    if column.odd:
        passed = np.ones(chunk.rows, dtype=np.bool_)
        passed[list(column.odd)] = False
        rule = Rule(passed, lambda row: f"{name} is {column.odd[row]}")
        lacking.append((f"have no number for {name}: they are counted as missing there", rule))
    return column.values


def _sifted(
    chunk: Chunk, found: dict[str, Any], rules: list[Rule], lacking: list[tuple[str, Rule]]
) -> Batch:
    """Return the batch of the rows that pass every rule."""
    bad = np.empty(0, np.int64)
    good = np.ones(chunk.rows, dtype=np.bool_)
    if rules:
        good = np.logical_and.reduce([rule.passed for rule in rules])
        bad = np.flatnonzero(~good)
        by = {name: rows[good] for name, rows in found.pop("by").items()}
        found = {name: rows[good] for name, rows in found.items()} | {"by": by}
    return Batch(
        **found,
        read=chunk.rows + len(chunk.refused),
        bad=_worded(chunk, bad, rules),
        bad_count=len(bad) + len(chunk.refused),
        remarks=tuple(_remarks(chunk, good, lacking)),
    )


def _remarks(chunk: Chunk, good: Mask, lacking: list[tuple[str, Rule]]) -> Iterator[Remark]:
    for what, rule in lacking:
        rows = np.flatnonzero(good & ~rule.passed)
        if len(rows):
            first = int(rows[0])
            row = BadRow(chunk.where, chunk.line(first), rule.why(first))
            yield Remark(what, len(rows), row)


def _worded(chunk: Chunk, bad: NDArray[np.int64], rules: list[Rule]) -> tuple[BadRow, ...]:
    shown = chunk.refused[:SHOWN]
    for row in bad[:SHOWN].tolist():
        why = next(rule.why for rule in rules if not rule.passed[row])
        shown.append((chunk.line(row), why(row)))
    return tuple(BadRow(chunk.where, line, reason) for line, reason in sorted(shown)[:SHOWN])
