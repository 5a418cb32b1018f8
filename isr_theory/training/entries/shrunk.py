"""Shrunk weights: smooth functions that are w, or a power of it, while w is small.

((1 - l) w^s + l)^(1/s)   has the power of w, mixing, the sub-Gaussian weight and clipping in it

Logarithmic smoothing and log-sum-exp act on w r; written as a weight on r they look at r too.
"""

from __future__ import annotations

import math

import torch

from isr_theory.training.ranges import AT_LEAST_0, AT_MOST_0, POSITIVE, SHARE
from isr_theory.training.weight_function import (
    Branch,
    Parameters,
    Tensor,
    View,
    WeightFunction,
    by_sign,
    exp,
    log,
)


def log_power_mean(log_w: Tensor, s: float, share: float) -> Tensor:
    """Return log of ((1 - l) w^s + l)^(1/s) for a share l: (1 - l) log w at s = 0, min at -inf."""
    if s == 0:
        return (1 - share) * log_w
    if math.isinf(s):
        return log_w.clamp(max=0.0) if s < 0 else log_w.clamp(min=0.0)
    # Near w^s = 1 the sum is 1 + something small, which the other form would round away.
    near = torch.log1p((1 - share) * torch.expm1((s * log_w).clamp(-1, 1)))
    far = torch.logaddexp(log(1 - share) + s * log_w, torch.full_like(log_w, log(share)))
    return torch.where((s * log_w).abs() < 1, near, far) / s


def _power_mean_exponent(log_w: Tensor, p: Parameters) -> Tensor:
    if math.isinf(p["s"]):
        return (log_w * p["s"] > 0).to(log_w.dtype)
    return torch.sigmoid(p["s"] * log_w + log(1 - p["l"]) - log(p["l"]))


def _power_mean_bound(p: Parameters) -> float:
    if p["l"] == 1 or p["s"] == -math.inf:
        return 1.0
    log_bound = log(p["l"]) / p["s"] if p["s"] < 0 else math.inf
    # Past e^700 there is no such number.
    return math.exp(log_bound) if log_bound < 700 else math.inf


def _log_sub_gaussian(log_w: Tensor, share: float) -> Tensor:
    return -torch.logaddexp(log(1 - share) - log_w, torch.full_like(log_w, log(share)))


def _log_dros(log_w: Tensor, scale: float) -> Tensor:
    return log(scale) - torch.logaddexp(log_w, log(scale) - log_w)


def _vespo(view: View, p: Parameters) -> Tensor:
    positive = view.reward >= 0
    power = by_sign(positive, p["k_positive"], p["k_negative"], view.log_w)
    rate = by_sign(positive, p["l_positive"], p["l_negative"], view.log_w)
    return exp(power * view.log_w + rate * (1 - exp(view.log_w)))


def _vespo_bound(power: float, rate: float) -> float:
    """Return (k/l)^k e^(l - k), the value at w = k/l, for the power k and the rate l."""
    if rate == 0:
        return math.inf if power else 1.0
    return math.pow(power / rate, power) * math.exp(rate - power)


def _log_share(view: View, p: Parameters) -> Tensor:
    """Return log(|r|/M), M = n^a."""
    return view.reward.abs().log().to(view.log_w.dtype) - p["a"] * view.log_count()


def _smoothed(view: View, p: Parameters) -> Tensor:
    return exp(-torch.logaddexp(-view.log_w, _log_share(view, p).expand_as(view.log_w)))


def _smoothed_objective(view: View, p: Parameters) -> Tensor:
    """Return M log(1 + w |r|/M)/|r|, which is w at r = 0."""
    nothing = view.reward == 0
    share = torch.where(nothing, 0.0, _log_share(view, p))
    grown = torch.logaddexp(view.log_w + share, torch.zeros_like(view.log_w))
    return torch.where(nothing, exp(view.log_w), grown * exp(-share))


def _log_sum_exp(view: View, p: Parameters) -> Tensor:
    tilted = p["l"] * exp(view.log_w) * view.reward
    return exp(view.log_w + tilted - view.log_mean(tilted))


ENTRIES = (
    WeightFunction(
        key="power_mean",
        title="Power mean",
        formula=r"((1 - l) w^s + l)^{1/s}",
        source="Metelli et al. 2021 (abstract)",
        parameters={"s": -1.0, "l": 0.5},
        ranges={"l": SHARE},
        weight=lambda v, p: exp(log_power_mean(v.log_w, p["s"], p["l"])),
        exponent=_power_mean_exponent,
        bound=_power_mean_bound,
        note="Unconfirmed past the abstract; 1/2 is this table's l. s = 1 mixes with SFT, s = 0 is "
        "w^(1 - l), s = -1 the sub-Gaussian weight, s = -inf min(w, 1).",
    ),
    WeightFunction(
        key="sub_gaussian",
        title="Sub-Gaussian, RuLSIF",
        formula=r"w/(1 - l + l w)",
        source="Metelli et al. 2021; Yamada et al. 2011",
        parameters={"l": 0.5},
        ranges={"l": SHARE},
        weight=lambda v, p: exp(_log_sub_gaussian(v.log_w, p["l"])),
        exponent=lambda log_w, p: torch.sigmoid(log(1 - p["l"]) - log(p["l"]) - log_w),
        bound=lambda p: 1 / p["l"] if p["l"] else math.inf,
        note="v10 of the line of IS Reshape is this function up to scale. l has no default.",
    ),
    WeightFunction(
        key="dros",
        title="DRos shrinkage",
        formula=r"l w/(w^2 + l)",
        source="Su et al. 2020; v11 of the line of IS Reshape",
        parameters={"l": 1.0},
        ranges={"l": POSITIVE},
        weight=lambda v, p: exp(_log_dros(v.log_w, p["l"])),
        exponent=lambda log_w, p: torch.tanh(log(p["l"]) / 2 - log_w),
        bound=lambda p: math.sqrt(p["l"]) / 2,
        note="v11 is w/(1 + c w^2), c = 1/l. l has no default in the source.",
    ),
    WeightFunction(
        key="vespo",
        title="VESPO",
        formula=r"w^k e^{l (1 - w)}",
        source="arXiv 2602.10693; TRL, loss_type='vespo' (code)",
        parameters={"k_positive": 2.0, "l_positive": 3.0, "k_negative": 3.0, "l_negative": 2.0},
        ranges=dict.fromkeys(("k_positive", "l_positive", "k_negative", "l_negative"), AT_LEAST_0),
        weight=_vespo,
        exponent=lambda log_w, p: p["k_positive"] - p["l_positive"] * exp(log_w),
        bound=lambda p: _vespo_bound(p["k_positive"], p["l_positive"]),
        note="At w = 1 its exponent is k - l = -1 where r >= 0: it falls where the policy has "
        "risen. TRL clamps log w to 20 from above, where f is 0 already.",
        needs=("reward",),
        negative=Branch(
            lambda log_w, p: p["k_negative"] - p["l_negative"] * exp(log_w),
            lambda p: _vespo_bound(p["k_negative"], p["l_negative"]),
        ),
    ),
    WeightFunction(
        key="log_smoothing",
        title="Logarithmic smoothing",
        formula=r"w/(1 + w |r|/M),\ M = n^a",
        source="Sakhi et al. 2024, arXiv 2405.14335",
        parameters={"a": 0.5},
        ranges={"a": AT_LEAST_0},
        weight=_smoothed,
        surrogate=_smoothed_objective,
        note="It smooths the product: M log(1 + w r/M) is differentiated. The source has rewards "
        "of one sign; here the other is its mirror image. f |r| <= M: f has no bound as r -> 0.",
        needs=("batch", "reward"),
    ),
    WeightFunction(
        key="log_sum_exp",
        title="Log-sum-exp",
        formula=r"w e^{l w r}/\overline{e^{l w r}},\ l < 0",
        source="arXiv 2506.06873 (abstract)",
        parameters={"l": -0.1},
        ranges={"l": AT_MOST_0},
        weight=_log_sum_exp,
        note="Unconfirmed past the abstract; -0.1 is this table's l. The gradient of "
        "(1/l) log mean e^(l w r), which no sum over rows is. It shrinks where r > 0 only; where "
        "r < 0 the large weights grow.",
        needs=("batch", "reward"),
    ),
)
