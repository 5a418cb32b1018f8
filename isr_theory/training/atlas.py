"""The gamma atlas: the weight functions f of the field, each with its real gradient weight.

    g = E_mu[f(w) r grad log pi],   w = pi/mu

An entry is one `WeightFunction`. Where a *ratio* h(w) is differentiated, as in PPO, the gradient
weight is w h'(w) and not h(w); an entry therefore gives both what is differentiated (`surrogate`)
and what its gradient amounts to (`weight`), and a test holds one against the other by autograd.
The entries stand in `entries`, a file a family; adding one to its family's `ENTRIES` is all that a
new function needs.
"""

from __future__ import annotations

from collections.abc import Mapping

from isr_theory.training.entries import lengths, powers, probabilities, ratios, shrunk, truncated
from isr_theory.training.weight_function import Branch, Parameters, Tensor, View, WeightFunction

__all__ = ["ATLAS", "ENTRIES", "Branch", "Parameters", "Tensor", "View", "WeightFunction"]

ENTRIES: tuple[WeightFunction, ...] = (
    *powers.ENTRIES,
    *truncated.ENTRIES,
    *ratios.ENTRIES,
    *lengths.ENTRIES,
    *probabilities.ENTRIES,
    *shrunk.ENTRIES,
)
ATLAS: Mapping[str, WeightFunction] = {entry.key: entry for entry in ENTRIES}
