"""Policies at growing distance from mu: one policy learns from mu's log, and is kept on its way.

    step along  E_mu[w^gamma r grad log pi] / E_mu[w^gamma],   r graded
    distance    KL(mu || pi) = E_mu[sum over tokens of KL(mu(. | before) || pi(. | before))]

The distance is estimated on some of mu's own sequences, with the whole law of every next token in
place of log w alone: never negative and far less noisy at small distances. Where a step passes a
distance that was asked for, the snapshot is taken on the straight line between the weights before
and after it, where the distance is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.lm.logs import Log
from experiments.lm.recipes import Policies
from experiments.lm.scoring import response_logits, token_log_probs
from isr_theory.training import ISReshapeLoss

Tensor = Any
Model = Any
Say = Callable[[str], None]
# How near to the distance that was asked for a snapshot is, as a share of it.
CLOSE = 0.02
# Steps after which a walk is kept even where it has not reached the next distance.
KEEP = 25


def inputs(log: Log, rows: Any, device: Any = "cpu") -> list[Tensor]:
    """Return prompt_ids, prompt_mask, response and mask of some rows, no wider than they need."""
    wide = int(log.prompt_mask[rows].sum(1).max())
    long = int(log.mask[rows].sum(1).max())
    parts = (
        log.prompt_ids[rows, -wide:],
        log.prompt_mask[rows, -wide:],
        log.response[rows, :long],
        log.mask[rows, :long],
    )
    return [torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts]


class Probe:
    """Some of the log's sequences with mu's law of every next token, to measure distances on."""

    def __init__(self, mu: Model, log: Log, size: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 1])
        rows = np.sort(rng.choice(len(log), size=min(size, len(log)), replace=False))
        # Sequences of like length side by side: three parts with little padding.
        rows = rows[np.argsort(log.lengths[rows], kind="stable")]
        device = next(mu.parameters()).device
        self.parts = [inputs(log, part, device) for part in np.array_split(rows, 3) if len(part)]
        self.size = len(rows)
        with torch.no_grad():
            self.laws = [torch.log_softmax(response_logits(mu, *part), -1) for part in self.parts]

    def distance(self, model: Model) -> float:
        """Return the mean over the sequences of the sum of KL(mu || pi) of their tokens."""
        total = 0.0
        with torch.no_grad():
            for part, law in zip(self.parts, self.laws, strict=True):
                own = torch.log_softmax(response_logits(model, *part), -1)
                tokens = (law.exp() * (law - own)).sum(-1)
                total += float(torch.where(part[3], tokens, 0.0).double().sum())
        return total / self.size


def batches(log: Log, recipe: Policies) -> Iterator[Any]:
    """Yield the rows of each step: shuffled, all of them before any comes again."""
    epoch = 0
    while True:
        rng = np.random.default_rng([recipe.seed, 2, epoch])
        order = rng.permutation(len(log))
        for start in range(0, max(1, len(log) - recipe.batch + 1), recipe.batch):
            yield np.sort(order[start : start + recipe.batch])
        epoch += 1


def walk(
    model: Model, log: Log, recipe: Policies, probe: Probe, state: Path, say: Say
) -> Iterator[tuple[str, float, dict[str, Tensor]]]:
    """Train `model`, which begins as mu, and yield (name, distance, weights) of each snapshot.

    After each snapshot that the caller has kept, and now and then between them, what is needed to
    go on is written to `state`; a walk that finds it there goes on from it. Ends early, saying so,
    after `most_steps`.
    """
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    loss = ISReshapeLoss(gamma=recipe.gamma, normalisation="batch", validate=False)
    step, reached = resumed(state, model, optimiser)
    rows = batches(log, recipe)
    for _ in range(step):
        next(rows)
    while reached < len(recipe.distances) and step < recipe.most_steps:
        before = copied(model)
        update(model, log, next(rows), loss, optimiser, recipe, step)
        step += 1
        distance = probe.distance(model)
        after = copied(model)
        start = reached
        while reached < len(recipe.distances) and distance >= recipe.distances[reached]:
            wanted = recipe.distances[reached]
            met, weights = between(model, before, after, wanted, probe)
            say(f"policies: KL {met:.4g} of {wanted:g} after {step} steps")
            yield f"kl {wanted:g}", met, weights
            reached += 1
        model.load_state_dict(after)
        if reached > start or step % KEEP == 0:
            keep(state, model, optimiser, step, reached)
    if reached < len(recipe.distances):
        say(f"policies: stopped after {step} steps, at KL {probe.distance(model):.4g}")


def update(
    model: Model,
    log: Log,
    rows: Any,
    loss: ISReshapeLoss,
    optimiser: Any,
    recipe: Policies,
    step: int,
) -> None:
    """Take one step, with a learning rate that grows over the first steps."""
    device = next(model.parameters()).device
    parts = inputs(log, rows, device)
    log_mu = torch.from_numpy(log.log_mu[rows][:, : parts[2].shape[1]]).to(device)
    reward = torch.from_numpy(log.reward[rows]).to(device)
    for group in optimiser.param_groups:
        group["lr"] = recipe.learning_rate * min(1.0, (step + 1) / recipe.warmup)
    value, _ = loss(token_log_probs(model, *parts), log_mu, reward, parts[3])
    optimiser.zero_grad(set_to_none=True)
    value.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


def copied(model: Model) -> dict[str, Tensor]:
    """Return a model's weights, apart from it."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def between(
    model: Model,
    before: dict[str, Tensor],
    after: dict[str, Tensor],
    wanted: float,
    probe: Probe,
) -> tuple[float, dict[str, Tensor]]:
    """Return weights on the line from before to after whose distance is near what is wanted.

    `model` is left with them. The distance is below `wanted` at one end and not at the other, so
    that halving finds a place where it is met.
    """
    low, high = 0.0, 1.0
    for _ in range(30):
        at = (low + high) / 2
        weights = {name: torch.lerp(value, after[name], at) for name, value in before.items()}
        model.load_state_dict(weights)
        met = probe.distance(model)
        if abs(met - wanted) <= CLOSE * wanted:
            break
        low, high = (at, high) if met < wanted else (low, at)
    return met, copied(model)


def keep(state: Path, model: Model, optimiser: Any, step: int, reached: int) -> None:
    """Write what is needed to go on, whole or not at all."""
    beside = state.with_suffix(".new")
    content = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "reached": reached,
    }
    torch.save(content, beside)
    beside.replace(state)


def resumed(state: Path, model: Model, optimiser: Any) -> tuple[int, int]:
    """Take up what was kept, if anything was; return the steps taken and snapshots kept."""
    if not state.exists():
        return 0, 0
    device = next(model.parameters()).device
    found = torch.load(state, map_location=device, weights_only=True)
    model.load_state_dict(found["model"])
    optimiser.load_state_dict(found["optimiser"])
    return int(found["step"]), int(found["reached"])
