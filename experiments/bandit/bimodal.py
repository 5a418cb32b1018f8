"""From the mean to a mode: normal policies on a bandit whose data have two modes, r = 1.

    mu = N(-m, 1)/2 + N(m, 1)/2,    pi = N(theta, v),    J = log E_mu[w^gamma] / gamma

gamma = 0 is the forward KL, whose best normal law is N(0, 1 + m^2); J/(1-gamma) tends to minus the
reverse KL, which prefers a mode if they are far apart. With v = 1 the mean gives way at a
pitchfork, where gamma E_nu[y^2] = 1, nu ~ mu^(1-gamma) pi^gamma. With v free it never does: at a
symmetric stationary policy E_nu[y^2] = v, so that the curvature in theta is (gamma - 1)/v; the
modes become resting points beside it, and win, if they do, by a jump.
All integrals are sums over one grid, exact to rounding for such smooth integrands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from experiments.runs import Cell, Experiment, Json

Tensor = Any
# mu^(1-gamma) is singular at i pi/(2m): the sum's error is about e^(-pi^2/(m h)), 1e-21 at m = 4,
# h = 0.05. Past 30 a normal law of variance 1 + m^2 <= 17 has less than 1e-12 left.
SPACING, REACH = 0.05, 30.0


@dataclass(frozen=True)
class Settings:
    """Half distances of the modes, gammas, and the starts: means in units of m, variances."""

    ms: tuple[float, ...] = (1.2, 1.4, 1.5, 2.0, 3.0)
    free_ms: tuple[float, ...] = (2.0, 3.0, 4.0)
    gammas: tuple[float, ...] = (*(k / 10 for k in range(10)), 0.95, 0.99, 0.999)
    starts: tuple[float, ...] = (-1.4, -0.8, -0.3, -0.01, 0.01, 0.5, 1.0, 1.5)
    variances: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0)
    steps: int = 3000
    branch: int = 161
    """Gammas from 0 to 1 at which the branch away from 0 is followed."""


def cells(settings: Settings) -> list[Cell]:
    """One cell a distance for the branch, and one a distance, family and gamma for the ascents."""
    branches = [Cell(f"branch, m {m:g}", {"kind": "branch", "m": m}) for m in settings.ms]
    ascents = [
        Cell(f"{kind}, m {m:g}, gamma {gamma:g}", {"kind": kind, "m": m, "gamma": gamma})
        for kind, ms in (("fixed", settings.ms), ("free", settings.free_ms))
        for m in ms
        for gamma in settings.gammas
    ]
    return branches + ascents


def run(settings: Settings, kind: str, m: float, gamma: float = 0.0) -> Json:
    """Follow a branch, or climb from every start of a cell."""
    if kind == "branch":
        return _branch(settings, m)
    return _ascents(settings, m, gamma, free=kind == "free")


def grid() -> Tensor:
    """Return the points of the sums."""
    count = round(2 * REACH / SPACING) + 1
    return torch.linspace(-REACH, REACH, count, dtype=torch.float64)


def log_mu(y: Tensor, m: float) -> Tensor:
    """Return the log density of the two modes: a normal one times cosh(my) e^(-m^2/2)."""
    cosh = torch.logaddexp(m * y, -m * y) - math.log(2)
    return -(y**2 + m**2) / 2 + cosh - math.log(2 * math.pi) / 2


def log_normal(y: Tensor, theta: Tensor, v: Tensor) -> Tensor:
    """Return the log density of N(theta, v); a new last axis for y."""
    theta, v = theta[..., None], v[..., None]
    return -((y - theta) ** 2) / (2 * v) - (2 * math.pi * v).log() / 2


def tilted(y: Tensor, m: float, gamma: Any, theta: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and second moment of nu ~ mu^(1-gamma) pi^gamma."""
    mass = torch.softmax((1 - gamma) * log_mu(y, m) + gamma * log_normal(y, theta, v), dim=-1)
    return mass @ y, mass @ y**2


def value(y: Tensor, m: float, gamma: float, theta: Tensor, v: Tensor) -> Tensor:
    """Return J = log E_mu[w^gamma]/gamma, E_mu[log w] at gamma = 0."""
    base, log_w = log_mu(y, m), log_normal(y, theta, v) - log_mu(y, m)
    if gamma == 0:
        return (base.exp() * log_w).sum(-1) * SPACING
    return (torch.logsumexp(base + gamma * log_w, -1) + math.log(SPACING)) / gamma


def climb(
    m: float, gamma: float, theta: Tensor, v: Tensor, *, free: bool, steps: int
) -> tuple[Tensor, Tensor, float]:
    """Return mean and variance after natural-gradient ascent, and the size of the last step.

    The natural gradient of J moves the policy's moments towards those of nu. A whole step never
    lowers J, whatever the family; near the end its speed is 1 - gamma, so steps are longer there,
    and halved, start by start, down to a whole one where the pull turns round and grows.
    """
    y = grid()
    step = torch.full_like(theta, max(0.4 / (1 - gamma), 1.0))
    before = torch.zeros((2, *theta.shape), dtype=torch.float64)
    for _ in range(steps):
        mean, second = tilted(y, m, gamma, theta, v)
        pull = torch.stack([mean - theta, second - v - theta**2 if free else 0 * theta])
        turned = ((pull * before).sum(0) < 0) & (pull.norm(dim=0) > 0.9 * before.norm(dim=0))
        step, before = torch.where(turned, (step / 2).clamp_min(1.0), step), pull
        moved, square = theta + step * pull[0], v + theta**2 + step * pull[1]
        # A long step may leave the moments of any law: then a whole one is taken, which cannot.
        inside = square - moved**2 > v / 4
        if free:
            theta = torch.where(inside, moved, mean)
            v = torch.where(inside, square - moved**2, second - mean**2)
        else:
            theta = moved
        if float(pull.abs().max()) < 1e-13:
            break
    return theta, v, float((step * pull).abs().max())


def _ascents(settings: Settings, m: float, gamma: float, *, free: bool) -> Json:
    """Climb from every start; return where each ended and how good that is."""
    means = m * torch.tensor(settings.starts, dtype=torch.float64)
    widths = torch.tensor(settings.variances if free else (1.0,), dtype=torch.float64)
    theta, v = (x.reshape(-1) for x in torch.meshgrid(means, widths, indexing="ij"))
    ended, wide, last = climb(m, gamma, theta, v, free=free, steps=settings.steps)
    return {
        "start": theta.tolist(),
        "start_v": v.tolist(),
        "theta": ended.tolist(),
        "v": wide.tolist(),
        "value": value(grid(), m, gamma, ended, wide).tolist(),
        "last": last,
    }


def _branch(settings: Settings, m: float) -> Json:
    """Return the largest stationary mean of N(theta, 1) at each gamma, and where it parts from 0.

    The pull E_nu[y] - theta is negative beyond the branch and positive within it.
    """
    y = grid()
    gammas = torch.linspace(0, 1, settings.branch, dtype=torch.float64)[:-1]

    def pull(gamma: Tensor, theta: Tensor) -> Tensor:
        return tilted(y, m, gamma[:, None], theta, torch.ones_like(theta))[0] - theta

    low, high = torch.full_like(gammas, 1e-6), torch.full_like(gammas, m + 1)
    for _ in range(60):
        middle = (low + high) / 2
        up = pull(gammas, middle) > 0
        low, high = torch.where(up, middle, low), torch.where(up, high, middle)
    theta = torch.where(low > 2e-6, low, torch.zeros_like(low))
    return {"gammas": gammas.tolist(), "theta": theta.tolist(), **_onset(pull)}


def _onset(pull: Any) -> Json:
    """Return where the branch has three small means, what that extrapolates to, and its exponent.

    theta^2 = a (gamma - gamma_c) + O((gamma - gamma_c)^2), so that the first two give gamma_c by a
    line, to the order of 0.05^2 0.1^2; the others and gamma_c give the power of theta.
    """
    means = torch.tensor([0.05, 0.1, 0.2], dtype=torch.float64)
    low = torch.zeros_like(means)
    high = torch.full_like(means, 1 - 1e-6)
    if bool((pull(high, means) <= 0).any()):
        return {"onset": None, "exponent": None}
    for _ in range(50):
        middle = (low + high) / 2
        past = pull(middle, means) > 0
        low, high = torch.where(past, low, middle), torch.where(past, middle, high)
    first, second, third = low.tolist()
    onset = first - (second - first) * 0.05**2 / (0.1**2 - 0.05**2)
    exponent = math.log(2) / math.log((third - onset) / (second - onset))
    return {"onset": onset, "exponent": exponent}


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Collect the onsets, and where ascents end and which end is best."""
    branches = [
        {"m": m, **{k: found[f"branch, m {m:g}"][k] for k in ("onset", "exponent")}}
        for m in settings.ms
    ]
    ends = [
        {**cell.arguments, **_ends(found[cell.key])}
        for cell in cells(settings)
        if cell.arguments["kind"] != "branch"
    ]
    return {"branches": branches, "ends": ends}


def _ends(got: Json) -> Json:
    """Say where the best end is, where the start nearest the middle went, and who changed sides."""
    columns = ("start", "start_v", "theta", "v", "value")
    rows = list(zip(*(got[name] for name in columns), strict=True))
    # Mirror images are equally good, but for rounding.
    best = max(rows, key=lambda row: row[4])
    # Of the starts nearest to 0, the widest: where the mean lasts longest, if it does.
    middle = min(rows, key=lambda row: (abs(row[0]), -row[1]))
    away = [row for row in rows if abs(row[2]) > 0.01]
    return {
        "best": [abs(best[2]), best[3]],
        "middle": [abs(middle[2]), middle[3]],
        "lead": best[4] - middle[4],
        "away": len(away),
        "changed_sides": sum(row[0] * row[2] < 0 for row in away),
        "rests": _distinct([(abs(row[2]), row[3]) for row in rows]),
        "starts": len(rows),
        "last": got["last"],
    }


def _distinct(ends: list[tuple[float, float]]) -> list[list[float]]:
    """Return the ends that are more than 0.001 apart, mirror images taken together."""
    kept: list[list[float]] = []
    for end in sorted(ends):
        if all(math.dist(end, other) > 1e-3 for other in kept):
            kept.append(list(end))
    return kept


EXPERIMENT = Experiment(
    name="bimodal",
    title="From the mean to a mode: normal policies on data with two modes",
    settings=Settings(),
    smoke=Settings(
        ms=(2.0,), free_ms=(2.0,), gammas=(0.0, 0.5), starts=(-0.01, 1.0), steps=60, branch=5
    ),
    cells=cells,
    run=run,
    summarise=summarise,
)
