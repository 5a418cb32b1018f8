"""Of which ratio the weight is a function: of the sequence, of each token, or by length.

    sequence  w = prod_t w_t        token  w_t, each for its own token        length  w^(1/L)

A weight function of the atlas has the level of its source. One that goes by w alone, as w^gamma
does, can be put on another: then f(w_t) weighs grad log pi(y_t), or f(w^(1/L)) weighs grad log
pi(y). What enters is always detached, so that only f changes and not what is differentiated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

from isr_theory.training.batch import masked
from isr_theory.training.loss import ISReshapeLoss

Ratio = Literal["sequence", "token", "length"]
RATIOS: tuple[str, ...] = get_args(Ratio)
Tensor = Any
# Statements about E_mu[w grad log pi] = 0, which holds of w itself and not of its L-th root.
_OF_W = ("dead_zone", "baseline_biased")


def at_level(loss: ISReshapeLoss, ratio: Ratio) -> ISReshapeLoss:
    """Return the loss whose f is a function of `ratio`.

    Raises ValueError for a ratio that is none of the three, for a weight function or a setting
    that is about w of whole sequences or of a source's own ratio, and for ratio="token" with a
    gamma to be chosen, which is a rule for weights of sequences.
    """
    if ratio not in RATIOS:
        raise ValueError(f"ratio must be one of {', '.join(RATIOS)}, not {ratio!r}")
    if ratio == "sequence":
        return loss
    entry = loss.entry
    for wrong, why in (
        (entry.level == "token", f"weight={entry.key!r} weighs tokens by itself"),
        (entry.surrogate is not None, f"weight={entry.key!r} differentiates a ratio of its own"),
        ("length" in entry.needs, f"weight={entry.key!r} goes by the length itself"),
        ("mu" in entry.needs, f"weight={entry.key!r} looks at mu beside w"),
        (entry.penalty is not None, f"weight={entry.key!r} has a penalty in w"),
        (loss.mode == "paper", "mode='paper' is the listing as it stands"),
        (loss.form != "detached", f"form={loss.form!r} differentiates w^gamma of sequences"),
        (loss.rescale, "rescale=True holds of w itself"),
        (loss.baseline == "control", "baseline='control' holds of w itself"),
    ):
        if wrong:
            raise ValueError(f"ratio must be 'sequence', not {ratio!r}: {why}")
    if ratio == "length":
        return loss
    if loss.uses_gamma and loss.gamma is None:
        raise ValueError("gamma must be given with ratio='token': the rule is one for sequences")
    # A copy of w^gamma is no longer known as the paper's, whose default it is to normalise.
    moved = replace(entry, level="token")
    return replace(loss, weight=moved, normalisation=loss.normalised)


def by_groups(loss: ISReshapeLoss) -> bool:
    """Return whether it matters to the loss which rows have the same prompt."""
    return loss.uses_groups and loss.mode != "paper"


def arguments(
    loss: ISReshapeLoss, ratio: Ratio, log_pi: Tensor, batch: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return what the loss is called with for token log-probabilities (n, k) of a batch."""
    log_mu, mask = batch["log_mu"], batch["mask"]
    given = {"rewards": batch.get("reward")}
    if by_groups(loss):
        given["groups"] = batch.get("group")
    if ratio != "length" and loss.mode != "paper":
        return {"log_pi": log_pi, "log_mu": log_mu, "mask": mask, **given}
    log_pi, log_mu, counts = masked(log_pi, log_mu.to(log_pi.dtype), mask)
    whole = log_pi.sum(-1)
    if loss.mode == "paper":
        return {"log_pi": whole, "log_mu": log_mu.sum(-1), **given}
    log_w = (log_pi.detach() - log_mu).sum(-1) / counts.sum(-1)
    return {"log_pi": whole, "log_mu": whole.detach() - log_w, **given}


def logged(metrics: Mapping[str, Tensor], ratio: Ratio) -> dict[str, Tensor]:
    """Return the metrics that mean something at this level, of the whole batch."""
    left_out = {"loss", "n", *(_OF_W if ratio == "length" else ())}
    return {name: value for name, value in metrics.items() if name not in left_out}
