"""The methods that meet stale logs: settings of the loss, and a controller on gamma.

    gamma = min(gamma_ESS, gamma_KL),   log gamma_KL <- clip(log gamma_KL + eta (1 - KL/kappa))

gamma_ESS is the closed form of Theorem 8.3 on the batch of a step, gamma_KL the state of the
controller of the bandit experiments, which begins at 1 with each log and reads the mean of
w - 1 - log w. Version 3.1 of the paper's line gives every sample an exponent of its own,

    gamma(w) = g + (sigmoid(-T log w) - g) sigmoid(A log w),   g = 1/2, T = 1,

and as it was run differentiates w^gamma(w) with gamma(w) held: the gradient weight then has the
factor gamma(w), which that of w^gamma(w) log pi has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from isr_theory.training.weight_function import Parameters, View, WeightFunction, exp

Tensor = Any


@dataclass(frozen=True)
class Method:
    """One contestant: its key, the settings of its loss, and whether the controller caps gamma."""

    key: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    controlled: bool = False


def own_exponent(view: View, p: Parameters) -> Tensor:
    """Return gamma(w) of version 3.1, A the reward as it is given."""
    level = view.log_w.detach()
    sharp = torch.sigmoid(-p["T"] * level) - p["g"]
    return p["g"] + sharp * torch.sigmoid(view.reward * level)


def _right(view: View, p: Parameters) -> Tensor:
    return exp(own_exponent(view, p) * view.log_w)


def _as_run(view: View, p: Parameters) -> Tensor:
    return own_exponent(view, p) * _right(view, p)


def _v31(key: str, formula: str, weight: Any) -> WeightFunction:
    return WeightFunction(
        key=key,
        title="Version 3.1",
        formula=formula,
        source="FloyedShen/VESPO, recipe/is_shape/theory: is_reshape_v3_renyi.md 7.2",
        weight=weight,
        parameters={"g": 0.5, "T": 1.0},
        needs=("reward",),
    )


V31 = _v31("v31", r"w^{\gamma(w)}", _right)
V31_RUN = _v31("v31_run", r"\gamma(w) w^{\gamma(w)}", _as_run)

METHODS = (
    Method("w^0", {"gamma": 0.0}),
    Method("w^0.25", {"gamma": 0.25}),
    Method("w^0.5", {"gamma": 0.5}),
    Method("w^1", {"gamma": 1.0}),
    Method("w^g*"),
    Method("w^g*, KL", controlled=True),
    Method("ppo", {"weight": "ppo"}),
    # GSPO's own clip is made for a thousand tokens, over which log w/L hardly varies.
    Method("gspo", {"weight": "gspo", "parameters": {"low": 0.2, "high": 0.2}}),
    Method("cispo", {"weight": "cispo"}),
    Method("topr", {"weight": "topr"}),
    Method("vespo", {"weight": "vespo"}),
    Method("p3o", {"weight": "p3o"}),
    Method("dft", {"weight": "dft"}),
    Method("v3.1", {"weight": V31}),
    Method("v3.1 as run", {"weight": V31_RUN}),
)
BY_KEY: Mapping[str, Method] = {method.key: method for method in METHODS}
