"""The trainer of section 12.1: a model, a frozen reference, and the loss between them.

    log w = log pi(y | x) - log mu(y | x),   loss = ISReshapeLoss(log pi, log mu, r)

A model is anything with `log_prob(y, x)`. `mode="paper"` behaves as the listing does, numbers and
side effects alike; the default mode is the loss as `isr_theory.training.loss` has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch

from isr_theory.logspace import WHOLE, Shards
from isr_theory.training.loss import ISReshapeLoss
from isr_theory.training.paper import paper_ess, paper_gamma
from isr_theory.training.settings import Mode
from isr_theory.training.update import Plan
from isr_theory.weights import ess_ratio, gamma_star

Tensor = Any


class Model(Protocol):
    """What a model has to have; one that has `parameters` too is looked at for what may move."""

    def log_prob(self, y: Any, x: Any) -> Tensor:
        """Return log-probabilities of answers y to prompts x, (n,) or (n, tokens)."""


class ReferenceNotFrozenError(ValueError):
    """The reference model still requires gradients: it could move, and with it what w means."""


class ISReshapeTrainer:
    """Computes the loss of `model` against `ref_model`, which stands for mu and must not move.

    `log_prob(y, x)` returns (n,), or (n, tokens) with a mask. `further` are settings of
    `ISReshapeLoss`. In the default mode raises ReferenceNotFrozenError for a reference that
    requires gradients, here and at every loss; mode "paper" freezes it in place, as the listing
    does. Metrics are tensors on the device in the default mode and floats in mode "paper".
    """

    def __init__(
        self,
        model: Model,
        ref_model: Model,
        rho_min: float = 0.3,
        gamma_min: float = 0.0,
        gamma_max: float = 1.0,
        *,
        mode: Mode = "default",
        **further: Any,
    ) -> None:
        self.model = model
        self.ref_model = ref_model
        self.loss = ISReshapeLoss(
            rho_min=rho_min, gamma_min=gamma_min, gamma_max=gamma_max, mode=mode, **further
        )
        if mode == "paper":
            for parameter in _parameters(ref_model):
                parameter.requires_grad = False
        self._check_frozen()

    def compute_optimal_gamma(self, log_w: Tensor) -> Any:
        """Return gamma for log-weights (n,): a tensor, or in mode "paper" a float.

        Raises ValueError as `gamma_star` if validating, but not in mode "paper".
        """
        loss = self.loss
        if loss.mode == "paper":
            return float(paper_gamma(loss, log_w))
        if loss.gamma is not None:
            return torch.full_like(_widened(log_w).sum(), loss.gamma)
        return gamma_star(
            log_w,
            loss.rho_min,
            method=loss.method,
            gamma_min=loss.gamma_min,
            gamma_max=loss.gamma_max,
            validate=loss.validate,
        )

    def compute_ess_ratio(self, log_w: Tensor, gamma: Any) -> Any:
        """Return ESS/n of w^gamma for log-weights (n,): a tensor, or in mode "paper" a float."""
        if self.loss.mode == "paper":
            return float(paper_ess(log_w, gamma))
        return ess_ratio(_widened(log_w), gamma, validate=False)

    def compute_loss(
        self,
        x: Any,
        y: Any,
        rewards: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        groups: Tensor | None = None,
        lengths: Tensor | None = None,
        plan: Plan | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss and its metrics, as `ISReshapeLoss` does for the models' numbers."""
        log_pi, log_mu = self._log_probs(x, y)
        given = (log_pi, log_mu, rewards, mask, groups)
        loss, metrics = self.loss(*given, lengths=lengths, plan=plan)
        if self.loss.mode == "paper":
            return loss, {k: float(v) for k, v in metrics.items() if k != "finite"}
        return loss, metrics

    def plan(
        self,
        x: Any,
        y: Any,
        rewards: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        groups: Tensor | None = None,
        lengths: Tensor | None = None,
        n_groups: int | None = None,
        over: Shards = WHOLE,
    ) -> Plan:
        """Return the plan of a global batch, by a forward pass of both models without gradients.

        What is random in a model, such as dropout, makes the later pass another one: the plan's
        normalisers are then those of this.
        """
        with torch.no_grad():
            log_pi, log_mu = self._log_probs(x, y)
        given = (log_pi, log_mu, rewards, mask, groups)
        return self.loss.plan(*given, lengths=lengths, n_groups=n_groups, over=over)

    def _log_probs(self, x: Any, y: Any) -> tuple[Tensor, Tensor]:
        self._check_frozen()
        with torch.no_grad():
            log_mu = self.ref_model.log_prob(y, x)
        return self.model.log_prob(y, x), log_mu

    def _check_frozen(self) -> None:
        if self.loss.mode == "paper":
            return
        moving = sum(1 for parameter in _parameters(self.ref_model) if parameter.requires_grad)
        if moving:
            raise ReferenceNotFrozenError(
                f"ref_model has {moving} parameters that require gradients: freeze it with"
                " requires_grad_(False), and give it no parameter of the model"
            )


def _widened(log_w: Tensor) -> Tensor:
    """Return log-weights in float32 at least, without their gradient."""
    return log_w.detach().to(torch.promote_types(log_w.dtype, torch.float32))


def _parameters(model: Any) -> Iterable[Any]:
    """Return the parameters of a model that has any."""
    parameters = getattr(model, "parameters", None)
    return parameters() if callable(parameters) else ()
