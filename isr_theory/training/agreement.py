"""What the ranks of a batch have to agree on before they add anything up.

    all ranks raise   if one of them has bad input, or two of them differ

A rank that raised alone would leave the others waiting for its sums for ever, and sums of different
lengths or types add up to nothing. So the ranks first compare one short vector, whose length and
type are always the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from isr_theory.logspace import Shards
from isr_theory.training.batch import Batch

Tensor = Any

_FACTS = ("n_groups", "bits of log_pi and log_mu", "rewards", "groups")
_SHOWN: tuple[Callable[[float], str], ...] = (
    lambda x: f"{x:.0f}",
    lambda x: f"{x:.0f}",
    lambda x: "given" if x else "None",
    lambda x: "given" if x else "None",
)


def agreed(prepare: Callable[[], Batch], log_pi: Any, over: Shards) -> Batch:
    """Return this rank's batch, or raise on all ranks what one of them has to.

    Raises the rank's own TypeError or ValueError; where it has none, ValueError that another rank
    has, or that names what differs. This is one all_reduce, and it waits for the device.
    """
    device = log_pi.device if isinstance(log_pi, torch.Tensor) else None
    try:
        batch = prepare()
    except (TypeError, ValueError):
        _compared([1.0] + [-torch.inf] * len(_FACTS), device, over)
        raise
    facts = [
        batch.n_groups,
        8 * batch.log_pi.dtype.itemsize,
        "rewards" in batch.given,
        "groups" in batch.given,
    ]
    (bad, *highest), (_, *lowest) = _compared([0.0, *facts], device, over)
    if bad:
        raise ValueError("over: another rank refused its part of the batch; its error says why")
    for name, show, high, low in zip(_FACTS, _SHOWN, highest, lowest, strict=True):
        if high != low:
            raise ValueError(
                f"{name} must be the same on all ranks, not {show(low)} on one and {show(high)} on"
                " another"
            )
    return batch


def _compared(facts: list[float], device: Any, over: Shards) -> tuple[list[float], list[float]]:
    """Return the largest and the smallest of each fact; -inf is none."""
    ours = torch.tensor(facts, dtype=torch.float64, device=device)
    none = ours == -torch.inf
    largest, less = over.largest(torch.stack([ours, torch.where(none, ours, -ours)])).tolist()
    return largest, [-x for x in less]
