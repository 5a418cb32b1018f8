"""The gamma atlas: the weight functions f of the field, each with the gradient weight it really has.

    g = E_mu[f(w) r grad log pi],   w = pi/mu

An entry is one `WeightFunction`. Where a *ratio* h(w) is differentiated, as in PPO, the gradient
weight is w h'(w) and not h(w); an entry therefore gives both what is differentiated (`surrogate`)
and what its gradient amounts to (`weight`), and a test holds one against the other by autograd.
Adding an entry to `ENTRIES` is all that a new function needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

Tensor = Any
"""A torch tensor; torch ships no types that mypy follows here."""
Parameters = Mapping[str, float]
Level = Literal["sequence", "token"]


@dataclass(frozen=True)
class View:
    """What a weight function sees of a batch.

    At the level of sequences every tensor has one entry a row. At the level of tokens `log_pi`,
    `log_mu` and `mask` are rows of tokens, and `reward` and `length` have a last axis of size 1.
    """

    log_pi: Tensor
    log_mu: Tensor
    reward: Tensor
    length: Tensor
    """How many tokens count in each sequence."""
    mask: Tensor | None = None
    """1 for the tokens that count, where there are tokens."""

    @property
    def log_w(self) -> Tensor:
        """Return log pi - log mu at this level."""
        return self.log_pi - self.log_mu


@dataclass(frozen=True)
class WeightFunction:
    """One function f: its formula, what is differentiated, and what that comes to.

    `weight(view, parameters)` is the gradient weight on r grad log pi. `surrogate(view, parameters)`
    is what is differentiated in log pi, None where that is the detached weight times log pi.
    `exponent(log_w, parameters)` is d log f / d log w of the gradient weight, None where f is no
    function of w alone, and `bound(parameters)` is the largest value that f takes, inf where it has
    none: the two coordinates of the atlas.
    """

    key: str
    title: str
    formula: str
    source: str
    weight: Callable[[View, Parameters], Tensor]
    parameters: Parameters = field(default_factory=dict)
    level: Level = "sequence"
    surrogate: Callable[[View, Parameters], Tensor] | None = None
    exponent: Callable[[Tensor, Parameters], Tensor] | None = None
    bound: Callable[[Parameters], float] = lambda _: math.inf
    note: str = ""

    def differentiated(self, view: View, parameters: Parameters) -> Tensor:
        """Return what the loss differentiates, by rows or tokens, before the reward."""
        if self.surrogate is not None:
            return self.surrogate(view, parameters)
        return self.weight(view, parameters).detach() * view.log_pi


ENTRIES = (
    WeightFunction(
        key="sft",
        title="SFT",
        formula="1",
        source="classical",
        weight=lambda v, p: torch.ones_like(v.log_w),
        exponent=lambda log_w, p: torch.zeros_like(log_w),
        bound=lambda p: 1.0,
    ),
    WeightFunction(
        key="is",
        title="REINFORCE, importance sampling",
        formula="w",
        source="classical",
        weight=lambda v, p: v.log_w.exp(),
        exponent=lambda log_w, p: torch.ones_like(log_w),
    ),
    WeightFunction(
        key="power",
        title="IS Reshape",
        formula=r"w^\gamma",
        source="IS Reshape v3.0, Definition 4.1",
        parameters={"gamma": 0.5},
        weight=lambda v, p: (p["gamma"] * v.log_w).exp(),
        exponent=lambda log_w, p: torch.full_like(log_w, p["gamma"]),
        bound=lambda p: math.inf if p["gamma"] else 1.0,
    ),
)
ATLAS: Mapping[str, WeightFunction] = {entry.key: entry for entry in ENTRIES}
