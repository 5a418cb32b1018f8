"""Functions of the probabilities themselves, not of their ratio alone.

f = p = pi(y_t), its powers and its variance; and ratios with a softened denominator. At a fixed mu
a power of pi is a power of w, which is what `exponent` says.
"""

from __future__ import annotations

import math

import torch

from isr_theory.training.ranges import AT_LEAST_0, SHARE
from isr_theory.training.weight_function import (
    Parameters,
    Tensor,
    View,
    WeightFunction,
    constant,
    exp,
    log,
)


def _softened(view: View, p: Parameters) -> Tensor:
    if not p["c"]:
        return exp(view.log_w)
    return exp(
        view.log_pi - torch.logaddexp(view.log_mu, torch.full_like(view.log_mu, log(p["c"])))
    )


def _power_objective(view: View, p: Parameters) -> Tensor:
    """Return (p^a - 1)/a, which is log p at a = 0."""
    return torch.expm1(p["a"] * view.log_pi) / p["a"] if p["a"] else view.log_pi


ENTRIES = (
    WeightFunction(
        key="dft",
        title="DFT",
        formula="p",
        source="arXiv 2508.05629; TRL, loss_type='dft' (code)",
        level="token",
        weight=lambda v, p: exp(v.log_pi),
        exponent=constant(1.0),
        bound=lambda p: 1.0,
        note="The importance weight for a mu that is 1 on its data: mu is not looked at.",
        needs=("mu",),
    ),
    WeightFunction(
        key="beyond_ll",
        title="Beyond log-likelihood",
        formula="p^a",
        source="arXiv 2510.00526",
        parameters={"a": 1.0},
        ranges={"a": AT_LEAST_0},
        level="token",
        weight=lambda v, p: exp(p["a"] * v.log_pi),
        surrogate=_power_objective,
        exponent=lambda log_w, p: torch.full_like(log_w, p["a"]),
        bound=lambda p: 1.0,
        note="(1 - p^a)/a is differentiated; a = 1 is DFT's gradient, a = 0 is SFT.",
        needs=("mu",),
    ),
    WeightFunction(
        key="chord_phi",
        title=r"CHORD-$\phi$",
        formula="p (1 - p)",
        source="arXiv 2508.11408; Trinity-RFT, policy loss 'sft_phi' (code)",
        level="token",
        weight=lambda v, p: -exp(v.log_pi) * torch.expm1(v.log_pi.clamp(max=0.0)),
        bound=lambda p: 0.25,
        note="Its mu mixes this loss with GRPO's, (1 - mu) GRPO + mu CHORD: it is no part of f.",
        needs=("mu",),
    ),
    WeightFunction(
        key="ix",
        title="Implicit exploration (IX)",
        formula=r"\pi/(\mu + c)",
        source="Neu 2015",
        parameters={"c": 0.1},
        ranges={"c": AT_LEAST_0},
        weight=_softened,
        exponent=constant(1.0),
        bound=lambda p: 1 / p["c"] if p["c"] else math.inf,
        note="c has no default in the source; 0.1 is this table's.",
        needs=("mu",),
    ),
    WeightFunction(
        key="exponential_smoothing",
        title="Exponential smoothing",
        formula=r"\pi/\mu^a",
        source="arXiv 2305.15877 (abstract)",
        parameters={"a": 0.5},
        ranges={"a": SHARE},
        weight=lambda v, p: exp(v.log_pi - p["a"] * v.log_mu),
        exponent=constant(1.0),
        bound=lambda p: math.inf if p["a"] else 1.0,
        note="Unconfirmed past the abstract; 1/2 is this table's a. Smooths mu alone: a = 1 is w, "
        "a = 0 is pi, and between them f is no power of w.",
        needs=("mu",),
    ),
)
