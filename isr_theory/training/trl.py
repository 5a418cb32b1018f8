r"""gamma for those who stay in TRL: its VESPO loss, with k set from each batch.

    f(w) = w^k e^{l (1 - w)},   (k, l) = (gamma, 0):   w^gamma

TRL's GRPOTrainer with `loss_type="vespo"` weighs whole sequences by f, detached. `VespoGamma` gives
it in every step the k that keeps the effective sample size of the batch, on all processes alike.
TRL takes l for 1e-4 where it is less, and w for 1e-8 at least and e^20 at most, so that what comes
out is w^gamma times e^{(1 - w)/10^4}: 1% less at w = 100, and nothing left past w = 10^5. Where
vLLM samples, w has TRL's correction for that in it. The sum is over tokens and not normalised by
the weights' mean, and advantages are centred, which for gamma < 1 moves the expected gradient
(claim OBJ.baseline).

    callback = VespoGamma(rho_min=0.3)
    callback.attach(trainer)
    trainer.train()
"""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import TrainerCallback

from isr_theory.logspace import WHOLE
from isr_theory.rule import Method
from isr_theory.training.distributed import Ranks, processes
from isr_theory.training.loss import ISReshapeLoss

Tensor = Any

# Where TRL's VESPO cuts off log w, and the log-ratio of each token at the upper one.
LOWEST, HIGHEST = math.log(1e-8), 20.0


class VespoGamma(TrainerCallback):
    """Sets k of TRL's VESPO loss to the gamma of each batch, for both signs of r, and l to 0.

    The settings are those of the rule, as in `ISReshapeLoss`. `gamma` is that of the last step, a
    tensor on the device; the logs have it too. Raises ValueError where it is attached to a trainer
    with another loss, with micro-batches (k would have to be that of all of them, and TRL shows one
    at a time), with Liger's kernel, which has weights of its own, or with a correction for vLLM
    that masks: w is 1e-8 there, which a small gamma would bring back.
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
        if getattr(trainer.args, "use_liger_kernel", False):
            raise ValueError("trainer must have use_liger_kernel=False: it would not ask for k")
        corrected = getattr(trainer.args, "vllm_importance_sampling_correction", False)
        how = getattr(trainer.args, "vllm_importance_sampling_mode", "")
        if getattr(trainer.args, "use_vllm", False) and corrected and how == "token_mask":
            raise ValueError(
                "trainer must have vllm_importance_sampling_mode='token_truncate', not"
                f" {how!r}: what is masked has w = 1e-8, not 0"
            )
        plain = trainer.get_gamma_weights

        def weights(*, log_ratio_per_token: Tensor, mask: Tensor, **more: Any) -> Tensor:
            correction = more.get("importance_sampling_ratio")
            self.gamma = self.gamma_of(log_ratio_per_token, mask, correction)
            ours = dict.fromkeys(("k_pos", "k_neg"), self.gamma)
            ours |= dict.fromkeys(("lambda_pos", "lambda_neg"), 0.0)
            return plain(log_ratio_per_token=log_ratio_per_token, mask=mask, **{**more, **ours})

        trainer.get_gamma_weights = weights
        trainer.add_callback(self)

    def gamma_of(self, log_ratio: Tensor, mask: Tensor, correction: Tensor | None = None) -> Tensor:
        """Return the gamma of a batch's token log-ratios (n, t), over all processes.

        `correction`, (n, t) or (n, 1), is what TRL multiplies w by where another engine sampled.
        Sequences without a token that counts, as `mask_truncated_completions` leaves them, are not
        asked; gamma_max where there are no others.
        """
        over = Ranks() if processes() > 1 else WHOLE
        with torch.no_grad():
            tokens = log_ratio.detach().clamp(-HIGHEST, HIGHEST)
            log_w = torch.where(mask != 0, tokens, 0.0).sum(-1)
            if correction is not None:
                log_w = log_w + correction.detach().log().clamp(LOWEST, HIGHEST).sum(-1)
            log_w = log_w.clamp(LOWEST, HIGHEST)[(mask != 0).any(-1)]
            if over is WHOLE and not log_w.numel():
                return log_w.new_tensor(self.rule.gamma_max)
            return self.rule.plan(log_w, torch.zeros_like(log_w), over=over).gamma

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **more: Any
    ) -> None:
        """Add gamma to the logs of a training step, where later callbacks and the state see it."""
        if self.gamma is None or not logs or "loss" not in logs:
            return
        logs["gamma"] = float(self.gamma)
        state.log_history[-1]["gamma"] = logs["gamma"]
