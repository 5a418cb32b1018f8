"""What the figures of language models share: cells of a run by policy, and a colour a distance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from experiments import runs
from figures.tables import Row

# Viridis from dark to light in seven steps: told apart in grey as well.
COLORS = ("#440154", "#443983", "#31688e", "#21918c", "#35b779", "#90d743", "#d8c620")
TASKS = {
    "chain_sum": ("o", "sums"),
    "spell_backward": ("s", "words"),
    "caesar_cipher": ("^", "Caesar"),
}


def cells(name: str) -> list[tuple[str, Any]]:
    """Return the name and the cell of each policy that a committed run came to, nearest first."""
    document = json.loads((runs.HERE / f"lm_{name}.json").read_text(encoding="utf-8"))
    return [(key, cell) for key, cell in document["cells"].items() if cell["reached"]]


def policies(rows: Iterable[Row]) -> list[str]:
    """Return the policies of a table in the order in which they come."""
    return list(dict.fromkeys(str(row["policy"]) for row in rows))


def color(names: Sequence[str], name: str) -> str:
    """Return the colour of a policy among others."""
    return COLORS[list(names).index(name) * (len(COLORS) - 1) // max(1, len(names) - 1)]


def longest(cell: Any) -> str:
    """Return the task with the longest responses."""
    lengths = {k: float(row["length"]) for k, row in cell["scopes"].items() if k != "all"}
    return str(max(lengths, key=lengths.__getitem__))


def column(rows: Iterable[Row], name: str) -> list[float]:
    """Return one column as numbers."""
    return [float(row[name]) for row in rows]


def where(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """Return the rows with these entries."""
    return [row for row in rows if all(row[k] == v for k, v in wanted.items())]


def ends(interval: Sequence[float], name: str) -> dict[str, float]:
    """Return an interval as three columns."""
    value, low, high = interval
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def bars(axes: Any, rows: Sequence[Row], x: str, y: str, **look: Any) -> None:
    """Draw points with their intervals."""
    at, value = column(rows, x), column(rows, y)
    low, high = column(rows, f"{y}_low"), column(rows, f"{y}_high")
    # A bootstrap's percentiles may leave out the value itself.
    below = [max(0.0, v - a) for v, a in zip(value, low, strict=True)]
    above = [max(0.0, b - v) for v, b in zip(value, high, strict=True)]
    axes.errorbar(at, value, yerr=[below, above], elinewidth=0.6, **look)
