"""Which numbers a parameter may be, and what is said of one that it may not be.

low <= x <= high,   or low < x where the range is open below
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any


@dataclass(frozen=True)
class Range:
    """A range of numbers; one that is infinite at an end has that end in it."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    """Whether `low` itself is not allowed."""

    def __contains__(self, value: float) -> bool:
        inside = self.low < value if self.above else self.low <= value
        return inside and value <= self.high

    def __str__(self) -> str:
        return f"{'(' if self.above else '['}{self.low:g}, {self.high:g}]"


ANY = Range()
POSITIVE = Range(0.0, above=True)
AT_LEAST_0 = Range(0.0)
AT_MOST_0 = Range(high=0.0)
SHARE = Range(0.0, 1.0)


def check_number(name: str, value: Any, allowed: Range = ANY, *, none: bool = False) -> None:
    """Raise TypeError for what is no number (or None, where `none`), ValueError outside a range."""
    if value is None and none:
        return
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number{' or None' * none}, not {type(value).__name__}")
    if float(value) not in allowed:
        raise ValueError(f"{name} must be in {allowed}, not {value}")
