"""An order of rows that keeps the responses to one prompt together.

    shuffle prompts, then take each one's rows in turn

Weights are normalised, and baselines taken, over a prompt's group within one global batch. Were
single rows shuffled, a prompt's responses would hardly ever meet in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class WholeGroups:
    """Indices of rows by shuffled groups; accelerate calls `set_epoch` as each epoch begins.

    A batch that is no multiple of the size of the groups cuts the one at its edge in two.
    """

    def __init__(self, groups: Sequence[int], seed: int) -> None:
        order = np.argsort(groups, kind="stable")
        _, starts = np.unique(np.asarray(groups)[order], return_index=True)
        self._members = np.split(order, starts[1:])
        self._rows = len(groups)
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next order that of this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[Any]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self._members))
        for group in order:
            yield from self._members[group].tolist()
