"""What a loss has to know of the whole batch before it can be cut up: gamma and the normalisers.

    coefficient of a sequence = share (f(w) / mean f (r - b) - c w)

`make_plan` sees every sequence once, without gradients, on all ranks if need be; `coefficients`
then gives any part of the batch its part of the global loss. `share` is one over the sequences of
a cell and over the number of cells, so that cells count alike and parts simply add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from isr_theory import solver
from isr_theory.logspace import Shards, row_max, scaled
from isr_theory.training.batch import Batch
from isr_theory.training.distributed import Ranks
from isr_theory.training.settings import Settings

Tensor = Any

# While a control coefficient is fitted no weight counts for more than this: a coefficient of the
# other sequences leaves the mean where it is whatever it is, and sums from which a sequence's own
# term is taken again must not drown in float32 what is left.
CAP = 100.0


@dataclass(frozen=True)
class Plan:
    """What every part of one global batch shares; every tensor is detached and on the device."""

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


def make_plan(settings: Settings, batch: Batch, over: Shards) -> Plan:
    """Return the plan of a batch, of which this process may hold a part."""
    log_w = batch.log_w
    gamma = _gamma(settings, log_w, over)
    by_group = (batch.prompt, batch.n_groups)
    count, rewards = _sums(over, *by_group, torch.ones_like(log_w), batch.reward)
    baseline = torch.zeros_like(rewards)
    if settings.baseline == "mean":
        baseline = rewards / count.clamp(min=1)
    cell, cells = _cells(settings, batch)
    if settings.normalisation != "group":
        count = count.sum(0, keepdim=True)
    top = _top(settings, log_w, cell, cells, over)
    advantage = batch.reward - baseline[batch.prompt]
    own = gradient_weight(settings, batch, gamma, top[cell], advantage)
    norm = own * batch.reward if settings.reward_normaliser else own
    parts = [_by_sequence(norm), _entries(batch)]
    if settings.baseline == "control" and settings.control is None:
        capped = _capped(log_w)
        parts += [own * batch.reward * capped, capped**2]
    total, entries, *fitted = _sums(over, cell, cells, *parts)
    mean_weight = torch.ones_like(total)
    if settings.normalisation != "none":
        mean_weight = total / entries.clamp(min=1)
    share = (count > 0) / (count.clamp(min=1) * (count > 0).sum().clamp(min=1))
    plan = Plan(
        gamma=gamma,
        top=top,
        mean_weight=mean_weight,
        share=share,
        baseline=baseline,
        fit=(total, count, *fitted) if fitted else None,
        metrics={},
    )
    metrics = _metrics(settings, batch, plan, count.sum(), over)
    scale = over.scale if isinstance(over, Ranks) else 1.0
    return replace(plan, share=share * scale, metrics=metrics)


def _gamma(settings: Settings, log_w: Tensor, over: Shards) -> Tensor:
    if settings.gamma is not None:
        return torch.full_like(log_w.sum(), settings.gamma)
    method, gamma_max = settings.method, settings.gamma_max
    gamma = solver.batch_gamma(log_w, settings.rho_min, method, gamma_max, watch=False, over=over)
    return gamma.clamp(settings.gamma_min, gamma_max)


def _cells(settings: Settings, batch: Batch) -> tuple[Tensor, int]:
    """Return which cell of the normaliser each sequence is in, and how many cells there are."""
    if settings.normalisation == "group":
        return batch.prompt, batch.n_groups
    return torch.zeros_like(batch.prompt), 1


def _sums(over: Shards, cell: Tensor, cells: int, *parts: Tensor) -> tuple[Tensor, ...]:
    """Return sums by cells over all parts of the batch."""
    zeros = [part.new_zeros(cells) for part in parts]
    return over.added(*(z.index_add(0, cell, part) for z, part in zip(zeros, parts, strict=True)))


def _top(settings: Settings, log_w: Tensor, cell: Tensor, cells: int, over: Shards) -> Tensor:
    """Return each cell's largest log w, 0 where the cell is empty or has no weight above 0."""
    if settings.normalisation == "none":
        return log_w.new_zeros(cells)
    lowest = log_w.new_full((cells,), -math.inf)
    top = over.largest(lowest.scatter_reduce(0, cell, log_w, "amax"))
    return torch.where(top == -math.inf, 0.0, top)


def gradient_weight(
    settings: Settings, batch: Batch, gamma: Tensor, top: Tensor, advantage: Tensor
) -> Tensor:
    """Return f, detached: (n,), or (n, tokens) with 0 in the padding.

    w^gamma is relative to `top`, so that it cannot overflow where it is normalised.
    """
    entry = settings.entry
    if entry.key == "power":
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
    cell, _ = _cells(settings, batch)
    advantage = batch.reward - plan.baseline[batch.prompt]
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
    capped = _capped(batch.log_w)
    others = (count - 1).clamp(min=1)
    numerator = cross - own * batch.reward * capped
    denominator = torch.maximum(square - capped**2, others)
    mean = torch.ones_like(total)
    if settings.normalisation != "none":
        mine = own * batch.reward if settings.reward_normaliser else own
        rest = total - mine
        # What rounding leaves where all others are 0 is no weight.
        tiny = 8 * torch.finfo(total.dtype).eps * total
        mean = torch.where(rest > tiny, rest / others, math.inf)
    return torch.where(count > 1, numerator / denominator / mean, 0.0)


def _capped(log_w: Tensor) -> Tensor:
    return torch.exp(log_w.clamp(max=math.log(CAP)))


def _by_sequence(weight: Tensor) -> Tensor:
    return weight if weight.ndim == 1 else weight.sum(-1)


def _entries(batch: Batch) -> Tensor:
    """Return how many weights each sequence has: its tokens where they are weighted."""
    return torch.ones_like(batch.log_mu) if batch.tokens is None else batch.length


def _metrics(
    settings: Settings, batch: Batch, plan: Plan, n: Tensor, over: Shards
) -> dict[str, Tensor]:
    """Return what is worth logging, of the whole batch; see `ISReshapeLoss`."""
    log_w, gamma = batch.log_w, plan.gamma
    factor, own, taken = coefficients(settings, batch, plan)
    signed = factor * own - taken if own.ndim == 1 else factor[:, None] * own
    size, positive = signed.abs(), log_w > -math.inf
    level = torch.where(positive, log_w, 0.0)
    power = torch.exp(scaled(log_w - row_max(log_w, over), gamma))
    sums = over.added(
        *(part.sum() for part in (power, power**2, log_w, level, positive.to(log_w.dtype))),
        *(part.sum() for part in (size, size**2, (-signed).clamp(min=0), _entries(batch))),
    )
    first, second, log_sum, level_sum, kept, whole, squares, negative, entries = sums
    spread = torch.where(positive, log_w - level_sum / kept.clamp(min=1), 0.0)
    (spread2,) = over.added((spread**2).sum())
    moves = torch.where(whole == 0, 1.0, whole)
    biased = settings.baseline == "mean"
    return {
        "gamma": gamma,
        "ess_ratio": (first**2 / (n * second)).clamp(max=1.0),
        "ess_update": whole**2 / (entries * torch.where(squares == 0, 1.0, squares)),
        "sigma2": spread2 / kept.clamp(min=1),
        "kl": -log_sum / n,
        "max_weight": over.largest(row_max(size.reshape(-1))) / moves,
        "negative_share": negative / moves,
        "baseline_biased": (gamma < 1) & biased,
        "dead_zone": (gamma >= 1) & (not batch.rewarded and not settings.rescale),
        "n": n,
        "finite": torch.isfinite(squares) & ~torch.isnan(log_sum) & torch.isfinite(gamma),
    }
