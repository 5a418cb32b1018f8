"""Where the adaptive rule stalls without a reward, r = 1, and what moves a policy that stalls.

    gamma = min(1, sqrt(L)/sigma),  L = -log rho_min:   E_mu[w^gamma s] = 0 on the ball sigma^2 <= L

With all rewards equal the aim is mu, and the exact gradient at the rule's gamma is 0 as soon as
Var log w <= L (DYN.deadzone): training from outside ends on the edge (DYN.edge). A batch of n sees
a variance S^2 of its own, now and then above L when the policy is within, and so the zone leaks.
Three ways out: gamma = 0; the gradient divided by 1 - gamma, as E_mu[(w^gamma - w) s]/(1 - gamma),
which is -E_mu[w log w s] at gamma = 1; and self-normalised weights, whose pull is their bias,
-theta e^(theta^2)/n (DYN.drift). The policy is N(theta, 1), mu = N(0, 1), and a tabular one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from experiments.runs import Cell, Experiment, Json
from experiments.statistics import iqm_interval

ROOT_SEED = 20260115
TABULAR = (0.6, 0.3, 0.1)
WAYS = ("plain", "self-normalised", "gamma 0", "divided")


@dataclass(frozen=True)
class Settings:
    """Starts of the exact runs; sizes of the batches, each with its number of seeds."""

    rho_min: float = 0.3
    starts: tuple[float, ...] = (-2.0, -0.6, 0.3, 0.9, 1.5, 2.0, 3.0)
    step: float = 0.05
    steps: int = 6000
    start: float = 2.0
    sizes: tuple[int, ...] = (32, 512, 4096)
    draws: int = 24576
    """Rows of all seeds of a cell together in a step: at n = 4,096 there are four cells of 6."""
    seeds: int = 256
    """At most so many seeds."""
    within: float = 0.8
    """Where the pull of self-normalised weights at gamma = 1 is measured, inside the zone."""
    batches: int = 400000


def cells(settings: Settings) -> list[Cell]:
    """One cell for what is exact, one a way and a size, one a size for the pull."""
    exact = [
        Cell("exact, Gaussian", {"part": "gaussian"}),
        Cell("exact, tabular", {"part": "arms"}),
    ]
    noisy = [
        Cell(f"{way}, n {n}, {k}", {"part": "batches", "way": way, "n": n, "stream": k})
        for way in WAYS
        for n in settings.sizes
        # The ways out are no slower with more rows, and dear.
        if n < 2048 or way in WAYS[:2]
        for k in range(_parts(n))
    ]
    pulls = [Cell(f"pull, n {n}", {"part": "pull", "n": n}) for n in (64, 256)]
    return [*exact, *noisy, *pulls]


def _parts(n: int) -> int:
    """Return into how many cells, of other seeds, the seeds of a large batch are split."""
    return 1 if n < 2048 else 4


def gaussian(settings: Settings) -> Json:
    """Exact gradient steps of theta, all starts at once, at the rule's gamma."""
    bound = math.sqrt(-math.log(settings.rho_min))
    theta = torch.tensor(settings.starts, dtype=torch.float64)
    path = []
    for _ in range(settings.steps):
        path.append(theta.tolist())
        gamma = (bound / theta.abs()).clamp_max(1)
        theta = (
            theta + settings.step * (gamma - 1) * theta * (gamma * (gamma - 1) * theta**2 / 2).exp()
        )
    return {"edge": bound, "end": theta.tolist(), "path": path[:: max(1, settings.steps // 60)]}


def tabular(settings: Settings) -> Json:
    """Exact steps to the effective target from (.01, .01, .98); plain gradients from there too."""
    mu = torch.tensor(TABULAR, dtype=torch.float64)
    policy = torch.tensor((0.01, 0.01, 0.98), dtype=torch.float64)
    logits, fits = policy.log(), []
    for _ in range(20):
        log_w = policy.log() - mu.log()
        policy = (mu.log() + _gamma(mu, log_w, settings) * log_w).softmax(0)
        fits.append(policy.tolist())
    # A policy at (.3, .4, .3) is inside the ball and not near mu.
    inside = torch.tensor((0.3, 0.4, 0.3), dtype=torch.float64).log()
    both = torch.stack([logits, inside])
    for _ in range(settings.steps):
        log_w = both.log_softmax(-1) - mu.log()
        pull = mu * (_gamma(mu, log_w, settings)[:, None] * log_w).exp()
        step = 10 * settings.step
        both = both + step * (pull - both.softmax(-1) * pull.sum(-1, keepdim=True))
    log_w = both.log_softmax(-1) - mu.log()
    ends = both.softmax(-1)
    return {
        "first_fit": fits[0],
        "last_fit": fits[-1],
        "sigma": _variance(mu, log_w).sqrt().tolist(),
        "ends": ends.tolist(),
        "kl": (mu * -log_w).sum(-1).tolist(),
    }


def _variance(mu: Any, log_w: Any) -> Any:
    mean = (mu * log_w).sum(-1, keepdim=True)
    return (mu * (log_w - mean) ** 2).sum(-1)


def _gamma(mu: Any, log_w: Any, settings: Settings) -> Any:
    return (-math.log(settings.rho_min) / _variance(mu, log_w)).sqrt().clamp_max(1)


def batch_gradient(way: str, y: Any, theta: Any, rho_min: float) -> Any:
    """Return one gradient a row of draws of mu, at the gamma that the row's own variance gives."""
    theta = theta[:, None]
    log_w, score = theta * y - theta**2 / 2, y - theta
    sigma = log_w.std(-1, correction=0, keepdim=True)
    gamma = (math.sqrt(-math.log(rho_min)) / sigma).clamp_max(1)
    if way == "gamma 0":
        return score.mean(-1)
    if way == "divided":
        # (w^gamma - w)/(1 - gamma) without a division by 0: -w log w at gamma = 1.
        apart = (gamma - 1) * log_w
        kernel = torch.where(apart.abs() < 1e-12, 1.0, torch.expm1(apart) / _nonzero(apart))
        return (-log_w.exp() * log_w * kernel * score).mean(-1)
    weights = (gamma * log_w).exp()
    total = weights.mean(-1) if way == "self-normalised" else 1.0
    return (weights * score).mean(-1) / total


def _nonzero(x: Any) -> Any:
    return torch.where(x.abs() < 1e-12, 1.0, x)


def batches(settings: Settings, way: str, n: int, stream: int) -> Json:
    """Train from outside the zone with batches of n, all seeds at once."""
    generator = torch.Generator().manual_seed(ROOT_SEED + 85 + 10 * n + stream)
    count = max(2, min(settings.seeds, settings.draws // n))
    theta = torch.full((count,), settings.start, dtype=torch.float64)
    late = torch.zeros_like(theta)
    since = settings.steps - settings.steps // 10
    path = []
    for t in range(settings.steps):
        y = torch.randn((count, n), generator=generator, dtype=torch.float64)
        theta = theta + settings.step * batch_gradient(way, y, theta, settings.rho_min)
        if t >= since:
            late += theta.abs() / (settings.steps - since)
        if t % max(1, settings.steps // 60) == 0:
            path.append(float(theta.abs().mean()))
    return {"late": late.tolist(), "end": theta.tolist(), "path": path}


def pull(settings: Settings, n: int) -> Json:
    """Average n times the self-normalised gradient at gamma = 1 and one theta, by many batches."""
    generator = torch.Generator().manual_seed(ROOT_SEED)
    theta, means = settings.within, []
    groups = 40
    for _ in range(groups):
        shape = (settings.batches // groups, n)
        y = torch.randn(shape, generator=generator, dtype=torch.float64)
        weights = (theta * y).exp()
        means.append(float(((weights * (y - theta)).sum(-1) / weights.sum(-1)).mean()) * n)
    return {"means": means}


def run(settings: Settings, part: str, **more: Any) -> Json:
    """Run one part."""
    parts: dict[str, Callable[..., Json]] = {
        "gaussian": gaussian,
        "arms": tabular,
        "batches": batches,
        "pull": pull,
    }
    return parts[part](settings, **more)


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Ends of the exact runs as they are; the rest with intervals over seeds or groups."""
    exact, arms = found["exact, Gaussian"], found["exact, tabular"]
    edge = exact["edge"]
    noisy, pulls = [], []
    for cell in cells(settings):
        got, n = found[cell.key], cell.arguments.get("n")
        if cell.arguments["part"] == "batches" and not cell.arguments["stream"]:
            way = cell.arguments["way"]
            late = [
                x
                for k in range(_parts(cell.arguments["n"]))
                for x in found[f"{way}, n {n}, {k}"]["late"]
            ]
            row = {"way": way, "n": n, "seeds": len(late), "late": iqm_interval(late)}
            noisy.append({**row, "least": min(late), "most": max(late), "path": got["path"]})
        elif cell.arguments["part"] == "pull":
            theta = settings.within
            limit = -theta * math.exp(theta**2)
            # The mean of 40 groups of batches is normal, and so is its interval.
            means = torch.tensor(got["means"], dtype=torch.float64)
            half = 2 * float(means.std()) / math.sqrt(len(means))
            centre = float(means.mean())
            ratio = sorted((centre + x) / limit for x in (-half, half))
            pulls.append({"n": n, "ratio": [centre / limit, *ratio]})
    starts = zip(settings.starts, exact["end"], strict=True)
    return {
        "edge": edge,
        "gaussian": [{"start": start, "end": end} for start, end in starts],
        "tabular": arms,
        "batches": noisy,
        "pulls": pulls,
    }


EXPERIMENT = Experiment(
    name="stall",
    title="The dead zone of the adaptive rule at r = 1: exact, in batches, and three ways out",
    settings=Settings(),
    smoke=Settings(steps=60, sizes=(32,), draws=256, batches=400),
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=ROOT_SEED,
)
