"""Where a weight function stands in the atlas: its slope at w = 1, and how far up it goes.

    exponent = d log f / d log w at w = 1,   truncation = max f / f(1)

One row of a batch moves; the others rest at w = 1. The slope is taken on both sides of w = 1, as a
kink may lie there. The largest f is sought numerically and not read from the entry's own `bound`,
against which a test holds it; only a function of pi and mu is taken at its bound, over both.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch

from isr_theory.training.atlas import Parameters, View, WeightFunction

BATCH = 64
LENGTH = 100.0
MU = 0.1
"""The probability of the action, for functions that look at it."""
REACH = 40.0
"""How far log w goes, or gamma log w where f is a power of w by its length."""


class Place(NamedTuple):
    """A point of the atlas; `low` and `high` differ where there is a kink at w = 1."""

    low: float
    high: float
    truncation: float


def view(
    log_w: Any, reward: float, length: float = LENGTH, mu: float = MU, batch: int = BATCH
) -> View:
    """Return batches of which only the first row has another weight than 1."""
    moving = torch.as_tensor(log_w, dtype=torch.float64).reshape(-1, 1)
    rows = torch.cat([moving, moving.new_zeros(len(moving), batch - 1)], -1)
    log_mu = torch.full_like(rows, math.log(mu))
    log_pi = (rows + log_mu).requires_grad_()
    return View(log_pi, log_mu, rows.new_full((), reward), torch.full_like(rows, length))


def place(
    entry: WeightFunction, p: Parameters, reward: float, length: float = LENGTH, mu: float = MU
) -> Place:
    """Return where f stands for one sign of the reward."""
    sides = [_slope(entry, p, view([x], reward, length, mu)) for x in (-1e-9, 1e-9)]
    at_one = _value(entry, p, 0.0, reward, length, mu)
    largest = entry.bound(p) if "mu" in entry.needs else _largest(entry, p, reward, length)
    # Between the sides of a smooth point lie 2e-9 times the curvature.
    sides = [round(side, 6) for side in sides]
    return Place(min(sides), max(sides), largest / at_one)


def _slope(entry: WeightFunction, p: Parameters, here: View) -> float:
    f = entry.weight(here, p)[..., 0] + 0 * here.log_pi[..., 0]
    (slope,) = torch.autograd.grad(f.log().sum(), here.log_pi)
    return float(slope[0, 0])


def _value(
    entry: WeightFunction,
    p: Parameters,
    log_w: Any,
    reward: float,
    length: float,
    mu: float = MU,
) -> Any:
    # The others' rows cost, and only some look at them.
    batch = BATCH if "batch" in entry.needs else 1
    f = entry.weight(view(log_w, reward, length, mu, batch), p)[..., 0].detach().numpy()
    return float(f[0]) if np.ndim(log_w) == 0 else f


def _largest(entry: WeightFunction, p: Parameters, reward: float, length: float) -> float:
    """Return the largest f: the best of a grid, then of finer ones about it."""
    scale = 1 / float(entry.gamma(torch.tensor(length), p)) if entry.gamma else 1.0
    grid = scale * np.linspace(-REACH, REACH, 1001)
    f = _value(entry, p, grid, reward, length)
    # Whatever still grows by a hundredth over the last unit of log w has no bound.
    if f[-1] > 1.01 * _value(entry, p, grid[-1] - scale, reward, length):
        return math.inf
    if f.argmax() == len(f) - 1:
        # It levels off; far out it is level.
        return float(_value(entry, p, 20 * grid[-1], reward, length))
    # Each zoom is to the neighbours of the best point, 50 times finer: 5 leave 1e-10 of a step.
    for _ in range(5):
        best = int(np.argmax(f))
        grid = np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], 101)
        f = _value(entry, p, grid, reward, length)
    return float(f.max())
