r"""gamma for those who stay in TRL: its VESPO loss, with k set from each batch.

    f(w) = w^k e^{l (1 - w)},   (k, l) = (gamma, 0):   w^gamma

TRL's GRPOTrainer with `loss_type="vespo"` weighs whole sequences by f, detached. `VespoGamma` gives
it in every step the k that keeps the effective sample size of the batch, on all processes alike.
TRL takes l for 1e-4 where it is less, and w for e^20 at most, so that what comes out is w^gamma
times e^{(1 - w)/10^4}: 1% less at w = 100, and nothing left past w = 10^5. Its sum is over tokens
and not normalised by the weights' mean, and its advantages are centred, which for gamma < 1 moves
the expected gradient (claim OBJ.baseline).

    callback = VespoGamma(rho_min=0.3)
    callback.attach(trainer)
    trainer.train()
"""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback

from isr_theory.logspace import WHOLE
from isr_theory.rule import Method
from isr_theory.training.distributed import Ranks
from isr_theory.training.loss import ISReshapeLoss

Tensor = Any


class VespoGamma(TrainerCallback):
    """Sets k of TRL's VESPO loss to the gamma of each batch, for both signs of r, and l to 0.

    The settings are those of the rule, as in `ISReshapeLoss`. `gamma` is that of the last step, a
    tensor on the device; the logs have it too. Raises ValueError where it is attached to a trainer
    with another loss, or with micro-batches: k would have to be that of all of them, and TRL shows
    one at a time.
    """

    def __init__(
        self,
        rho_min: float = 0.3,
        *,
        method: Method = "lognormal",
        gamma_min: float = 0.0,
        gamma_max: float = 1.0,
    ) -> None:
        self.rule = ISReshapeLoss(
            rho_min=rho_min,
            method=method,
            gamma_min=gamma_min,
            gamma_max=gamma_max,
            validate=False,
        )
        self.gamma: Tensor = None

    def attach(self, trainer: Any) -> None:
        """Stand before the weights of a GRPOTrainer, and among its callbacks."""
        loss, parts = trainer.args.loss_type, trainer.args.gradient_accumulation_steps
        if loss != "vespo":
            raise ValueError(f"trainer must have loss_type='vespo', not {loss!r}")
        if parts != 1:
            raise ValueError(f"trainer must have gradient_accumulation_steps=1, not {parts}")
        plain = trainer.get_gamma_weights

        def weights(*, log_ratio_per_token: Tensor, mask: Tensor, **more: Any) -> Tensor:
            self.gamma = self.gamma_of(log_ratio_per_token, mask)
            ours = dict.fromkeys(("k_pos", "k_neg"), self.gamma)
            ours |= dict.fromkeys(("lambda_pos", "lambda_neg"), 0.0)
            return plain(log_ratio_per_token=log_ratio_per_token, mask=mask, **{**more, **ours})

        trainer.get_gamma_weights = weights
        trainer.add_callback(self)

    def gamma_of(self, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """Return the gamma of a batch's token log-ratios (n, t), over all processes."""
        there = distributed.is_available() and distributed.is_initialized()
        over = Ranks() if there and distributed.get_world_size() > 1 else WHOLE
        with torch.no_grad():
            log_w = torch.where(mask != 0, log_ratio.detach(), 0.0).sum(-1)
            return self.rule.plan(log_w, torch.zeros_like(log_w), over=over).gamma

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any
    ) -> None:
        """Add gamma to the logs of a training step, where later callbacks and the state see it."""
        if self.gamma is None or not logs or "loss" not in logs:
            return
        logs["gamma"] = float(self.gamma)
        state.log_history[-1]["gamma"] = logs["gamma"]
