"""Truncated weights: w up to a threshold, then the threshold, or nothing.

f(w) = min(w, C)

All are detached, so that a truncated sample keeps its gradient; only masking drops it.
"""

from __future__ import annotations

import torch

from isr_theory.training.ranges import AT_LEAST_0, SHARE
from isr_theory.training.weight_function import (
    Branch,
    Parameters,
    Tensor,
    View,
    WeightFunction,
    constant,
    exp,
    inside,
    log,
)


def below(log_w: Tensor, top: float) -> Tensor:
    """Return the exponent of min(w, e^top): 1 below, 0 above."""
    return (log_w < top).to(log_w.dtype)


def _ionides(view: View, p: Parameters) -> Tensor:
    return exp(torch.minimum(view.log_w, p["a"] * view.log_count() + view.log_mean(view.log_w)))


def _kept(log_w: Tensor, p: Parameters) -> Tensor:
    return (log_w >= log(p["low"])) & (log_w <= log(p["high"]))


def log_ess_ratio(view: View) -> Tensor:
    """Return log(ESS/n) of w over each batch, at most 0, a constant to the gradient."""
    return (2 * view.log_mean(view.log_w) - view.log_mean(2 * view.log_w)).clamp(max=0.0)


def _p3o_penalty(view: View, p: Parameters) -> Tensor:
    """Return (1 - ESS/n)(log w + 1/w - 1), whose gradient is (1 - ESS/n)(1 - 1/w) grad log pi."""
    distance = view.log_w + exp(-view.log_w) - 1
    return -torch.expm1(log_ess_ratio(view)) * distance


ENTRIES = (
    WeightFunction(
        key="tis",
        title="TIS",
        formula=r"\min(w, C)",
        source="verl, rollout importance sampling; TRL, mode token_truncate (documentation)",
        parameters={"C": 2.0},
        ranges={"C": AT_LEAST_0},
        level="token",
        weight=lambda v, p: exp(v.log_w.clamp(max=log(p["C"]))),
        exponent=lambda log_w, p: below(log_w, log(p["C"])),
        bound=lambda p: p["C"],
        note="TRL takes tokens or sequences; its cap is 3 by now.",
    ),
    WeightFunction(
        key="ionides",
        title="Truncated IS (Ionides)",
        formula=r"\min(w, n^a\,\overline{w})",
        source="Ionides 2008; documentation of the R package loo",
        parameters={"a": 0.5},
        ranges={"a": AT_LEAST_0},
        weight=_ionides,
        note="The threshold moves with the mean, so no number bounds it; f <= n^a times the mean.",
        needs=("batch",),
    ),
    WeightFunction(
        key="mis",
        title="MIS, IcePop",
        formula=r"w\,1[lo \leq w \leq hi]",
        source="TRL, modes token_mask and sequence_mask (documentation)",
        parameters={"low": 0.5, "high": 2.0},
        ranges={"low": AT_LEAST_0, "high": AT_LEAST_0},
        level="token",
        weight=lambda v, p: torch.where(_kept(v.log_w, p), exp(v.log_w), 0.0),
        exponent=lambda log_w, p: inside(_kept(log_w, p), log_w),
        bound=lambda p: p["high"],
        note="TRL's own default is high = 3 without a low end. IcePop's range is unconfirmed.",
    ),
    WeightFunction(
        key="topr",
        title="TOPR",
        formula=r"1\ (r \geq 0),\ \min(w, 1)\ (r < 0)",
        source="arXiv 2503.14286",
        weight=lambda v, p: torch.where(v.reward >= 0, 1.0, exp(v.log_w.clamp(max=0.0))),
        exponent=constant(0.0),
        bound=lambda p: 1.0,
        note="SFT on what was good, truncated importance sampling on what was bad.",
        needs=("reward",),
        negative=Branch(lambda log_w, p: below(log_w, 0.0), lambda p: 1.0),
    ),
    WeightFunction(
        key="cispo",
        title="CISPO",
        formula=r"\mathrm{clip}(w, 1 - \epsilon_l, 1 + \epsilon_h)",
        source="arXiv 2506.13585; TRL, loss_type='cispo' (code)",
        parameters={"low": 1.0, "high": 4.0},
        ranges={"low": SHARE, "high": AT_LEAST_0},
        level="token",
        weight=lambda v, p: exp(v.log_w.clamp(log(1 - p["low"]), log(1 + p["high"]))),
        exponent=lambda log_w, p: below(log_w, log(1 + p["high"])) * (log_w > log(1 - p["low"])),
        bound=lambda p: 1 + p["high"],
        note="Clips the weight, not the update. TRL's epsilon_high = 5 is the cap, 1 + high here, "
        "and it has no low end.",
    ),
    WeightFunction(
        key="p3o",
        title="P3O",
        formula=r"\min(w, \mathrm{ESS}/n)",
        source="arXiv 2605.12380; its authors' FeynRL, algs/P3O/p3o.py (code)",
        level="token",
        weight=lambda v, p: exp(torch.minimum(v.log_w, log_ess_ratio(v))),
        bound=lambda p: 1.0,
        note="The penalty is called KL(pi || mu), but log w + 1/w - 1 estimates that under pi; the "
        "samples are mu's, under which it is chi^2(mu || pi) - KL(mu || pi).",
        needs=("batch",),
        penalty=_p3o_penalty,
    ),
)
