"""All that a diagnosis keeps of a log: tallies of its pieces, merged in the order of the pieces.

A tally holds the summary of the sequences' log-weights, beside it the rewards', that of log w
divided by the length, the strata, the blocks of groups and the first rows that could not be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from isr_theory.diagnose.bins import PART
from isr_theory.diagnose.reading import BadRow, Batch, Layout, Piece, batches
from isr_theory.diagnose.strata import Strata, merge_strata, stratify
from isr_theory.diagnose.summary import Summary, merge, summarise

# Groups are dealt to this many blocks, and the jackknife leaves out one block at a time.
BLOCKS = 32
BAD_SHOWN = 20
OCTAVES = "length"


@dataclass(frozen=True, eq=False)
class Tally:
    """What is known of some rows of a log; `Tally()` is of none."""

    read: int = 0
    bad_count: int = 0
    bad: tuple[BadRow, ...] = ()
    """The first of them."""
    whole: Summary = field(default_factory=Summary)
    """Of log w; with a reward its layers are 1, reward and reward squared."""
    mean: Summary | None = None
    """Of log w / length, what the geometric mean of token ratios uses."""
    tokens: float = 0.0
    strata: dict[str, Strata] = field(default_factory=dict)
    blocks: tuple[Summary, ...] = ()


def tally_piece(piece: Piece, layout: Layout) -> Tally:
    """Return the tally of one piece of a log, read batch by batch."""
    return reduce(_with_batch, batches(piece, layout), Tally())


def tally_rows(piece: Piece, layout: Layout) -> Iterator[Tally]:
    """Yield the growing tally of one piece, so that progress can be shown."""
    tally = Tally()
    for batch in batches(piece, layout):
        tally = _with_batch(tally, batch)
        yield tally


def _with_batch(tally: Tally, batch: Batch) -> Tally:
    return merge_tallies(tally, tally_batch(batch, floor=_floor(tally.whole)))


def _floor(summary: Summary) -> float:
    """Return what a log-weight must exceed to be among the largest."""
    return float(summary.top[0]) if len(summary.top) == summary.keep else -np.inf


def tally_batch(batch: Batch, floor: float = -np.inf) -> Tally:
    """Return the tally of rows in memory; of the largest weights only those above `floor`."""
    log_w = batch.log_w
    counted = Tally(read=batch.read, bad_count=batch.bad_count, bad=batch.bad[:BAD_SHOWN])
    if not len(log_w):
        return counted
    rewards = () if batch.reward is None else (batch.reward, batch.reward**2)
    strata = {
        name: stratify(log_w, column, octaves=name == OCTAVES) for name, column in batch.by.items()
    }
    return replace(
        counted,
        whole=summarise(log_w, rewards, floor=floor),
        mean=None if batch.length is None else summarise(log_w / batch.length),
        tokens=0.0 if batch.length is None else float(batch.length.sum()),
        strata=strata,
        blocks=() if batch.group is None else _blocks(log_w, batch.group),
    )


def _blocks(log_w: np.ndarray, group: np.ndarray) -> tuple[Summary, ...]:
    block = group % BLOCKS
    return tuple(summarise(log_w[block == k], keep=1, grid=PART) for k in range(BLOCKS))


def merge_tallies(one: Tally, other: Tally) -> Tally:
    """Return the tally of both."""
    return Tally(
        read=one.read + other.read,
        bad_count=one.bad_count + other.bad_count,
        bad=(one.bad + other.bad)[:BAD_SHOWN],
        whole=merge(one.whole, other.whole),
        mean=_either(one.mean, other.mean),
        tokens=one.tokens + other.tokens,
        strata=_merged_strata(one.strata, other.strata),
        blocks=_merged_blocks(one.blocks, other.blocks),
    )


def _either(one: Summary | None, other: Summary | None) -> Summary | None:
    return merge(one, other) if one is not None and other is not None else one or other


def _merged_strata(one: dict[str, Strata], other: dict[str, Strata]) -> dict[str, Strata]:
    merged = one | other
    for name in one:
        if name in other:
            merged[name] = merge_strata(one[name], other[name])
    return merged


def _merged_blocks(one: tuple[Summary, ...], other: tuple[Summary, ...]) -> tuple[Summary, ...]:
    if not one or not other:
        return one or other
    return tuple(merge(a, b) for a, b in zip(one, other, strict=True))
