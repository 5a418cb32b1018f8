"""gamma as a temperature: how strongly a policy follows its reward once exact ascent has ended.

    r = e^(R/tau):     log(pi/mu) = R / (tau (1-gamma)) + constant
    r in {0, 1}:       pi = mu(. | r = 1) for every gamma, among all policies

Many random problems are climbed at once, every expectation a sum over all arms. The slope of
log(pi/mu) against R is read off by least squares over the arms. With a reward of 0 or 1 a tabular
policy is beside one of few shared features, whose family misses mu(. | r = 1): what it climbs is

    log pi(r=1) - D_(1-gamma)(mu(. | r=1) || pi(. | r=1)),

in which gamma weakens the second term, so that such an optimum gives up shape for success.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from experiments.runs import Cell, Experiment, Json
from experiments.statistics import iqm_interval

Tensor = Any
FAMILIES = ("tabular", "features")


@dataclass(frozen=True)
class Settings:
    """Temperatures and gammas, and the size of the random problems: one a seed."""

    taus: tuple[float, ...] = (0.5, 1.0, 2.0)
    gammas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 0.9)
    seeds: int = 200
    arms: int = 8
    features: int = 3
    step: float = 0.2
    steps: int = 3000
    seed: int = 20260109


def cells(settings: Settings) -> list[Cell]:
    """One cell a temperature and gamma, and one a family and gamma with rewards of 0 and 1."""
    hot = [
        Cell(f"tau {tau:g}, gamma {gamma:g}", {"kind": "hot", "tau": tau, "gamma": gamma})
        for tau in settings.taus
        for gamma in settings.gammas
    ]
    binary = [
        Cell(f"{family}, gamma {gamma:g}", {"kind": "binary", "family": family, "gamma": gamma})
        for family in FAMILIES
        for gamma in settings.gammas
    ]
    return hot + binary


def run(settings: Settings, kind: str, gamma: float, tau: float = 1.0, family: str = "") -> Json:
    """Climb all problems of one cell."""
    if kind == "hot":
        return _hot(settings, tau, gamma)
    return _binary(settings, family, gamma)


def effective(mu: Tensor, policy: Tensor, reward: Tensor, gamma: float) -> Tensor:
    """Return the effective target mu w^gamma r, normalised over the last axis."""
    masses = mu ** (1 - gamma) * policy**gamma * reward
    return masses / masses.sum(-1, keepdim=True)


def climb(mu: Tensor, reward: Tensor, gamma: float, logits: Tensor, settings: Settings) -> Tensor:
    """Return the logits after natural-gradient steps of a tabular policy.

    Each adds step (pi_eff/pi - 1), at most 1: far below its share an arm would overshoot by 1/pi.
    """
    for _ in range(settings.steps):
        policy = torch.softmax(logits, dim=-1)
        # A failing arm's mass goes to 0 by the steps, and stays a positive number.
        ratio = effective(mu, policy, reward, gamma) / policy.clamp_min(1e-300)
        logits = logits + (settings.step * (ratio - 1)).clamp_max(1.0)
        logits = (logits - logits.amax(-1, keepdim=True)).clamp_min(-600.0)
    return logits


def climb_features(
    mu: Tensor, reward: Tensor, gamma: float, shared: Tensor, theta: Tensor, steps: int
) -> tuple[Tensor, float]:
    """Return the policy softmax(shared theta) after natural-gradient steps, and its last slope.

    `shared` is (seeds, arms, features). A step solves F d = shared^T (pi_eff - pi), F the Fisher
    matrix, and is shortened so that no logit of an arm in use moves by more than 1 against another.
    The slope is the largest entry of shared^T (pi_eff - pi), which is 0 at an optimum.
    """
    left = torch.tensor(0.0)
    # Where the optimum is at infinity F tends to 0: the ridge keeps it solvable.
    ridge = 1e-9 * torch.eye(shared.shape[-1], dtype=torch.float64)
    for _ in range(steps):
        policy = torch.softmax((shared @ theta[..., None])[..., 0], dim=-1)
        off = effective(mu, policy, reward, gamma) - policy
        centred = shared - (policy[..., None] * shared).sum(-2, keepdim=True)
        fisher = (policy[..., None] * centred).transpose(-1, -2) @ centred + ridge
        pull = (shared.transpose(-1, -2) @ off[..., None])[..., 0]
        d = torch.linalg.solve(fisher, pull)
        moves = (shared @ d[..., None])[..., 0]
        # Where the optimum is at infinity some arms are long dead: they may move farther.
        worth = torch.where(policy > 1e-12, 1.0, 0.05)
        scaled = worth * (moves - (policy * moves).sum(-1, keepdim=True))
        theta = theta + 0.5 * d / scaled.abs().amax(-1, keepdim=True).clamp_min(1.0)
        left = pull.abs().max()
    policy = torch.softmax((shared @ theta[..., None])[..., 0], dim=-1)
    return policy, float(left)


def slopes(log_ratio: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least-squares slope of each row against raw, and the largest residual."""
    x = raw - raw.mean(-1, keepdim=True)
    y = log_ratio - log_ratio.mean(-1, keepdim=True)
    slope = (x * y).sum(-1) / (x * x).sum(-1)
    return slope, (y - slope[..., None] * x).abs().amax(-1)


def _draws(settings: Settings) -> tuple[torch.Generator, Tensor]:
    generator = torch.Generator().manual_seed(settings.seed)
    shape = (settings.seeds, settings.arms)
    # Shares of exponentials are uniform on the simplex.
    mu = -torch.rand(shape, generator=generator, dtype=torch.float64).clamp_min(1e-3).log()
    return generator, mu / mu.sum(-1, keepdim=True)


def _hot(settings: Settings, tau: float, gamma: float) -> Json:
    generator, mu = _draws(settings)
    raw = torch.randn(mu.shape, generator=generator, dtype=torch.float64)
    logits = torch.randn(mu.shape, generator=generator, dtype=torch.float64)
    logits = climb(mu, (raw / tau).exp(), gamma, logits, settings)
    slope, residual = slopes(torch.log_softmax(logits, -1) - mu.log(), raw)
    return {"slope": slope.tolist(), "residual": residual.tolist()}


def _binary(settings: Settings, family: str, gamma: float) -> Json:
    generator, start = _draws(settings)
    shape = (settings.seeds, settings.arms, settings.features)
    shared = torch.randn(shape, generator=generator, dtype=torch.float64)
    theta = torch.randn(shape[::2], generator=generator, dtype=torch.float64)
    # Half of the arms succeed; which ones is as random as the features.
    reward = (torch.arange(settings.arms) % 2 == 0).double().expand(start.shape)
    if family == "tabular":
        mu, left = start, 0.0
        logits = torch.randn(mu.shape, generator=generator, dtype=torch.float64)
        logits = climb(mu, reward, gamma, logits, settings)
        policy = torch.softmax(logits, -1)
    else:
        mu = torch.softmax((shared @ theta[..., None])[..., 0], -1)
        policy, left = climb_features(mu, reward, gamma, shared, theta, settings.steps)
    best = effective(mu, mu, reward, 0.0)
    return {
        "success": (policy * reward).sum(-1).tolist(),
        "from_best": (0.5 * (policy - best).abs().sum(-1)).tolist(),
        "policy": policy.tolist(),
        "left": left,
    }


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Put slopes beside 1/(tau (1-gamma)), and optima of binary rewards beside gamma 0's."""
    hot, binary = [], []
    for cell in cells(settings):
        got, asked = found[cell.key], cell.arguments
        gamma = asked["gamma"]
        if asked["kind"] == "hot":
            predicted = 1 / (asked["tau"] * (1 - gamma))
            hot.append(
                {
                    "tau": asked["tau"],
                    "gamma": gamma,
                    "predicted": predicted,
                    "slope": sum(got["slope"]) / len(got["slope"]),
                    "error": max(abs(slope / predicted - 1) for slope in got["slope"]),
                    "residual": max(got["residual"]),
                }
            )
        else:
            first = found[f"{asked['family']}, gamma {settings.gammas[0]:g}"]
            binary.append({"family": asked["family"], "gamma": gamma, **_beside(got, first)})
    return {"hot": hot, "binary": binary}


def _beside(got: Json, first: Json) -> Json:
    """Compare the optima at one gamma with those at the smallest, problem by problem."""
    here, there = (torch.tensor(x["policy"], dtype=torch.float64) for x in (got, first))
    moved = 0.5 * (here - there).abs().sum(-1)
    won = torch.tensor(got["success"], dtype=torch.float64)
    gained = won - torch.tensor(first["success"], dtype=torch.float64)
    return {
        "moved_median": float(moved.median()),
        "moved_most": float(moved.max()),
        "success_mean": float(won.mean()),
        "gained": iqm_interval(gained.numpy()),
        # Both are optima to about 1e-6; what is nearer to 0 has not changed.
        "rose": int((gained > 1e-6).sum()),
        "fell": int((gained < -1e-6).sum()),
        "from_best_most": max(got["from_best"]),
        "problems": len(moved),
        "left": got["left"],
    }


EXPERIMENT = Experiment(
    name="temperature",
    title="gamma as a temperature, and binary rewards, by exact natural gradients",
    settings=Settings(),
    smoke=Settings(taus=(1.0,), gammas=(0.0, 0.5), seeds=4, steps=300),
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=Settings.seed,
)
