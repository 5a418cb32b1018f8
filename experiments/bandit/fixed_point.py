"""Where w^gamma leads, and how fast: exact gradient ascent on a tabular bandit.

    pi -> q_gamma, proportional to mu r^(1/(1-gamma)),     |log(pi/q)| ~ e^(-rate t)

Every expectation is a sum over all actions, so nothing here is noisy. With constant rewards the
speed of the approach is 1 - gamma exactly, which is what slows training near gamma = 1 (OBJ.em,
OBJ.stability); the two-arm rewards are those of a published curve, 33/67 at gamma = 0 and 0/100 at
1. Steps are of the natural gradient, pi <- pi e^(eta f) / Z, f = w^gamma r mu / pi, for which log
pi/q shrinks by 1 - eta (1 - gamma) a step near the end, whatever the policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from experiments.runs import Cell, Experiment, Json

PROBLEMS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "two arms": ((0.5, 0.5), (1.0, 2.0)),
    "three arms": ((0.6, 0.3, 0.1), (1.0, 2.0, 4.0)),
    "five arms": ((0.4, 0.3, 0.15, 0.1, 0.05), (3.0, 1.0, 2.0, 5.0, 4.0)),
}
ROOT_SEED = 20260109


@dataclass(frozen=True)
class Settings:
    """Gammas, starts and steps; a start is drawn logits, and each seed has its own."""

    gammas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 0.9)
    seeds: int = 20
    step: float = 0.2
    steps: int = 4000
    window: int = 40
    """Steps over which the rate of approach is read off, once the distance is below 1e-4."""


def cells(settings: Settings) -> list[Cell]:
    """One cell a problem and gamma."""
    return [
        Cell(f"{name}, gamma {gamma:g}", {"problem": name, "gamma": gamma})
        for name in PROBLEMS
        for gamma in settings.gammas
    ]


def fixed_point(mu: Any, reward: Any, gamma: float) -> Any:
    """Return q_gamma."""
    return torch.softmax(mu.log() + reward.log() / (1 - gamma), dim=-1)


def run(settings: Settings, problem: str, gamma: float) -> Json:
    """Climb from every start at once; return where they end and how fast they came."""
    mu, reward = (torch.tensor(row, dtype=torch.float64) for row in PROBLEMS[problem])
    target = fixed_point(mu, reward, gamma)
    generator = torch.Generator().manual_seed(ROOT_SEED)
    shape = (settings.seeds, len(mu))
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    distances = []
    for _ in range(settings.steps):
        policy = torch.softmax(logits, dim=-1)
        # f / E_pi[f]: the effective target over the policy, whose logarithm vanishes at the end.
        effective = mu * (policy / mu) ** gamma * reward
        effective = effective / effective.sum(-1, keepdim=True)
        logits = logits + settings.step * (effective / policy - 1)
        away = logits - target.log()
        # The spread of log pi/q: what the normaliser cannot change.
        distances.append((away.amax(-1) - away.amin(-1))[:, None])
    spread = torch.cat(distances, dim=1)
    policy = torch.softmax(logits, dim=-1)
    return {
        "policy": policy.mean(0).tolist(),
        "target": target.tolist(),
        "error": float((policy - target).abs().max()),
        "rate": [_rate(row, settings.window) for row in spread],
    }


def _rate(spread: Any, window: int) -> float | None:
    """Return the mean fall of log distance a step in a late window, None where none was reached."""
    below = torch.nonzero(spread < 1e-4)
    start = int(below[0]) if len(below) else len(spread)
    if start + window >= len(spread):
        return None
    return float((spread[start] / spread[start + window]).log()) / window


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Put the end point and the rate of each problem and gamma beside what is predicted."""
    rows = []
    for cell in cells(settings):
        got, gamma = found[cell.key], cell.arguments["gamma"]
        rates = [rate for rate in got["rate"] if rate is not None]
        rows.append(
            {
                "problem": cell.arguments["problem"],
                "gamma": gamma,
                "policy": got["policy"],
                "target": got["target"],
                "error": got["error"],
                "rate": sum(rates) / len(rates) if rates else None,
                "predicted_rate": -math.log(1 - settings.step * (1 - gamma)),
                "starts": settings.seeds,
                "arrived": len(rates),
            }
        )
    return {"rows": rows}


EXPERIMENT = Experiment(
    name="fixed_point",
    title="Where w^gamma leads and how fast, by exact natural gradients",
    settings=Settings(),
    smoke=Settings(gammas=(0.0, 0.5), seeds=3, steps=400),
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=ROOT_SEED,
)
