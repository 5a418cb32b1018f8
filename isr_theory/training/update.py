"""What each sequence gets of an update, once the plan of the whole batch is known.

    weight on grad log pi of a sequence = share (f(w) / mean f (r - b) - c w)

`share` is one over the sequences of a cell and over the number of cells, so that cells count alike
and the parts of a batch simply add up. A cell is a prompt's group, or the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import torch

from isr_theory.logspace import scaled
from isr_theory.training.batch import Batch
from isr_theory.training.settings import Settings

Tensor = Any

# While a control coefficient is fitted no weight counts for more than this: a coefficient of the
# other sequences leaves the mean where it is whatever it is, and sums from which a sequence's own
# term is taken again must not drown in float32 what is left.
CAP = 100.0


@dataclass(frozen=True)
class Plan:
    """What every part of one global batch shares; every tensor is detached and on the device."""

    settings: Settings
    """What the plan was made with, and for."""
    given: frozenset[str]
    """Which of rewards and groups the batch had."""
    gamma: Tensor
    top: Tensor
    """(cells,): the largest log w, to which weights are relative; 0 where none are normalised."""
    mean_weight: Tensor
    """(cells,): the normaliser; 1 where weights are not normalised."""
    share: Tensor
    """(cells,): what one sequence of the cell counts."""
    baseline: Tensor
    """(groups,): the mean reward, or 0."""
    fit: tuple[Tensor, ...] | None
    """(cells,) each: the sums that a control coefficient is fitted on."""
    metrics: dict[str, Tensor]

    @property
    def n_groups(self) -> int:
        """How many group ids there are."""
        return int(self.baseline.shape[0])

    def check(self, settings: Settings, given: frozenset[str]) -> None:
        """Raise ValueError for settings, or a part with `given`, that were not what was planned."""
        for each in fields(settings):
            ours, theirs = getattr(self.settings, each.name), getattr(settings, each.name)
            if each.name != "validate" and ours != theirs:
                raise ValueError(
                    f"plan was made with {each.name}={ours!r}, but the loss has {theirs!r}"
                )
        for name in sorted(self.given ^ given):
            had, has = ("with", "without") if name in self.given else ("without", "with")
            raise ValueError(f"plan was made {had} {name}, and this part is {has}: they must agree")


def cells_of(settings: Settings, batch: Batch) -> tuple[Tensor, int]:
    """Return which cell of the normaliser each sequence is in, and how many cells there are."""
    if settings.normalised == "group":
        return batch.prompt, batch.n_groups
    return torch.zeros_like(batch.prompt), 1


def advantages(settings: Settings, batch: Batch, baseline: Tensor) -> Tensor:
    """Return what f is multiplied by, (n,): r - b, or what the method puts in the place of r."""
    reward = batch.reward - baseline[batch.prompt]
    if settings.entry.advantage is None:
        return reward
    given = {**settings.entry.parameters, **settings.parameters}
    return settings.entry.rewarded(batch.view(reward), given).reshape(reward.shape)


def penalty(settings: Settings, batch: Batch, plan: Plan) -> Tensor | None:
    """Return what the method adds to the loss, averaged as the rest of it; None in most."""
    added = settings.entry.added(batch.view(batch.reward), parameters(settings, plan.gamma))
    if added is None:
        return None
    cell, _ = cells_of(settings, batch)
    by_sequence = added if batch.tokens is None else added.sum(-1)
    return (plan.share[cell] * by_sequence).sum()


def gradient_weight(
    settings: Settings, batch: Batch, gamma: Tensor, top: Tensor, advantage: Tensor
) -> Tensor:
    """Return f, detached: (n,), or (n, tokens) with 0 in the padding.

    w^gamma is relative to `top`, so that it cannot overflow where it is normalised.
    """
    entry = settings.entry
    if settings.is_power:
        return torch.exp(scaled(batch.log_w - top, gamma))
    weight = entry.weight(batch.view(advantage), parameters(settings, gamma)).detach()
    return weight if batch.tokens is None else weight * batch.tokens[2]


def parameters(settings: Settings, gamma: Tensor) -> dict[str, Any]:
    """Return the parameters of f, with the rule's gamma where it has one."""
    given: dict[str, Any] = {**settings.entry.parameters, **settings.parameters}
    return {**given, "gamma": gamma} if "gamma" in given else given


def coefficients(settings: Settings, batch: Batch, plan: Plan) -> tuple[Tensor, Tensor, Tensor]:
    """Return what multiplies f, f itself, and what is taken off f's product: share c w.

    The first and the last are (n,); the update's weight on grad log pi is first * f - last.
    """
    cell, _ = cells_of(settings, batch)
    advantage = advantages(settings, batch, plan.baseline)
    own = gradient_weight(settings, batch, plan.gamma, plan.top[cell], advantage)
    share, mean = plan.share[cell], plan.mean_weight[cell]
    # A cell whose weights are all 0 moves nothing.
    factor = torch.where(mean == 0, 0.0, share * advantage / torch.where(mean == 0, 1.0, mean))
    if settings.rescale:
        own = _rescaled(batch.log_w, plan.gamma, plan.top[cell])
    taken = torch.zeros_like(share)
    if settings.baseline == "control":
        taken = share * _control(settings, batch, plan, own, cell) * torch.exp(batch.log_w)
    return factor, own, taken


def _rescaled(log_w: Tensor, gamma: Tensor, top: Tensor) -> Tensor:
    """Return (w^gamma - w)/(1 - gamma), whose mean gradient is that of w^gamma/(1 - gamma).

    w s has mean 0 under mu, so that w may be taken off; at gamma = 1 it is -w log w.
    """
    rest = 1 - gamma
    finite = torch.where(log_w == -math.inf, 0.0, log_w)
    inner = torch.expm1(-rest * finite) / torch.where(rest == 0, 1.0, rest)
    value = torch.exp(log_w - gamma * top) * torch.where(rest == 0, -finite, inner)
    # w^gamma at w = 0 is 0, unless gamma is.
    return torch.where(log_w == -math.inf, 0.0, value)


def _control(settings: Settings, batch: Batch, plan: Plan, own: Tensor, cell: Tensor) -> Tensor:
    """Return c for each sequence: E[w^(1+gamma) r]/E[w^2], on the other sequences of its cell.

    That is the coefficient of VAR.control where |s|^2 is independent of w and r. E[w^2] is at least
    E[w]^2 = 1, which keeps a small batch from a wild c.
    """
    if plan.fit is None:
        return torch.full_like(own, settings.control or 0.0)
    total, count, cross, square = (part[cell] for part in plan.fit)
    capped = capped_weight(batch.log_w)
    others = (count - 1).clamp(min=1)
    numerator = cross - own * batch.reward * capped
    denominator = torch.maximum(square - capped**2, others)
    mean = torch.ones_like(total)
    if settings.normalised != "none":
        mine = own * batch.reward if settings.reward_normaliser else own
        rest = total - mine
        # What rounding leaves where all others are 0 is no weight.
        tiny = 8 * torch.finfo(total.dtype).eps * total
        mean = torch.where(rest > tiny, rest / others, math.inf)
    return torch.where(count > 1, numerator / denominator / mean, 0.0)


def capped_weight(log_w: Tensor) -> Tensor:
    """Return w, CAP at most."""
    return torch.exp(log_w.clamp(max=math.log(CAP)))
