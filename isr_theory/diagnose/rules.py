"""What makes a row of a log no use, and how it is said.

A rule is a mask over rows and the words for one that fails it, so that a million bad rows cost no
more than the few that are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isr_theory.diagnose.columns import Numbers
from isr_theory.diagnose.records import LARGEST, Array

Mask = NDArray[np.bool_]

# NaN is below nothing, so no comparison lets it through.
USABLE: dict[str, Callable[[Any], Any]] = {
    "log_pi": lambda values: values < np.inf,
    "log_mu": np.isfinite,
    "log_w": lambda values: values < np.inf,
    "mask": lambda values: (values == 0) | (values == 1),
    "reward": np.isfinite,
    "length": lambda values: (values > 0) & (values < np.inf),
}

# What is said after a value that is not usable.
BECAUSE = {
    "log_pi": ": the weight would be infinite",
    "log_mu": ": what mu never draws cannot be in its log",
    "log_w": ": the weight would be infinite",
    "mask": ": a mask is 0 or 1",
    "length": ": a length is positive",
}


@dataclass(frozen=True, eq=False)
class Rule:
    """Which rows pass, and what is wrong with one that does not."""

    passed: Mask
    why: Callable[[int], str]


def number_rule(name: str, role: str, column: Numbers) -> Rule:
    """Return the rule that the numbers of a column are usable for a role."""
    return Rule(USABLE[role](column.values), partial(complaint, name, role, column))


def all_usable(role: str, values: Array) -> bool:
    """Return whether a quick look finds every value usable; False where it cannot tell."""
    return bool(np.isfinite(values.sum())) and (role != "length" or bool((values > 0).all()))


def in_range(log_w: Array) -> bool:
    """Return whether a quick look finds every log w finite and none too large."""
    return bool(np.isfinite(log_w.sum())) and (
        not len(log_w) or bool(max(log_w.max(), -log_w.min()) <= LARGEST)
    )


def range_rule(names: tuple[str, ...], log_w: Array) -> Rule:
    """Return the rule that log w, made of these columns, is no larger than it can be, or -inf."""
    return Rule(
        (np.abs(log_w) <= LARGEST) | (log_w == -np.inf),
        lambda row: (
            f"{' - '.join(names)} is {log_w[row]:g}: beyond {LARGEST:g} (a weight of 0 is -inf)"
        ),
    )


def complaint(name: str, role: str, column: Numbers, row: int, at: str = "") -> str:
    """Return what is wrong with a value that is not usable; `at` says where in its list it is."""
    if row in column.odd:
        return f"{name}{at} is {column.odd[row]}"
    if column.is_missing(row):
        return f"{name}{at} is missing"
    value = column.values[row]
    because = "" if np.isnan(value) else BECAUSE.get(role, "")
    return f"{name}{at} is {value:g}{because}"
