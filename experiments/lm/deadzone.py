"""The dead zone in a language model: without a reward the pull towards mu stops at its edge.

    r = 1,  gamma = min(1, sqrt(-log rho_min / Var log w)):   no gradient where Var log w <= 1.204

A small decoder is moved away from mu, by imitation of mu's better answers, until KL(mu || pi) is as
far as wanted. Then it trains on mu's answers without rewards, each step on all of them, by SGD and
in four ways: the rule's gamma; gamma = 1, whose gradient is 0; gamma = 1/2, whose aim
is mu; and the rule's gradient over 1 - gamma, the way out. On the "whole" log, all answers of one
or two characters by mu's own probabilities, this is the theory's case: both laws are taken given
that the answer is one of these, or w would not have the mean 1. A "drawn" log is finite: at gamma =
1 it has a gradient, for the mean of w over it has no maximum, and how far that carries is measured.
KL and Var log w are those of the whole law.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from experiments.lm._small import Making, mu
from experiments.lm._sums import MAKING, Law, drawn, whole
from experiments.runs import Cell, Experiment, Json, rounded
from experiments.statistics import iqm_interval
from isr_theory.training import ISReshapeLoss

Tensor = Any
Model = Any
WAYS: Mapping[str, Mapping[str, Any]] = {
    "rule": {},
    "gamma 1": {"gamma": 1.0},
    "gamma 0.5": {"gamma": 0.5},
    "rescale": {"rescale": True},
}


@dataclass(frozen=True)
class Settings:
    """Where runs start, in nats of KL(mu || pi), and how they go."""

    starts: tuple[float, ...] = (0.2, 0.8, 1.6)
    logs: tuple[str, ...] = ("whole", "drawn")
    ways: tuple[str, ...] = tuple(WAYS)
    seeds: int = 8
    each: int = 2048
    steps: int = 60
    rate: float = 0.2
    """Of SGD without momentum, which would carry a policy on where the gradient has died."""
    clip: float = 1.0
    rho_min: float = 0.3
    away_rate: float = 1e-3
    """Adam's, on the way to a start: imitation of what e^(R/tau) prefers, so that w is bounded."""
    away_tau: float = 0.1
    most_away: int = 300
    points: int = 12
    """How many points of the path are kept."""
    making: Making = field(default_factory=lambda: MAKING)
    root: int = 20260404


def cells(settings: Settings) -> list[Cell]:
    """One cell a log, a start and a seed, with all ways in it."""
    return [
        Cell(f"{log}, start {start:g}, {seed}", {"log": log, "start": start, "seed": seed})
        for log in settings.logs
        for start in settings.starts
        for seed in range(settings.seeds)
    ]


def prompts(settings: Settings) -> dict[tuple[str, int], int]:
    """Return how many prompts of which kind and seed are drawn: a mu a seed has its own."""
    own = settings.making
    return {(own.kind, own.seed + seed): own.examples for seed in range(settings.seeds)}


def run(settings: Settings, log: str, start: float, seed: int) -> Json:
    """Go each way from one start; return the path of each measure in each."""
    making = replace(settings.making, seed=settings.making.seed + seed)
    law = whole(making)
    used = law if log == "whole" else drawn(making, settings.each, settings.root + seed)
    away = moved(settings, mu(making), law, start)
    return {way: _path(settings, way, copy.deepcopy(away), used, law) for way in settings.ways}


def log_ratio(law: Law, log_pi: Tensor) -> Tensor:
    """Return log w of the law's answers, both laws given that the answer is one of them."""
    n = len(law.share) // law.prompts
    inside = log_pi.view(law.prompts, n).logsumexp(-1).repeat_interleave(n)
    found: Tensor = log_pi - inside - law.share.log()
    return found


def moved(settings: Settings, first: Model, law: Law, start: float) -> Model:
    """Return a policy that imitation of better answers has carried to KL(mu || pi) = start."""
    pi = copy.deepcopy(first).requires_grad_(True)
    optimizer = torch.optim.Adam(pi.parameters(), lr=settings.away_rate)
    loss = ISReshapeLoss(gamma=0.0, reward_normaliser=True)
    rewards = law.share * (law.rows.reward / settings.away_tau).exp()
    for _ in range(settings.most_away):
        value, _ = loss(law.log_pi(pi), law.log_mu, rewards, groups=law.rows.prompt)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if measure(pi, law)["kl"] >= start:
            break
    return pi


def measure(pi: Model, law: Law) -> dict[str, float]:
    """Return KL(mu || pi) = -E log w and Var log w, over all prompts."""
    with torch.no_grad():
        log_w, share = log_ratio(law, law.log_pi(pi)), law.share / law.prompts
    mean = (share * log_w).sum()
    return {"kl": -float(mean), "sigma2": float((share * (log_w - mean) ** 2).sum())}


def _path(settings: Settings, way: str, pi: Model, used: Law, law: Law) -> Json:
    optimizer = torch.optim.SGD(pi.parameters(), lr=settings.rate)
    every = max(1, settings.steps // settings.points)
    path: dict[str, list[float]] = {name: [value] for name, value in measure(pi, law).items()}
    gammas = []
    for step in range(settings.steps):
        value, gamma = objective(way, used.log_pi(pi), used, settings.rho_min)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(pi.parameters(), settings.clip)
        optimizer.step()
        gammas.append(gamma)
        if (step + 1) % every == 0:
            for name, number in measure(pi, law).items():
                path[name].append(number)
    path["gamma"] = [*gammas[::every], gammas[-1]]
    return {name: [float(f"{x:.4g}") for x in values] for name, values in path.items()}


def objective(way: str, log_pi: Tensor, law: Law, rho_min: float) -> tuple[Tensor, float]:
    """Return the loss of one way, whose gradient is -E_mu[w^gamma grad log pi], and its gamma.

    Not divided by the mean weight of the batch. The law's shares stand in the place of rewards; a
    log that was drawn is given as it is.
    """
    if law.place is not None:
        rule: dict[str, Any] = {} if "gamma" in WAYS[way] else {"rho_min": rho_min}
        loss = ISReshapeLoss(normalisation="none", **rule, **WAYS[way])
        value, metrics = loss(log_pi[law.place], law.log_mu[law.place])
        return value, float(metrics["gamma"])
    share = law.share / law.prompts
    log_w = log_ratio(law, log_pi)
    level = log_w.detach()
    sigma2 = float((share * (level - (share * level).sum()) ** 2).sum())
    fixed = WAYS[way].get("gamma")
    gamma = min(1.0, math.sqrt(-math.log(rho_min) / sigma2)) if fixed is None else float(fixed)
    if way != "rescale":
        return _weighted(gamma, log_w, share), gamma
    # Its limit at gamma = 1 is smooth: a thousandth before it is near enough.
    gamma = min(gamma, 0.999)
    apart = _weighted(gamma, log_w, share) - _weighted(1.0, log_w, share)
    return apart / (1 - gamma), gamma


def _weighted(gamma: float, log_w: Tensor, share: Tensor) -> Tensor:
    loss = ISReshapeLoss(gamma=gamma, normalisation="none")
    # Of log pi and log mu the loss looks at their difference alone.
    return loss(log_w, torch.zeros_like(log_w), share * len(share))[0]


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return a row a start and way: beginnings and ends with intervals over seeds."""
    rows = []
    for log, start in itertools.product(settings.logs, settings.starts):
        keys = [f"{log}, start {start:g}, {seed}" for seed in range(settings.seeds)]
        for way in settings.ways:
            paths = [found[key][way] for key in keys]
            row: Json = {"log": log, "start": start, "way": way}
            for name in ("kl", "sigma2"):
                begun, ended = ([path[name][at] for path in paths] for at in (0, -1))
                row[f"{name}_start"], row[f"{name}_end"] = map(iqm_interval, (begun, ended))
                shares = [b / a for a, b in zip(begun, ended, strict=True)]
                row[f"{name}_left"] = iqm_interval(shares)
            row["gamma_end"] = iqm_interval([path["gamma"][-1] for path in paths])
            rows.append(rounded(row, 4))
    return {"rows": rows}


EXPERIMENT = Experiment(
    name="lm_deadzone",
    title="Without a reward: where the adaptive rule stops on its way to mu, and the way out",
    settings=Settings(),
    smoke=Settings(
        starts=(0.05,),
        seeds=2,
        each=32,
        steps=4,
        most_away=4,
        points=2,
        making=Making("sums", width=16, layers=1, examples=2, steps=10, batch=16),
    ),
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=Settings.root,
)
GPU = replace(
    Settings(),
    seeds=10,
    each=16384,
    making=replace(MAKING, width=512, layers=8, heads=8, steps=600, rate=1e-3, device="cuda"),
)
GPU_REDUCED = EXPERIMENT.smoke


def seconds(settings: Settings) -> float:
    """Return about how long the cells take, on one core of a Zen 4 server."""
    return len(cells(settings)) * (16 + 0.04 * len(settings.ways) * settings.steps)
