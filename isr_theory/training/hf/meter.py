"""Metrics of many steps, added up on the device and read once where they are logged.

    mean over the steps since the last reading

"finite" is then the share of steps that were finite, "dead_zone" that of steps without a mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

Tensor = Any


class Meter:
    """Sums of scalars that stay on the device until `read`."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._sum: Tensor = None
        self._steps = 0

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Add one step's metrics, tensors without a dimension, the same names at every step."""
        vector = torch.stack([value.detach().float() for value in metrics.values()])
        self._sum = vector if self._sum is None else self._sum + vector
        self._names, self._steps = tuple(metrics), self._steps + 1

    def read(self) -> dict[str, float]:
        """Return the means since the last reading, nothing if there was no step; this waits."""
        if self._sum is None:
            return {}
        means = (self._sum / self._steps).tolist()
        self._sum, self._steps = None, 0
        return dict(zip(self._names, means, strict=True))
