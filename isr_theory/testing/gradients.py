"""What weights for a policy gradient must keep: they are constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from isr_theory.testing.relations import (
    DOUBLE,
    Array,
    Function,
    Relation,
    Sides,
    Suite,
    Violation,
    violations,
)


def log_probabilities() -> list[tuple[Array, Array]]:
    """Return log pi and log mu of a few samples."""
    rng = np.random.default_rng(7)
    return [(-rng.exponential(1.0, n), -rng.exponential(1.5, n)) for n in (3, 8)]


def _with_gradient(weights: Function, log_pi: Array, log_mu: Array) -> tuple[Any, Any]:
    import torch

    policy = torch.tensor(log_pi, requires_grad=True)
    return policy, weights(policy, torch.tensor(log_mu))


def _tracked(weights: Function, log_pi: Array, log_mu: Array) -> Sides:
    return float(_with_gradient(weights, log_pi, log_mu)[1].requires_grad), 0.0


def _surrogate(weights: Function, log_pi: Array, log_mu: Array) -> Sides:
    import torch

    policy, made = _with_gradient(weights, log_pi, log_mu)
    (slope,) = torch.autograd.grad(-(made * policy).sum(), policy)
    return slope.numpy(), -made.detach().numpy()


WEIGHTS = Suite(
    takes=("log_pi", "log_mu"),
    # The slope is a product of the weight with 1: a few roundings of it.
    slack=lambda precision, log_pi, log_mu: (
        64 * precision * float(np.exp(np.abs(log_pi - log_mu).max()))
    ),
    relations=(
        Relation("detached", "weights are constants: they require no gradient", _tracked),
        Relation(
            "surrogate",
            "the loss -sum(weight log pi) has the gradient -weight, and no more",
            _surrogate,
        ),
    ),
)


def weights_violations(weights: Function, *, precision: float = DOUBLE) -> list[Violation]:
    """Return what weights for a policy gradient break: weights(log_pi, log_mu), torch tensors."""
    return violations(WEIGHTS, weights, log_probabilities(), precision)
