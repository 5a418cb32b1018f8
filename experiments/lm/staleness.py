"""Staleness: how many epochs a log bears, for w^gamma, its rules, and the rivals.

    N epochs on each log, mu = the policy that drew it, an epoch one step on the log;   64 steps

so that N = 1 is 64 fresh logs, each used once at w = 1, and N = 64 a single stale one. A small
decoder spells words of three or four letters backward; mu has learned that from noisy
demonstrations, and gets more than half of its words wrong. Rewards are the share of letters in
place, with the mean of a prompt's responses taken off ("centred", as advantages are) or as they are
("plain"). All methods have one learning rate of Adam, not tuned for any of them, and one clip of
the gradient's norm, and meet the same prompts in the same order.

Held out: reward and entropy of the last policy on other words, its KL from the last log's mu and
from the first mu. A run has collapsed if its reward ends `fallen` below that of the first mu.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from experiments.bandit._methods import Controller, estimated_kl
from experiments.lm import sampling
from experiments.lm._small import MOST_TOKENS, Making, Rows, characters, examples, mu
from experiments.lm._stale_methods import BY_KEY, Method
from experiments.lm._stale_summary import summarise
from experiments.lm.tasks import Example
from experiments.runs import Cell, Experiment, Json
from isr_theory.training import ISReshapeLoss

Tensor = Any
Model = Any


@dataclass(frozen=True)
class Settings:
    """Sizes and constants; plain rewards are run at `plain` epochs only."""

    methods: tuple[str, ...] = tuple(BY_KEY)
    epochs: tuple[int, ...] = (1, 4, 16, 64)
    plain: tuple[int, ...] = (64,)
    seeds: int = 5
    more: int = 7
    """Seeds beyond these at the stalest log with centred rewards, where runs differ most."""
    steps: int = 64
    prompts: int = 48
    """Prompts of a log."""
    each: int = 4
    """Responses to each."""
    rate: float = 2e-3
    clip: float = 1.0
    rho_min: float = 0.3
    kappa: float = 0.1
    eta: float = 0.3
    held_out: int = 400
    fallen: float = 0.05
    making: Making = field(default_factory=lambda: Making("words"))
    root: int = 20260402


def cells(settings: Settings) -> list[Cell]:
    """One cell a method, kind of reward and number of epochs, the stalest logs first."""
    kinds = [("centred", n) for n in settings.epochs] + [("plain", n) for n in settings.plain]
    found = [
        Cell(f"{reward}, {n}, {method}", {"reward": reward, "epochs": n, "method": method})
        for reward, n in sorted(kinds, key=lambda kind: -kind[1])
        for method in settings.methods
    ]
    if not settings.more:
        return found
    stalest = f"centred, {max(settings.epochs)}, "
    again = [cell for cell in found if cell.key.startswith(stalest)]
    return found + [Cell(f"{c.key}, more", {**c.arguments, "more": True}) for c in again]


def prompts(settings: Settings) -> dict[tuple[str, int], int]:
    """Return how many prompts of which kind and seed are drawn: mu's, then those of `words`."""
    own = settings.making
    return {
        (own.kind, own.seed): own.examples,
        (own.kind, settings.root): settings.held_out + 4 * settings.prompts,
    }


@dataclass
class Trace:
    """What a run is remembered by."""

    gamma: list[float] = field(default_factory=list)
    """A step's; what the rule would choose, where the method has none."""
    ess: list[float] = field(default_factory=list)
    """ESS/n of w^gamma, a step's."""


def run(settings: Settings, reward: str, epochs: int, method: str, more: bool = False) -> Json:
    """Train every seed; return what its end looks like, a list over seeds a measure."""
    first, count = (settings.seeds, settings.more) if more else (0, settings.seeds)
    seeds = range(first, first + count)
    found = [_one(settings, reward, epochs, BY_KEY[method], seed) for seed in seeds]
    return {name: [row[name] for row in found] for name in found[0]}


def _one(settings: Settings, reward: str, epochs: int, method: Method, seed: int) -> Json:
    first = mu(settings.making)
    before, pi, trace = train(settings, first, reward, epochs, method, seed)
    root = settings.root + 1000 * seed
    own = held_out(settings, pi, root + 1)
    logs = {"drift": before, "from_start": first}
    drifts = {
        name: held_out(settings, model, root + i).divergence(model, pi)
        for i, (name, model) in enumerate(logs.items(), 2)
    }
    found = {
        "start": float(held_out(settings, first, root + 3).reward.mean()),
        "reward": float(own.reward.mean()),
        "entropy": -float(own.log_mu.sum(-1).mean()),
        **drifts,
        "gamma": float(np.mean(trace.gamma)),
        "acts": float(np.mean(np.array(trace.gamma) < 1)),
        "ess": float(np.mean(trace.ess)),
    }
    return {name: float(f"{value:.5g}") for name, value in found.items()}


def held_out(settings: Settings, model: Model, seed: int) -> Rows:
    """Return responses of a model to words that no log has."""
    prompts = words(settings)[: settings.held_out]
    most = MOST_TOKENS[settings.making.kind]
    log = sampling.sample(model, characters(), prompts, 1, most, seed)
    return Rows.of(log, settings.making.device)


def words(settings: Settings) -> tuple[Example, ...]:
    """Return the held-out words, then those of the logs."""
    count = settings.held_out + 4 * settings.prompts
    return examples(settings.making.kind, count, settings.root)


def train(
    settings: Settings, first: Model, reward: str, epochs: int, method: Method, seed: int
) -> tuple[Model, Model, Trace]:
    """Return the last log's mu, the policy at the end, and what the steps looked like."""
    pi, trace, before = copy.deepcopy(first).requires_grad_(True), Trace(), first
    optimizer = torch.optim.Adam(pi.parameters(), lr=settings.rate)
    controller = Controller(settings.kappa, settings.eta)
    generator = torch.Generator().manual_seed(settings.root + seed)
    for step in range(settings.steps):
        if step % epochs == 0:
            before, log_gamma_kl = copy.deepcopy(pi), torch.tensor(0.0)
            rows = _log(settings, before, reward, generator)
        log_pi = rows.log_pi(pi)
        if method.controlled:
            log_w = (log_pi.detach() - rows.log_mu).sum(-1)
            log_gamma_kl = controller.moved(log_gamma_kl, estimated_kl(log_w))
        loss = ISReshapeLoss(
            rho_min=settings.rho_min, gamma_max=math.exp(log_gamma_kl), **method.settings
        )
        value, metrics = loss(log_pi, rows.log_mu, rows.reward, rows.mask)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(pi.parameters(), settings.clip)
        optimizer.step()
        trace.gamma.append(float(metrics["gamma"]))
        trace.ess.append(float(metrics["ess_ratio"]))
    return before, pi, trace


def _log(settings: Settings, model: Model, reward: str, generator: Any) -> Rows:
    """Return a log of the model itself, its rewards centred or as they are."""
    pool = words(settings)[settings.held_out :]
    chosen = torch.randperm(len(pool), generator=generator)[: settings.prompts]
    seed = int(torch.randint(1 << 30, (1,), generator=generator))
    prompts, most = [pool[i] for i in chosen], MOST_TOKENS[settings.making.kind]
    device = settings.making.device
    rows = Rows.of(sampling.sample(model, characters(), prompts, settings.each, most, seed), device)
    if reward == "centred":
        groups = rows.reward.view(-1, settings.each)
        rows.reward.sub_(groups.mean(-1, keepdim=True).expand_as(groups).reshape(-1))
    return rows


EXPERIMENT = Experiment(
    name="lm_staleness",
    title="How many epochs a log bears: w^gamma, its rules and the rivals",
    settings=Settings(),
    smoke=Settings(
        methods=("w^0", "w^1", "w^g*, KL", "gspo", "v3.1 as run"),
        epochs=(1, 2),
        plain=(2,),
        seeds=2,
        more=1,
        steps=4,
        prompts=4,
        each=2,
        held_out=8,
        making=Making("words", width=16, layers=1, examples=64, steps=10, batch=16),
    ),
    cells=cells,
    run=run,
    summarise=summarise,
    root_seed=Settings.root,
)
GPU = replace(
    Settings(),
    seeds=10,
    more=0,
    held_out=2048,
    making=Making("words", 512, 8, 8, steps=2000, batch=512, rate=1e-3, device="cuda"),
)
GPU_REDUCED = EXPERIMENT.smoke


def seconds(settings: Settings) -> float:
    """Return about how long the cells take, on one core of a Zen 4 server."""
    # 2.5 s a run of 64 steps, and 15 s for mu.
    plain = len(settings.epochs) + len(settings.plain)
    runs = len(settings.methods) * (plain * settings.seeds + settings.more)
    return 15 + 0.04 * runs * settings.steps
