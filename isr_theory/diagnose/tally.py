"""All that a diagnosis keeps of a log: tallies of its pieces, merged in the order of the pieces.

A tally holds the summary of the sequences' log-weights, beside it the rewards', that of log w
divided by the length, the strata, the blocks of groups and the first rows that could not be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from isr_theory.diagnose.bins import PART
from isr_theory.diagnose.reading import BadRow, Batch, Layout, LogError, Piece, Remark, batches
from isr_theory.diagnose.records import Array
from isr_theory.diagnose.strata import Strata, TooManyNamesError, merge_strata, stratify
from isr_theory.diagnose.summary import Summary, merge, summarise

# Groups are dealt to this many blocks, and the jackknife leaves out one block at a time.
BLOCKS = 32
BAD_SHOWN = 20


@dataclass(frozen=True, eq=False)
class Tally:
    """What is known of some rows of a log; `Tally()` is of none."""

    read: int = 0
    bad_count: int = 0
    bad: tuple[BadRow, ...] = ()
    """The first of them."""
    remarks: dict[str, Remark] = field(default_factory=dict)
    """By what they say."""
    whole: Summary = field(default_factory=Summary)
    """Of log w; with a reward its layers are 1, reward, its square, and 1 where it is not known.

    The last may be left out where all are.
    """
    mean: Summary | None = None
    """Of log w / length, what the geometric mean of token ratios uses."""
    strata: dict[str, Strata] = field(default_factory=dict)
    blocks: tuple[Summary, ...] = ()


def tally_piece(piece: Piece, layout: Layout) -> Tally:
    """Return the tally of one piece of a log, read batch by batch."""
    tally = Tally()
    for grown, _ in tally_rows(piece, layout):
        tally = grown
    return tally


def tally_rows(piece: Piece, layout: Layout) -> Iterator[tuple[Tally, int]]:
    """Yield the growing tally of one piece and the bytes read, batch by batch.

    Raises LogError, naming the file, where it cannot be read, and where a column to report by has
    too many names.
    """
    tally = Tally()
    for batch in batches(piece, layout):
        try:
            tally = merge_tallies(tally, tally_batch(batch, layout, floor=_floor(tally.whole)))
        except TooManyNamesError as error:
            raise LogError(f"{piece.path}: {error}") from error
        yield tally, batch.done


def _floor(summary: Summary) -> float:
    """Return what a log-weight must exceed to be among the largest."""
    return float(summary.top[0]) if len(summary.top) == summary.keep else -np.inf


def tally_batch(batch: Batch, layout: Layout, floor: float = -np.inf) -> Tally:
    """Return the tally of rows in memory; of the largest weights only those above `floor`."""
    log_w = batch.log_w
    counted = Tally(
        read=batch.read,
        bad_count=batch.bad_count,
        bad=batch.bad[:BAD_SHOWN],
        remarks={remark.what: remark for remark in batch.remarks},
    )
    if not len(log_w):
        return counted
    return replace(
        counted,
        whole=summarise(log_w, _reward_layers(batch.reward), floor=floor),
        mean=None if batch.length is None else _mean(log_w, batch.length),
        strata={name: _stratified(log_w, name, batch, layout) for name in batch.by},
        blocks=() if batch.group is None else _blocks(log_w, batch.group),
    )


def _reward_layers(reward: Array | None) -> tuple[Array, ...]:
    """Return reward, its square and, where some are not known, 1 for those."""
    if reward is None:
        return ()
    known = np.isfinite(reward)
    if known.all():
        return reward, reward**2
    filled = np.where(known, reward, 0.0)
    return filled, filled**2, (~known).astype(np.float64)


def _mean(log_w: Array, length: Array) -> Summary:
    """Return the summary of log w / length, where the length is known."""
    known = np.isfinite(length)
    if not known.all():
        log_w, length = log_w[known], length[known]
    return summarise(log_w / length)


def _stratified(log_w: Array, name: str, batch: Batch, layout: Layout) -> Strata:
    try:
        return stratify(log_w, batch.by[name], octaves=layout.is_length(name))
    except TooManyNamesError as error:
        raise TooManyNamesError(f"the column {name!r} {error}") from None


def _blocks(log_w: Array, group: NDArray[np.uint64]) -> tuple[Summary, ...]:
    block = group % BLOCKS
    return tuple(summarise(log_w[block == k], keep=1, grid=PART) for k in range(BLOCKS))


def merge_tallies(one: Tally, other: Tally) -> Tally:
    """Return the tally of both."""
    return Tally(
        read=one.read + other.read,
        bad_count=one.bad_count + other.bad_count,
        bad=(one.bad + other.bad)[:BAD_SHOWN],
        remarks=_merged_remarks(one.remarks, other.remarks),
        whole=merge(one.whole, other.whole),
        mean=_either(one.mean, other.mean),
        strata=_merged_strata(one.strata, other.strata),
        blocks=_merged_blocks(one.blocks, other.blocks),
    )


def _merged_remarks(one: dict[str, Remark], other: dict[str, Remark]) -> dict[str, Remark]:
    merged = one | other
    for what in one.keys() & other.keys():
        merged[what] = replace(one[what], count=one[what].count + other[what].count)
    return merged


def _either(one: Summary | None, other: Summary | None) -> Summary | None:
    return merge(one, other) if one is not None and other is not None else one or other


def _merged_strata(one: dict[str, Strata], other: dict[str, Strata]) -> dict[str, Strata]:
    merged = one | other
    for name in one:
        if name in other:
            try:
                merged[name] = merge_strata(one[name], other[name])
            except TooManyNamesError as error:
                raise TooManyNamesError(f"the column {name!r} {error}") from None
    return merged


def _merged_blocks(one: tuple[Summary, ...], other: tuple[Summary, ...]) -> tuple[Summary, ...]:
    if not one or not other:
        return one or other
    return tuple(merge(a, b) for a, b in zip(one, other, strict=True))
