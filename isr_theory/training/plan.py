"""The plan of a batch: gamma, normalisers and baselines, from every sequence on every process.

    gamma from Var(log w) or the ESS,   mean f by cells,   mean r by prompts

`make_plan` sees every sequence once, without gradients. Each sum or maximum over the batch goes
through `Shards`, and is then that of all ranks; what is logged is made of them here too.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from isr_theory import solver
from isr_theory.logspace import Shards, row_max, scaled
from isr_theory.training.batch import Batch
from isr_theory.training.distributed import Ranks
from isr_theory.training.settings import Settings
from isr_theory.training.update import (
    Plan,
    advantages,
    capped_weight,
    cells_of,
    coefficients,
    gradient_weight,
)

Tensor = Any


def make_plan(settings: Settings, batch: Batch, over: Shards) -> Plan:
    """Return the plan of a batch, of which this process may hold a part."""
    log_w = batch.log_w
    gamma = _gamma(settings, log_w, over)
    by_group = (batch.prompt, batch.n_groups)
    count, rewards = _sums(over, *by_group, torch.ones_like(log_w), batch.reward)
    baseline = torch.zeros_like(rewards)
    if settings.baseline == "mean":
        baseline = rewards / count.clamp(min=1)
    cell, cells = cells_of(settings, batch)
    if settings.normalised != "group":
        count = count.sum(0, keepdim=True)
    top = _top(settings, log_w, cell, cells, over)
    advantage = advantages(settings, batch, baseline)
    own = gradient_weight(settings, batch, gamma, top[cell], advantage)
    norm = _by_sequence(own)
    if settings.reward_normaliser:
        norm = norm * batch.reward
    parts = [norm, _entries(batch)]
    if settings.baseline == "control" and settings.control is None:
        capped = capped_weight(log_w)
        parts += [own * batch.reward * capped, capped**2]
    total, entries, *fitted = _sums(over, cell, cells, *parts)
    mean_weight = torch.ones_like(total)
    if settings.normalised != "none":
        mean_weight = total / entries.clamp(min=1)
    share = (count > 0) / (count.clamp(min=1) * (count > 0).sum().clamp(min=1))
    plan = Plan(
        settings=settings,
        given=batch.given,
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


def _sums(over: Shards, cell: Tensor, cells: int, *parts: Tensor) -> tuple[Tensor, ...]:
    """Return sums by cells over all parts of the batch."""
    zeros = [part.new_zeros(cells) for part in parts]
    return over.added(*(z.index_add(0, cell, part) for z, part in zip(zeros, parts, strict=True)))


def _top(settings: Settings, log_w: Tensor, cell: Tensor, cells: int, over: Shards) -> Tensor:
    """Return each cell's largest log w, 0 where the cell is empty or has no weight above 0."""
    if settings.normalised == "none":
        return log_w.new_zeros(cells)
    lowest = log_w.new_full((cells,), -math.inf)
    top = over.largest(lowest.scatter_reduce(0, cell, log_w, "amax"))
    return torch.where(top == -math.inf, 0.0, top)


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
    size, positive = signed.abs().reshape(-1), log_w > -math.inf
    # In units of the largest, so that squares cannot overflow.
    largest = over.largest(row_max(size))
    unit = signed / torch.where(largest == 0, 1.0, largest)
    level = torch.where(positive, log_w, 0.0)
    power = torch.exp(scaled(log_w - row_max(log_w, over), gamma))
    sums = over.added(
        *(part.sum() for part in (power, power**2, log_w, level, positive.to(log_w.dtype))),
        *(part.sum() for part in (unit.abs(), unit**2, (-unit).clamp(min=0), _entries(batch))),
    )
    first, second, log_sum, level_sum, kept, whole, squares, negative, entries = sums
    spread = torch.where(positive, log_w - level_sum / kept.clamp(min=1), 0.0)
    (spread2,) = over.added((spread**2).sum())
    moves = torch.where(whole == 0, 1.0, whole)
    return {
        "gamma": gamma,
        "ess_ratio": (first**2 / (n * second)).clamp(max=1.0),
        "ess_update": whole**2 / (entries * torch.where(squares == 0, 1.0, squares)),
        "sigma2": spread2 / kept.clamp(min=1),
        "kl": -log_sum / n,
        "max_weight": (whole > 0) / moves,
        "negative_share": negative / moves,
        "baseline_biased": (settings.baseline == "mean") & ~_is_ratio(settings, gamma),
        "dead_zone": _is_ratio(settings, gamma) & _same_reward(settings, batch, n, over),
        "n": n,
        "finite": torch.isfinite(largest)
        & ~torch.isnan(log_sum)
        & (torch.isfinite(gamma) | (not settings.uses_gamma)),
    }


def _same_reward(settings: Settings, batch: Batch, n: Tensor, over: Shards) -> Tensor:
    """Say whether all sequences of the batch have one reward, of which `rescale` makes use."""
    if "rewards" not in batch.given:
        return torch.full_like(n, float(not settings.rescale)) == 1
    top, minus_bottom = row_max(torch.stack([batch.reward, -batch.reward]), over)
    # One sequence says nothing about the others.
    return (top == -minus_bottom) & (n > 1)


def _is_ratio(settings: Settings, gamma: Tensor) -> Tensor:
    """Say whether f is w itself: E_mu[w s] = 0, so that a constant reward moves nothing."""
    entry = settings.entry
    if "gamma" in entry.parameters:
        return gamma >= 1
    return torch.full_like(gamma, float(entry.key == "is")) == 1
