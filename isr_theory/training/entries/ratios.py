"""Ratios that are differentiated token by token: the gradient weight of h(w) is w h'(w), not h(w).

PPO clips the ratio, SAPO bends it with a sigmoid, LUFFY saturates it.
"""

from __future__ import annotations

import math

import torch
from scipy import optimize

from isr_theory.training.ranges import AT_LEAST_0, POSITIVE, SHARE
from isr_theory.training.weight_function import (
    Branch,
    Parameters,
    Tensor,
    View,
    WeightFunction,
    by_sign,
    exp,
    inside,
    log,
)


def unclipped(log_ratio: Tensor, reward: Tensor, p: Parameters) -> Tensor:
    """Say where min(s r, clip(s) r) follows s: up to 1 + high if r >= 0, else down to 1 - low."""
    return torch.where(reward >= 0, log_ratio <= log(1 + p["high"]), log_ratio >= log(1 - p["low"]))


def clipped(log_ratio: Tensor, reward: Tensor, p: Parameters) -> Tensor:
    """Return min(s r, clip(s) r) / r."""
    upper, lower = log_ratio.clamp(max=log(1 + p["high"])), log_ratio.clamp(min=log(1 - p["low"]))
    return exp(torch.where(reward >= 0, upper, lower))


def sigmoid(x: Tensor) -> Tensor:
    """Return 1/(1 + e^-x) by its logarithm: the gradient stays right where the value nears 1."""
    return torch.nn.functional.logsigmoid(x).exp()


def _temperature(view: View, p: Parameters) -> Tensor:
    return by_sign(view.reward > 0, p["t_positive"], p["t_negative"], view.log_w)


def _sapo(view: View, p: Parameters) -> Tensor:
    turned = _temperature(view, p) * (exp(view.log_w) - 1)
    gate = torch.nn.functional.logsigmoid
    return exp(math.log(4) + view.log_w + gate(turned) + gate(-turned))


def _sapo_gate(view: View, p: Parameters) -> Tensor:
    t = _temperature(view, p)
    return 4 / t * sigmoid(t * (exp(view.log_w) - 1))


def _sapo_exponent(log_w: Tensor, t: float) -> Tensor:
    w = exp(log_w)
    return 1 - t * w * torch.tanh(t * (w - 1) / 2)


def _sapo_bound(t: float) -> float:
    """Return the largest w sech^2(t(w - 1)/2), where its exponent 1 - t w tanh(t(w - 1)/2) is 0."""
    # At 1 + 4/t the exponent is 1 - (t + 4) tanh 2 < 0.
    w = optimize.brentq(lambda w: 1 - t * w * math.tanh(t * (w - 1) / 2), 1, 1 + 4 / t, xtol=1e-14)
    return float(w / math.cosh(t * (w - 1) / 2) ** 2)


def _turned(log_w: Tensor, p: Parameters) -> Tensor:
    return log_w - log(p["c"])


ENTRIES = (
    WeightFunction(
        key="ppo",
        title="PPO, GRPO",
        formula=r"w\,1[w \leq 1 + \epsilon]\ (r \geq 0),\ w\,1[w \geq 1 - \epsilon]\ (r < 0)",
        source="Schulman et al. 2017; TRL, loss_type='grpo' (code)",
        parameters={"low": 0.2, "high": 0.2},
        ranges={"low": SHARE, "high": AT_LEAST_0},
        level="token",
        weight=lambda v, p: torch.where(unclipped(v.log_w, v.reward, p), exp(v.log_w), 0.0),
        surrogate=lambda v, p: clipped(v.log_w, v.reward, p),
        exponent=lambda log_w, p: inside(log_w <= log(1 + p["high"]), log_w),
        bound=lambda p: 1 + p["high"],
        note="The clip drops samples, it does not truncate weights; where r < 0 nothing bounds f.",
        needs=("reward",),
        negative=Branch(
            lambda log_w, p: inside(log_w >= log(1 - p["low"]), log_w), lambda p: math.inf
        ),
    ),
    WeightFunction(
        key="sapo",
        title="SAPO",
        formula=r"w\,\mathrm{sech}^2(t (w - 1)/2)",
        source="arXiv 2511.20347; TRL, loss_type='sapo' (code)",
        parameters={"t_positive": 1.0, "t_negative": 1.05},
        ranges={"t_positive": POSITIVE, "t_negative": POSITIVE},
        level="token",
        weight=_sapo,
        surrogate=_sapo_gate,
        exponent=lambda log_w, p: _sapo_exponent(log_w, p["t_positive"]),
        bound=lambda p: _sapo_bound(p["t_positive"]),
        note="The gate (4/t) sigmoid(t(w - 1)) is differentiated; it is not the weight.",
        needs=("reward",),
        negative=Branch(
            lambda log_w, p: _sapo_exponent(log_w, p["t_negative"]),
            lambda p: _sapo_bound(p["t_negative"]),
        ),
    ),
    WeightFunction(
        key="luffy",
        title="LUFFY",
        formula=r"c w/(w + c)^2",
        source="arXiv 2504.14945; its code, off_policy_reshape='p_div_p_0.1'",
        parameters={"c": 0.1},
        ranges={"c": POSITIVE},
        level="token",
        weight=lambda v, p: (
            torch.sigmoid(_turned(v.log_w, p)) * torch.sigmoid(-_turned(v.log_w, p))
        ),
        surrogate=lambda v, p: sigmoid(_turned(v.log_w, p)),
        exponent=lambda log_w, p: -torch.tanh(_turned(log_w, p) / 2),
        bound=lambda p: 0.25,
        note="w/(w + c) rises, its gradient weight falls past w = c. The code sets mu = 1 for "
        "foreign tokens: w is then pi itself.",
    ),
)
