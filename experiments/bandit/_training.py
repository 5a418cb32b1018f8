"""Off-policy training on logs that are reused: 16 epochs on each, for all seeds and rates at once.

    batch:  mu = pi,  n sequences from mu,  16 epochs of minibatch steps on them,  then the next

A row of the tensors is a learning rate, a column a seed. All rates and methods draw with the same
uniform numbers, so that what differs between them is what they learn. KL(mu || pi), entropy and
value are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from experiments.bandit import _sequences as sequences
from experiments.bandit._methods import Controller, Method, ess_gamma, estimated_kl, loss
from experiments.bandit._sequences import Problems, Space
from experiments.bandit._steps import Stepper, clipped

Tensor = Any


@dataclass(frozen=True)
class Schedule:
    """How a run goes, the same for all methods."""

    batches: int
    draws: int
    epochs: int
    minibatches: int
    centred: bool
    """Whether a log's mean reward is taken off its rewards."""
    clip: float
    rho_min: float
    controller: Controller
    root: int


@dataclass
class Log:
    """What was drawn from mu: tokens, their log mu, rewards, and mu itself."""

    mu: Tensor
    passed: Tensor
    entries: Tensor
    log_mu: Tensor
    reward: Tensor


@dataclass
class Trace:
    """What is measured, a number a rate and seed; `kl` and `ess` have one at each batch's end."""

    kl: list[Tensor] = field(default_factory=list)
    ess: list[Tensor] = field(default_factory=list)
    largest_kl: Tensor = 0.0
    """Over all steps."""
    steps: dict[str, Tensor] = field(default_factory=dict)
    """How many steps began with KL below CALM and above FAR, and how many of those had gamma* < 1.

    Counted where the rule alone sets gamma.
    """


CALM, FAR = 0.4, 0.9
"""Divergences, in nats, that are two thirds and three halves of the rule's activation, 0.602."""


def train(
    method: Method, stepper: Stepper, rates: int, space: Space, tasks: Problems, plan: Schedule
) -> tuple[Tensor, Trace]:
    """Return the logits at the end, [rates, seeds, states, symbols], and what was measured."""
    logits = tasks.start.expand(rates, *tasks.start.shape).clone()
    all_entries, trace = space.entries(), Trace()
    generator = torch.Generator().manual_seed(plan.root)
    for _ in range(plan.batches):
        shape = (len(tasks.start), plan.draws)
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
        log = _log(logits, uniform, space, all_entries, tasks, plan.centred)
        log_gamma_kl = torch.zeros(logits.shape[:2], dtype=torch.float64)
        for part in _parts(plan, generator):
            leaf = logits.requires_grad_()
            table = sequences.log_table(leaf)
            gamma = None
            if method.rule != "none":
                gamma, log_gamma_kl = _gamma(method, table.detach(), log, log_gamma_kl, plan, trace)
            log_pi = sequences.log_tokens(table, log.entries[..., part, :])
            losses = loss(method, log_pi, log.log_mu[..., part, :], log.reward[..., part], gamma)
            gradient = torch.autograd.grad(losses.sum(), leaf)[0]
            logits = stepper.step(leaf.detach(), clipped(gradient, plan.clip))
            _watch(trace, log, logits)
        _close(trace, log, logits)
    return logits, trace


def _log(
    logits: Tensor, uniform: Tensor, space: Space, entries: Tensor, tasks: Problems, centred: bool
) -> Log:
    mu = sequences.log_table(logits.detach())
    index = sequences.drawn(sequences.log_sequences(mu, entries), uniform.expand(len(mu), -1, -1))
    reward = tasks.reward.expand(len(mu), -1, -1).gather(-1, index)
    if centred:
        reward = reward - reward.mean(-1, keepdim=True)
    tokens = entries[index]
    passed = sequences.visits(mu, space)
    return Log(mu, passed, tokens, sequences.log_tokens(mu, tokens), reward)


def _parts(plan: Schedule, generator: Any) -> Iterator[Tensor]:
    """Yield each epoch's minibatches, an order for all seeds: draws are exchangeable."""
    for _ in range(plan.epochs):
        yield from torch.randperm(plan.draws, generator=generator).chunk(plan.minibatches)


def _gamma(
    method: Method, table: Tensor, log: Log, log_gamma_kl: Tensor, plan: Schedule, trace: Trace
) -> tuple[Tensor, Tensor]:
    """Return gamma for the next step, and the controller's state."""
    log_w = (sequences.log_tokens(table, log.entries) - log.log_mu).sum(-1)
    kl, gamma = sequences.divergence(log.passed, log.mu, table), ess_gamma(log_w, plan.rho_min)
    if method.rule == "ess":
        _count(trace, kl, gamma)
        return gamma, log_gamma_kl
    seen = kl if method.rule == "exact KL" else estimated_kl(log_w)
    log_gamma_kl = plan.controller.moved(log_gamma_kl, seen)
    return torch.minimum(gamma, log_gamma_kl.exp()), log_gamma_kl


def _count(trace: Trace, kl: Tensor, gamma: Tensor) -> None:
    acts = gamma < 1
    # The steps at mu itself are left out: there nothing could act.
    calm, far = (kl > 0) & (kl < CALM), kl > FAR
    for name, where in {
        "calm": calm,
        "calm_acting": calm & acts,
        "far": far,
        "far_acting": far & acts,
    }.items():
        trace.steps[name] = trace.steps.get(name, 0) + where.to(torch.float64)


def _watch(trace: Trace, log: Log, logits: Tensor) -> None:
    kl = sequences.divergence(log.passed, log.mu, sequences.log_table(logits))
    trace.largest_kl = torch.maximum(kl, torch.as_tensor(trace.largest_kl))


def _close(trace: Trace, log: Log, logits: Tensor) -> None:
    """Record the divergence and the log's ESS/n at a batch's end."""
    table = sequences.log_table(logits)
    log_w = (sequences.log_tokens(table, log.entries) - log.log_mu).sum(-1)
    trace.kl.append(sequences.divergence(log.passed, log.mu, table))
    first, second = torch.logsumexp(log_w, -1), torch.logsumexp(2 * log_w, -1)
    trace.ess.append((2 * first - second).exp() / log_w.shape[-1])
