"""The loss of section 12.1 as it behaves, on the device: claims LST12.1.loss to LST12.1.sft.fix.

    gamma = sqrt(-log rho_min / S^2) in [gamma_min, gamma_max],
    loss = -sum softmax(gamma log w) r log pi

Weak spots included: S^2 has the divisor n - 1, below 1e-8 or where it is no number gamma is
gamma_max, the softmax runs over the whole batch, prompts mixed, and no tensor is widened. gamma is
a double, as the listing's is, whatever the type of the tensors, but stays on the device.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from isr_theory.training.settings import Settings

Tensor = Any


def paper_gamma(settings: Settings, log_w: Tensor) -> Tensor:
    """Return the listing's gamma, a tensor without a dimension."""
    # The listing goes on with a Python number here, which is a double.
    sigma2 = variance(log_w).double()
    closed = torch.sqrt(-math.log(settings.rho_min) / sigma2)
    # A NaN is not below 1e-8, and Python's min(gamma_max, nan) is gamma_max all the same.
    spread = sigma2 >= 1e-8
    inside = closed.clamp(settings.gamma_min, settings.gamma_max)
    return torch.where(spread, inside, settings.gamma_max)


def variance(log_w: Tensor) -> Tensor:
    """Return the variance with divisor n - 1: NaN for one sequence, without torch's warning."""
    if log_w.shape[0] < 2:
        return torch.full_like(log_w.sum(), math.nan)
    return torch.var(log_w)


def paper_ess(log_w: Tensor, gamma: Tensor) -> Tensor:
    """Return ESS/n of w^gamma as in the listing."""
    terms = _scaled(log_w, gamma)
    own = torch.exp(terms - terms.max())
    own = own / own.sum()
    return 1.0 / (own**2).sum() / log_w.shape[0]


def _scaled(log_w: Tensor, gamma: Any) -> Tensor:
    """Return gamma * log w as torch has it for a Python number, which no narrow float rounds."""
    wide = torch.promote_types(log_w.dtype, torch.float32)
    number = torch.as_tensor(gamma, dtype=torch.float64, device=log_w.device).to(wide)
    return (log_w.to(wide) * number).to(log_w.dtype)


def paper_loss(
    settings: Settings, log_pi: Tensor, log_mu: Tensor, rewards: Tensor | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the listing's loss and its four metrics, named as in the paper."""
    log_w = (log_pi - log_mu).detach()
    gamma = paper_gamma(settings, log_w)
    own = torch.softmax(_scaled(log_w, gamma), dim=0)
    loss = -torch.sum(own * log_pi if rewards is None else own * rewards * log_pi)
    metrics = {
        "gamma": gamma,
        "ess_ratio": paper_ess(log_w, gamma),
        "sigma_sq": variance(log_w),
        "max_weight": own.max(),
        "finite": torch.isfinite(loss.detach()),
    }
    return loss, metrics
