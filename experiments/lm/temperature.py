"""gamma as a temperature, in a language model: how steeply it follows its reward at the end.

    r = e^(R/tau):     log(pi/mu) = R / (tau (1-gamma)) + constant of the prompt

A small decoder starts at mu and climbs on answers to a few prompts, R in [0, 1] the share of
characters in place. The slope of log(pi/mu) against R is read off by least squares within prompts.
Two logs: "whole" is what a log of mu without end would be, all answers of one or two characters by
mu's own probabilities; "drawn" is one of some thousand answers to each prompt, in which one that
came c times of n stands for c/n. On that one the best free policy has

    log(pi/mu) = (R/tau + log(c/(n mu)))/(1-gamma) + constant

whose slope is the "free" one. `residual` is the distance in total variation of pi from its
effective target mu w^gamma r, 0 where ascent has ended.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from experiments.lm._small import Making, mu
from experiments.lm._sums import MAKING, Law, drawn, whole
from experiments.runs import Cell, Experiment, Json, rounded
from experiments.statistics import mean_interval
from isr_theory.training import ISReshapeLoss

Tensor = Any
Model = Any
WARM = 20
"""Steps over which the learning rate rises; then it falls along a cosine."""


@dataclass(frozen=True)
class Settings:
    """Temperatures and gammas; `each` responses to each prompt; a mu and a log a seed."""

    gammas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
    whole: tuple[float, ...] = (1.0, 2.0)
    """Temperatures on the whole log."""
    drawn: tuple[float, ...] = (1.0,)
    """Temperatures on the log as it was drawn."""
    seeds: int = 5
    each: int = 2048
    steps: int = 75
    """At gamma = 0: ascent slows down as 1 - gamma, so that there are 1/(1-gamma) as many."""
    rate: float = 3e-3
    making: Making = field(default_factory=lambda: MAKING)
    root: int = 20260403


def cells(settings: Settings) -> list[Cell]:
    """One cell a log, a temperature and a gamma."""
    kinds = [("whole", tau) for tau in settings.whole] + [("drawn", tau) for tau in settings.drawn]
    return [
        Cell(f"{log}, tau {tau:g}, gamma {gamma:g}", {"log": log, "tau": tau, "gamma": gamma})
        for log, tau in kinds
        for gamma in settings.gammas
    ]


def prompts(settings: Settings) -> dict[tuple[str, int], int]:
    """Return how many prompts of which kind and seed are drawn: a mu a seed has its own."""
    own = settings.making
    return {(own.kind, own.seed + seed): own.examples for seed in range(settings.seeds)}


def run(settings: Settings, log: str, tau: float, gamma: float) -> Json:
    """Climb once a seed; return slopes, halfway and at the end, and how far it got."""
    found = [_one(settings, log, tau, gamma, seed) for seed in range(settings.seeds)]
    return {name: [row[name] for row in found] for name in found[0]}


def _one(settings: Settings, kind: str, tau: float, gamma: float, seed: int) -> Json:
    making = replace(settings.making, seed=settings.making.seed + seed)
    law = whole(making) if kind == "whole" else drawn(making, settings.each, settings.root + seed)
    hot = law.rows.reward / tau
    pi, halfway = climb(settings, mu(making), law, hot, gamma)
    with torch.no_grad():
        log_w = law.log_pi(pi) - law.log_mu
    free = (hot + law.share.log() - law.log_mu) / (1 - gamma)
    found = {
        "slope": slope(log_w, law),
        "halfway": halfway,
        "free": slope(free, law),
        "residual": residual(law, log_w, hot, gamma),
        "mass": float(law.log_mu.exp().sum()) / law.prompts,
        "answers": len(law.share) / law.prompts,
    }
    return {name: float(f"{value:.5g}") for name, value in found.items()}


def climb(
    settings: Settings, first: Model, law: Law, log_reward: Tensor, gamma: float
) -> tuple[Model, float]:
    """Return the policy after ascent from mu on r = e^log_reward, and its slope halfway."""
    pi = copy.deepcopy(first).requires_grad_(True)
    optimizer = torch.optim.Adam(pi.parameters(), lr=settings.rate)
    # Divided by the mean of w^gamma r, steps are of one size at every gamma and prompt. A response
    # stands in the batch once: its share is in its reward.
    loss = ISReshapeLoss(gamma=gamma, reward_normaliser=True)
    rewards, halfway = law.share * log_reward.exp(), 0.0
    steps = round(settings.steps / (1 - gamma))
    for step in range(steps):
        if step == steps // 2:
            with torch.no_grad():
                halfway = slope(law.log_pi(pi) - law.log_mu, law)
        fall = (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * fall * min(1.0, (step + 1) / WARM)
        value, _ = loss(law.log_pi(pi), law.log_mu, rewards, groups=law.rows.prompt)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return pi, halfway


def slope(values: Tensor, law: Law) -> float:
    """Return the least-squares slope of values against R within prompts, by the log's shares."""
    x = law.rows.reward - law.mean(law.rows.reward)
    return float((law.share * x * values).sum() / (law.share * x * x).sum())


def residual(law: Law, log_w: Tensor, log_reward: Tensor, gamma: float) -> float:
    """Return TV(pi, pi_eff) on the log's answers, the mean over prompts."""
    target = law.share * torch.exp(gamma * log_w + log_reward)
    ours = torch.exp(law.log_mu + log_w)
    shares = (x / (law.mean(x / law.share)) for x in (ours, target))
    first, second = shares
    return float((first - second).abs().sum()) / (2 * law.prompts)


def summarise(settings: Settings, found: Mapping[str, Json]) -> Json:
    """Return a row a cell, each measure with its interval over seeds."""
    rows = []
    for cell in cells(settings):
        got = found[cell.key]
        wanted = cell.arguments["tau"] * (1 - cell.arguments["gamma"])
        row = {name: mean_interval(got[name]) for name in ("slope", "halfway", "free")}
        row["ratio"] = mean_interval([value * wanted for value in got["slope"]])
        row |= {"residual": max(got["residual"]), "mass": min(got["mass"])}
        rows.append(rounded({**cell.arguments, **row}, 4))
    return {"rows": rows}


EXPERIMENT = Experiment(
    name="lm_temperature",
    title="The slope of log(pi/mu) against the reward: gamma as a temperature",
    settings=Settings(),
    smoke=Settings(
        gammas=(0.0, 0.5),
        whole=(1.0,),
        seeds=2,
        each=32,
        steps=4,
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
    ascent = sum(settings.steps / (1 - gamma) for gamma in settings.gammas)
    kinds = len(settings.whole) + len(settings.drawn)
    return settings.seeds * (8 + 0.03 * kinds * ascent)
