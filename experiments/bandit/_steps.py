"""SGD and Adam for many runs in one tensor, each with a learning rate and a clip of its own.

Both work element by element, so the runs do not feel one another; `torch.optim` has one learning
rate for a tensor, and that is what these are for. A test holds them against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch

Tensor = Any
Rule = Literal["SGD", "Adam"]
BETAS = 0.9, 0.999
EPSILON = 1e-8


def clipped(gradient: Tensor, most: float, axes: int = 2) -> Tensor:
    """Return gradients scaled to a norm of at most `most`, over the last axes of each run."""
    norm = torch.linalg.vector_norm(gradient, dim=tuple(range(-axes, 0)), keepdim=True)
    return gradient * (most / norm.clamp(min=most))


@dataclass
class Stepper:
    """One optimiser's state; `rate` broadcasts against the parameters."""

    rule: Rule
    rate: Tensor
    taken: int = 0
    means: list[Tensor] = field(default_factory=list)

    def step(self, parameters: Tensor, gradient: Tensor) -> Tensor:
        """Return the parameters after one step of descent, as a new tensor."""
        if self.rule == "SGD":
            return parameters - self.rate * gradient
        if not self.means:
            self.means = [torch.zeros_like(gradient), torch.zeros_like(gradient)]
        self.taken += 1
        powers = (gradient, gradient * gradient)
        self.means = [
            b * m + (1 - b) * g for b, m, g in zip(BETAS, self.means, powers, strict=True)
        ]
        first, second = (m / (1 - b**self.taken) for b, m in zip(BETAS, self.means, strict=True))
        return parameters - self.rate * first / (second.sqrt() + EPSILON)
