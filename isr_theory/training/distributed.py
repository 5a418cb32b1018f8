"""A batch over several processes: sums and maxima of all ranks, by `torch.distributed`.

    sum over ranks of each rank's loss = the loss of the global batch

`Ranks` is handed to `ISReshapeLoss.plan`, which then makes gamma, normalisers and baselines those
of the global batch, however it is cut up: shards may differ in size, and one may be empty. Every
rank has to call it, and with the same `n_groups`. Each rank's loss is its share of the global loss,
and gradients have to be *added* over ranks. DistributedDataParallel averages them instead: with
`averaged=True` every share is multiplied by the number of ranks, so that the average is the sum.
Micro-batches add up on each rank, under DistributedDataParallel with `no_sync` on all but the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

Tensor = Any


def processes() -> int:
    """Return how many processes there are in the default group, 1 where there is none."""
    there = distributed.is_available() and distributed.is_initialized()
    return int(distributed.get_world_size()) if there else 1


@dataclass(frozen=True)
class Ranks:
    """All ranks of a process group; `group=None` is the default one.

    Each call is one all_reduce, whose result is the same on every rank to the last bit, so that
    every rank has the same gamma. Raises RuntimeError where no process group is initialised.
    """

    group: Any = None
    averaged: bool = False
    """Whether gradients are averaged over the ranks afterwards, as DistributedDataParallel does."""

    def __post_init__(self) -> None:
        if not distributed.is_available() or not distributed.is_initialized():
            raise RuntimeError("Ranks needs torch.distributed.init_process_group first")

    @property
    def scale(self) -> float:
        """What a rank's share is multiplied by."""
        return float(distributed.get_world_size(self.group)) if self.averaged else 1.0

    def added(self, *parts: Tensor) -> tuple[Tensor, ...]:
        """Return sums over all ranks, in one all_reduce."""
        flat = torch.cat([part.reshape(-1) for part in parts])
        distributed.all_reduce(flat, distributed.ReduceOp.SUM, self.group)
        pieces = flat.split([part.numel() for part in parts])
        return tuple(piece.reshape(part.shape) for piece, part in zip(pieces, parts, strict=True))

    def largest(self, part: Tensor) -> Tensor:
        """Return maxima over all ranks; NaN where one is on any of them."""
        # Backends differ in what the maximum of a NaN is.
        bad = torch.isnan(part)
        top = torch.stack([torch.where(bad, -torch.inf, part), bad.to(part.dtype)])
        distributed.all_reduce(top, distributed.ReduceOp.MAX, self.group)
        return torch.where(top[1] > 0, torch.nan, top[0])
