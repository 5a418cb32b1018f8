"""The methods of the drift benchmark: a weight function of the atlas, and what sets its gamma.

    gamma = min(gamma_ESS, gamma_KL)

gamma_ESS is the paper's closed form on the whole log at the current policy. gamma_KL is the state
of a controller, whose law is

    log gamma_KL <- clip(log gamma_KL + eta (1 - KL(mu || pi)/kappa), log gamma_low, 0)

after each step; it starts at gamma_KL = 1 with each new log. It reads the exact divergence, or the
mean of w - 1 - log w over the log, whose expectation that is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from isr_theory.training.atlas import ATLAS, View, WeightFunction
from isr_theory.weights import gamma_star

Tensor = Any
Rule = Literal["none", "ess", "exact KL", "batch KL"]


@dataclass(frozen=True)
class Method:
    """One contestant: which weight function, with which parameters, and what sets gamma."""

    key: str
    function: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    rule: Rule = "none"

    @property
    def entry(self) -> WeightFunction:
        """Return the weight function."""
        return ATLAS[self.function]


METHODS = (
    Method("sft", "sft"),
    Method("w^0.25", "power", {"gamma": 0.25}),
    Method("w^0.5", "power", {"gamma": 0.5}),
    Method("w^0.75", "power", {"gamma": 0.75}),
    Method("is", "is"),
    Method("w^g*", "power", rule="ess"),
    Method("w^g*, exact KL", "power", rule="exact KL"),
    Method("w^g*, batch KL", "power", rule="batch KL"),
    Method("ppo", "ppo"),
    Method("gspo", "gspo"),
    # GSPO's own clip is made for a thousand tokens, over which log w/L hardly varies.
    Method("gspo 0.2", "gspo", {"low": 0.2, "high": 0.2}),
    Method("cispo", "cispo"),
    Method("topr", "topr"),
    Method("vespo", "vespo"),
    Method("p3o", "p3o"),
    Method("dros", "dros"),
)
BY_KEY: Mapping[str, Method] = {method.key: method for method in METHODS}


@dataclass(frozen=True)
class Controller:
    """The constants of the law: target kappa in nats, gain eta a step, and the least gamma."""

    kappa: float = 0.1
    eta: float = 0.3
    low: float = 1e-3

    def moved(self, log_gamma: Tensor, kl: Tensor) -> Tensor:
        """Return log gamma_KL after a step that ended at this divergence."""
        moved = log_gamma + self.eta * (1 - kl / self.kappa)
        return moved.clamp(math.log(self.low), 0.0)


def estimated_kl(log_w: Tensor) -> Tensor:
    """Return the mean of w - 1 - log w over the last axis: of each term at least 0."""
    return (torch.expm1(log_w) - log_w).mean(-1)


def ess_gamma(log_w: Tensor, rho_min: float) -> Tensor:
    """Return min(1, sqrt(-log rho_min / Var log w)) for each log, Theorem 8.3."""
    return gamma_star(log_w, rho_min, method="lognormal", validate=False)


def loss(
    method: Method, log_pi: Tensor, log_mu: Tensor, reward: Tensor, gamma: Tensor | None = None
) -> Tensor:
    """Return the loss of each row's minibatch: the mean over sequences, the sum over tokens.

    `log_pi` and `log_mu` are [..., n, length], `reward` [..., n]; the result has the axes in front.
    """
    entry = method.entry
    parameters = dict(entry.settings(**method.parameters))
    if gamma is not None:
        parameters["gamma"] = gamma[..., None]
    length = torch.full_like(reward, log_pi.shape[-1])
    if entry.level == "token":
        mask = torch.ones_like(log_mu)
        view = View(log_pi, log_mu, reward[..., None], length[..., None], mask)
    else:
        view = View(log_pi.sum(-1), log_mu.sum(-1), reward, length)
    terms = -entry.differentiated(view, parameters) * entry.rewarded(view, parameters)
    if entry.penalty is not None:
        terms = terms + entry.penalty(view, parameters)
    return (terms.sum(-1) if entry.level == "token" else terms).mean(-1)
