"""Log-probabilities of a response's tokens, with one tensor of the size of the logits.

    log pi(y_t) = z[y_t] - log sum exp z,   gradient in z:  1[y_t] - pi

The logits of one batch are often the largest tensor of a step. A log-softmax would copy them, and
its gradient, with that of the look-up, would be two more; here the forward pass keeps nothing but
the logits and one number a token, and the backward pass makes the one tensor that it has to hand
on. Logits narrower than float32 are widened where they are summed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

Tensor = Any


class _TokenLogProbs(torch.autograd.Function):
    """The look-up, with its gradient written out."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        wide = _widened(logits)
        total = torch.logsumexp(wide, dim=-1)
        return _chosen(wide, targets) - total, total

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]
    ) -> None:
        logits, targets = inputs
        _, total = output
        ctx.mark_non_differentiable(total)
        ctx.save_for_backward(logits, targets, total)

    @staticmethod
    def backward(ctx: Any, given: Tensor, _: Tensor) -> tuple[Tensor, None]:
        logits, targets, total = ctx.saved_tensors
        weight = given.unsqueeze(-1)
        gradient = (_widened(logits) - total.unsqueeze(-1)).exp_().mul_(-weight)
        gradient.scatter_add_(-1, targets.unsqueeze(-1), weight)
        return gradient.to(logits.dtype), None


def token_log_probs(logits: Tensor, targets: Tensor) -> Tensor:
    """Return log softmax(logits) at the targets, (..., k) for logits (..., k, vocabulary).

    In float32 at least, whatever the logits are. Differentiable once.
    """
    value, _ = _TokenLogProbs.apply(logits, targets)
    return value


def response_log_probs(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the log-probabilities of a batch's targets (see `collate`), (n, k), by a causal LM.

    Logits are asked for at these positions only, where the model can do that.
    """
    targets = batch["targets"]
    options: dict[str, Any] = {}
    known = _arguments(model)
    if "logits_to_keep" in known:
        options["logits_to_keep"] = targets.shape[1]
    if "use_cache" in known:
        options["use_cache"] = False
    found = model(input_ids=batch["input_ids"], **options)
    logits = found.logits if hasattr(found, "logits") else found[0]
    return token_log_probs(logits[:, -targets.shape[1] :], targets)


def _arguments(model: Any) -> Mapping[str, inspect.Parameter]:
    """Return what the model itself takes, whatever it is wrapped in."""
    while hasattr(model, "module"):
        model = model.module
    if hasattr(model, "get_base_model"):
        model = model.get_base_model()
    return inspect.signature(inspect.unwrap(model.forward)).parameters


def _widened(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype.itemsize < 4 else logits


def _chosen(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
