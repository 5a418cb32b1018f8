"""Rows that hold a list with a number for each token: their sums, and what is wrong with them.

    log w = sum over tokens t with mask 1 of (log pi_t - log mu_t),  length = how many they are

The numbers of all rows lie one after the other, so that a sum over each list is one call. A token
whose mask is 0 is padding: nothing is asked of its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from isr_theory.diagnose.columns import Lists
from isr_theory.diagnose.records import Array
from isr_theory.diagnose.rules import USABLE, Mask, Rule, complaint, in_range, range_rule

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Part:
    """A column of lists and what it is for: log_pi, log_mu, log_w or mask."""

    name: str
    role: str
    lists: Lists


def token_weights(parts: list[Part]) -> tuple[Array, Array, list[Rule]]:
    """Return log w and length of each row, and the rules that some row breaks.

    Where a row breaks one, its numbers mean nothing.
    """
    rules = _list_rules(parts)
    whole = np.ones(len(parts[0].lists.counts), dtype=np.bool_)
    for rule in rules:
        whole &= rule.passed
    counts = parts[0].lists.counts[whole]
    values = [_tokens_of(part, whole) for part in parts]
    log_w, length, sound = _sums(parts, values, counts)
    if not sound.all():
        rules.append(Rule(_spread(sound, whole, True), partial(_token_complaint, parts)))
    log_w, length = _spread(log_w, whole, 0.0), _spread(length, whole, 1.0)
    if not (length > 0).all():
        rules.append(Rule(length > 0, lambda row: "no token counts"))
    if not in_range(log_w):
        names = tuple(part.name for part in parts if part.role != "mask")
        rules.append(range_rule(names, log_w))
    return log_w, length, rules


def _list_rules(parts: list[Part]) -> list[Rule]:
    """Return the rules on whole lists: each is there, and they are equally long."""
    absent = [
        Rule(part.lists.present, partial(_no_list, part))
        for part in parts
        if not part.lists.present.all()
    ]
    first = parts[0]
    equal = [(part, part.lists.counts == first.lists.counts) for part in parts[1:]]
    unequal = [
        Rule(passed, partial(_unequal, first, part)) for part, passed in equal if not passed.all()
    ]
    return absent + unequal


def _no_list(part: Part, row: int) -> str:
    return f"{part.name} is {part.lists.odd.get(row, 'missing')}"


def _unequal(one: Part, other: Part, row: int) -> str:
    counts = one.lists.counts[row], other.lists.counts[row]
    return f"{one.name} has {counts[0]} tokens and {other.name} {counts[1]}"


def _tokens_of(part: Part, whole: Mask) -> Array:
    """Return the numbers of the rows whose lists can be read together."""
    values = part.lists.tokens.values
    return values if whole.all() else values[np.repeat(whole, part.lists.counts)]


def _sums(
    parts: list[Part], values: list[Array], counts: NDArray[np.int64]
) -> tuple[Array, Array, Mask]:
    """Return the sums, the counted tokens, and whether every counted token is usable."""
    mask = values[-1] if parts[-1].role == "mask" else None
    logs = values if mask is None else values[:-1]
    terms = logs[0] - logs[1] if len(logs) == 2 else logs[0]
    if mask is not None:
        terms = np.where(mask == 0, 0.0, terms)
    sums = _summed(terms, counts)
    length = counts.astype(np.float64) if mask is None else _summed(mask, counts)
    if np.isfinite(sums.sum()) and (mask is None or bool(USABLE["mask"](mask).all())):
        return sums, length, np.ones(len(counts), dtype=np.bool_)
    usable = np.ones(len(terms), dtype=np.bool_)
    for part, numbers in zip(parts, values, strict=True):
        usable &= USABLE[part.role](numbers) | (False if mask is None else mask == 0)
    return sums, length, _summed((~usable).astype(np.float64), counts) == 0


def _summed(values: Array, counts: NDArray[np.int64]) -> Array:
    """Return the sum of each list; reduceat would give an empty list the number after it."""
    sums = np.zeros(len(counts))
    filled = counts > 0
    starts = np.cumsum(counts) - counts
    if filled.any():
        sums[filled] = np.add.reduceat(values, starts[filled])
    return sums


def _spread(found: NDArray[Scalar], whole: Mask, other: float | bool) -> NDArray[Scalar]:
    """Return what was found for the rows in `whole` in the place of each among all rows."""
    if whole.all():
        return found
    spread = np.full(len(whole), other, dtype=found.dtype)
    spread[whole] = found
    return spread


def _token_complaint(parts: list[Part], row: int) -> str:
    """Return what is wrong with the first token of a row that is not usable."""
    starts = [int(part.lists.counts[:row].sum()) for part in parts]
    count = int(parts[0].lists.counts[row])
    for token in range(count):
        places = [start + token for start in starts]
        values = [part.lists.tokens.values[i] for part, i in zip(parts, places, strict=True)]
        if parts[-1].role == "mask" and values[-1] == 0:
            continue
        for part, place, value in zip(parts, places, values, strict=True):
            if not USABLE[part.role](value):
                tokens = part.lists.tokens
                return complaint(part.name, part.role, tokens, place, f"[{token}]")
    raise AssertionError("a row was called unusable, and all its tokens are usable")
