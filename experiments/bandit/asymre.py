"""Advantage r - V off-policy: where AsymRE collapses, and what w^gamma does with a baseline.

    dl/dt = f - pi sum f,   f = mu w^gamma (r - V)     (l: logits, one for each arm)

At gamma = 0 (AsymRE, arXiv 2506.20520) f = a = mu (r - V) is fixed, with the sum b = V^mu - V. For
b > 0 the flow climbs a concave function and ends, from every start, at max(a - c, 0)/b, c such that
it sums to 1: the point of the simplex nearest to a/b. That is a/b, on all arms, only for
V <= min r; above, arms die one by one, and one is left from where max a leads by b: below V^mu. For
b < 0 the function is convex: arm k is an end wherever a_k - a_j > b for all j, so that the start
decides. For 0 < gamma < 1 no arm alone is an end while another earns more than V, since the pull of
an arm dies as pi^gamma and not as pi: what is left is mu (r - V)_+^(1/(1-gamma)) for every
V < max r. V^mu means nothing to it, nor does gamma = 1 see V.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from experiments.runs import Cell, Experiment, Json

ROOT_SEED = 20260113
MU = (0.35, 0.25, 0.2, 0.15, 0.05)
REWARD = (1.0, 2.0, 3.0, 4.0, 5.0)
MEAN = sum(m * r for m, r in zip(MU, REWARD, strict=True))
"""V^mu = 2.3."""


@dataclass(frozen=True)
class Settings:
    """Baselines from below all rewards to above their mean; a start is drawn logits."""

    shifts: tuple[float, ...] = (-2.3, -1.0, -0.6, -0.3, -0.12, -0.1, 0.0, 0.1, 0.5, 2.0)
    """V - V^mu."""
    gammas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
    seeds: int = 40
    spread: float = 1.5
    """Standard deviation of the first logits about those of mu."""
    step: float = 0.2
    steps: int = 40000


def cells(settings: Settings) -> list[Cell]:
    """One cell a baseline and gamma."""
    return [
        Cell(f"V^mu {shift:+g}, gamma {gamma:g}", {"shift": shift, "gamma": gamma})
        for gamma in settings.gammas
        for shift in settings.shifts
    ]


def nearest(point: Any) -> Any:
    """Return the point of the simplex nearest to a vector that sums to 1."""
    ordered = point.sort(descending=True).values
    count = torch.arange(1, len(point) + 1, dtype=point.dtype)
    cuts = (ordered.cumsum(0) - 1) / count
    cut = cuts[(ordered > cuts).nonzero().max()]
    return (point - cut).clamp_min(0)


def limit(shift: float, gamma: float) -> Any:
    """Return the end that every start has, None where the start decides."""
    mu, reward = _problem()
    above = reward - (MEAN + shift)
    if gamma > 0:
        masses = mu * above.clamp_min(0) ** (1 / (1 - gamma))
        return masses / masses.sum()
    if shift < 0:
        return nearest(mu * above / -shift)
    # A line of growing logits: the largest a takes all.
    return (
        torch.nn.functional.one_hot((mu * above).argmax(), len(mu)).double() if not shift else None
    )


def can_end(shift: float) -> list[bool]:
    """Return for each arm whether it alone can be an end of the flow at gamma = 0."""
    mu, reward = _problem()
    pull = mu * (reward - (MEAN + shift))
    gaps = pull[:, None] - pull[None, :] + shift
    gaps.fill_diagonal_(1.0)
    return [bool(row.min() > 0) for row in gaps]


def _problem() -> tuple[Any, Any]:
    return torch.tensor(MU, dtype=torch.float64), torch.tensor(REWARD, dtype=torch.float64)


def run(settings: Settings, shift: float, gamma: float) -> Json:
    """Follow the flow from every start at once, in plain gradient steps of the logits."""
    mu, reward = _problem()
    generator = torch.Generator().manual_seed(ROOT_SEED)
    shape = (settings.seeds, len(mu))
    logits = mu.log() + settings.spread * torch.randn(shape, generator=generator, dtype=mu.dtype)
    logits[0] = mu.log()
    pull, half = mu ** (1 - gamma) * (reward - (MEAN + shift)), None
    best = int(reward.argmax())
    lowest = logits.log_softmax(-1)[:, best]
    for t in range(settings.steps):
        level = logits.log_softmax(-1)
        lowest = torch.minimum(lowest, level[:, best])
        force = pull * (gamma * level).exp()
        logits = logits + settings.step * (force - level.exp() * force.sum(-1, keepdim=True))
        if t == settings.steps // 2:
            half = level
    policy = logits.softmax(-1)
    last = logits.log_softmax(-1)
    # What a dying arm's log pi falls by in a unit of time, over the second half.
    slope = (last - half).mean(0) / (settings.step * (settings.steps - settings.steps // 2 - 1))
    return {
        "policy": policy.tolist(),
        "slope": slope.tolist(),
        "lowest": float(lowest.min()),
        "value": (policy @ reward).tolist(),
    }


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Put ends beside limits, and count the arms that single starts end at."""
    rows = []
    for cell in cells(settings):
        got, shift, gamma = found[cell.key], cell.arguments["shift"], cell.arguments["gamma"]
        policy, end = torch.tensor(got["policy"], dtype=torch.float64), limit(shift, gamma)
        ends = sorted({int(k) for k in policy.argmax(-1)})
        rows.append(
            {
                "shift": shift,
                "gamma": gamma,
                "from_mu": got["policy"][0],
                "limit": None if end is None else end.tolist(),
                "error": None if end is None else float((policy - end).abs().max()),
                "least_top": float(policy.amax(-1).min()),
                "most_top": float(policy.amax(-1).max()),
                "ends": ends,
                "can_end": can_end(shift) if gamma == 0 else None,
                "value": [min(got["value"]), max(got["value"])],
                "slope": got["slope"],
                "lowest": got["lowest"],
            }
        )
    return {"mean": MEAN, "mu": MU, "reward": REWARD, "rows": rows}


EXPERIMENT = Experiment(
    name="asymre",
    title="Where a baseline collapses an off-policy learner, by exact gradient flow",
    settings=Settings(),
    smoke=Settings(shifts=(-2.3, -0.3, 0.5), gammas=(0.0, 0.5), seeds=4, steps=300),
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=ROOT_SEED,
)
