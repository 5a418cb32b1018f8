"""Ratios that go by the length L of the sequence: gamma in disguise.

s = w^(1/L):   gradient weight s/L where the ratio is differentiated, gamma = 1/L
"""

from __future__ import annotations

import math

import torch

from isr_theory.training.entries.ratios import clipped, unclipped
from isr_theory.training.ranges import AT_LEAST_0, SHARE
from isr_theory.training.weight_function import (
    Branch,
    Parameters,
    Tensor,
    View,
    WeightFunction,
    exp,
    log,
)


def _gspo_gamma(length: Tensor, p: Parameters) -> Tensor:
    return 1 / length


def _p_gspo_gamma(length: Tensor, p: Parameters) -> Tensor:
    return length ** -p["a"]


def _iw_sft_gamma(length: Tensor, p: Parameters) -> Tensor:
    return p["t"] / length


def _weight(view: View, gamma: Tensor, p: Parameters) -> Tensor:
    log_s = gamma * view.log_w
    return torch.where(unclipped(log_s, view.reward, p), gamma * exp(log_s), 0.0)


def _ratio(view: View, gamma: Tensor, p: Parameters) -> Tensor:
    return clipped(gamma * view.log_w, view.reward, p)


def _gmpo_clipped(view: View, p: Parameters) -> Tensor:
    upper, lower = view.log_w.clamp(max=p["epsilon"]), view.log_w.clamp(min=-p["epsilon"])
    return torch.where(view.reward >= 0, upper, lower)


def _gmpo_ratio(view: View, p: Parameters) -> Tensor:
    """Return exp(mean of the clipped log ratios) of each sequence, at all of its tokens."""
    levels = _gmpo_clipped(view, p)
    if view.mask is not None:
        levels = (levels * (view.mask != 0)).sum(-1, keepdim=True).expand_as(levels)
    return exp(levels / view.length)


def _gmpo_share(view: View, p: Parameters) -> Tensor:
    """Return the ratio in equal shares, one a token, that add up to it."""
    ratio = _gmpo_ratio(view, p)
    return ratio if view.mask is None else ratio / view.length


def _gmpo(view: View, p: Parameters) -> Tensor:
    inside = torch.where(view.reward >= 0, view.log_w <= p["epsilon"], view.log_w >= -p["epsilon"])
    return torch.where(inside, _gmpo_ratio(view, p) / view.length, 0.0)


UNBOUNDED = Branch(None, lambda p: math.inf)
ENTRIES = (
    WeightFunction(
        key="gspo",
        title="GSPO",
        formula=r"w^{1/L}/L",
        source="arXiv 2507.18071; TRL, importance_sampling_level='sequence' (documentation)",
        parameters={"low": 3e-4, "high": 4e-4},
        ranges={"low": SHARE, "high": AT_LEAST_0},
        weight=lambda v, p: _weight(v, _gspo_gamma(v.length, p), p),
        surrogate=lambda v, p: _ratio(v, _gspo_gamma(v.length, p), p),
        bound=lambda p: 1 + p["high"],
        note="A ratio, so its gradient has the factor 1/L, and 0 past the clip by the sign of r.",
        needs=("length", "reward"),
        negative=UNBOUNDED,
        gamma=_gspo_gamma,
    ),
    WeightFunction(
        key="p_gspo",
        title="P-GSPO",
        formula=r"L^{-a} w^{L^{-a}}",
        source="openreview OeYb0K8gEu, withdrawn (abstract)",
        parameters={"a": 0.5, "low": 1.0, "high": math.inf},
        ranges={"low": SHARE, "high": AT_LEAST_0},
        weight=lambda v, p: _weight(v, _p_gspo_gamma(v.length, p), p),
        surrogate=lambda v, p: _ratio(v, _p_gspo_gamma(v.length, p), p),
        bound=lambda p: 1 + p["high"],
        note="Unconfirmed: only the abstract is public. a = 1 is GSPO, a = 0 the plain ratio; the "
        "clip is off here, and a has no default there.",
        needs=("length", "reward"),
        negative=UNBOUNDED,
        gamma=_p_gspo_gamma,
    ),
    WeightFunction(
        key="gmpo",
        title="GMPO",
        formula=r"\exp(\overline{\mathrm{clip}(\log w_t, \pm\epsilon)})/L",
        source="arXiv 2507.20673; verl, loss_mode='geo_mean' (code)",
        parameters={"epsilon": 0.4},
        ranges={"epsilon": AT_LEAST_0},
        level="token",
        weight=_gmpo,
        surrogate=_gmpo_share,
        bound=lambda p: math.exp(p["epsilon"]),
        note="The clip is one-sided by the sign of r, and a clipped token has weight 0. A row "
        "without tokens counts as one token of its length.",
        needs=("row", "length", "reward"),
        negative=UNBOUNDED,
        gamma=_gspo_gamma,
    ),
    WeightFunction(
        key="iw_sft",
        title="iw-SFT",
        formula=r"\min(w^{t/L}, C)",
        source="arXiv 2507.12856; its code, bounding_trainers.py",
        parameters={"t": 1.0, "C": 16.0},
        ranges={"C": AT_LEAST_0},
        weight=lambda v, p: exp((_iw_sft_gamma(v.length, p) * v.log_w).clamp(max=log(p["C"]))),
        bound=lambda p: p["C"],
        note="Called importance weights, but the weight of a sequence is its power t/L.",
        needs=("length",),
        gamma=_iw_sft_gamma,
    ),
)
