"""Powers of w: the line from SFT to importance sampling, its normalised form, and AsymRE on it.

f(w) = w^gamma
"""

from __future__ import annotations

import math

import torch

from isr_theory.training.weight_function import WeightFunction, constant, exp

ENTRIES = (
    WeightFunction(
        key="sft",
        title="SFT",
        formula="1",
        source="classical",
        weight=lambda v, p: torch.ones_like(v.log_w),
        exponent=constant(0.0),
        bound=lambda p: 1.0,
    ),
    WeightFunction(
        key="is",
        title="REINFORCE, importance sampling",
        formula="w",
        source="classical",
        weight=lambda v, p: exp(v.log_w),
        exponent=constant(1.0),
    ),
    WeightFunction(
        key="power",
        title="IS Reshape",
        formula=r"w^\gamma",
        source="IS Reshape v3.0, Definition 4.1",
        parameters={"gamma": 0.5},
        weight=lambda v, p: exp(p["gamma"] * v.log_w),
        exponent=lambda log_w, p: torch.full_like(log_w, p["gamma"]),
        bound=lambda p: math.inf if p["gamma"] else 1.0,
    ),
    WeightFunction(
        key="self_normalised",
        title="Self-normalised power",
        formula=r"w^\gamma / \overline{w^\gamma}",
        source="IS Reshape v3.0, section 12.1; SNIPS, Swaminathan and Joachims 2015",
        parameters={"gamma": 1.0},
        weight=lambda v, p: exp(p["gamma"] * v.log_w - v.log_mean(p["gamma"] * v.log_w)),
        exponent=lambda log_w, p: torch.full_like(log_w, p["gamma"]),
        bound=lambda p: math.inf if p["gamma"] else 1.0,
        note="At most n in a batch of n. SNIPS differentiates the quotient; this detaches it.",
        needs=("batch",),
    ),
    WeightFunction(
        key="asymre",
        title="AsymRE",
        formula=r"1,\ r \to r - V",
        source="arXiv 2506.20520 (abstract)",
        parameters={"V": 0.0},
        weight=lambda v, p: torch.ones_like(v.log_w),
        exponent=constant(0.0),
        bound=lambda p: 1.0,
        note="Unconfirmed past the abstract. The weight is SFT's: what differs is the baseline, "
        "and 0 is this table's V.",
        advantage=lambda v, p: v.reward - p["V"],
    ),
)
