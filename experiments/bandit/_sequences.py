"""Sequences of a few tokens, and policies that are tables: everything about them can be summed up.

    log pi(y) = sum_t log pi(y_t | t, y_{t-1})

A policy is a table of logits with a row a *state*, which is the place in the sequence and the
symbol before it, and a column a symbol. Tables may have axes in front, one for each seed or
learning rate. The divergence goes by the chain rule, state by state, without the sequences.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch

Tensor = Any


@dataclass(frozen=True)
class Space:
    """All sequences of `length` tokens from `symbols` symbols."""

    symbols: int
    length: int

    @property
    def states(self) -> int:
        """Return how many rows a table has: one for the first token, then one a symbol."""
        return 1 + (self.length - 1) * self.symbols

    @property
    def count(self) -> int:
        """Return the number of sequences."""
        return int(self.symbols**self.length)

    def entries(self) -> Tensor:
        """Return where each token of each sequence stands in a flat table, [count, length]."""
        rows = []
        for y in itertools.product(range(self.symbols), repeat=self.length):
            states = [0, *(1 + t * self.symbols + y[t] for t in range(self.length - 1))]
            rows.append([s * self.symbols + v for s, v in zip(states, y, strict=True)])
        return torch.tensor(rows)


def log_table(logits: Tensor) -> Tensor:
    """Return log pi(symbol | state), [..., states, symbols]."""
    return torch.log_softmax(logits, dim=-1)


def log_tokens(table: Tensor, entries: Tensor) -> Tensor:
    """Return log pi of the tokens at `entries` of a log table: [..., n, length].

    `entries` is [n, length], the same for all tables, or has the tables' axes in front.
    """
    flat = table.flatten(-2)
    if entries.ndim == 2:
        return flat[..., entries]
    return flat.gather(-1, entries.flatten(-2)).unflatten(-1, entries.shape[-2:])


def log_sequences(table: Tensor, entries: Tensor) -> Tensor:
    """Return log pi of sequences: [..., n]."""
    return log_tokens(table, entries).sum(-1)


def visits(table: Tensor, space: Space) -> Tensor:
    """Return how often pi passes each state and symbol in a sequence, [..., states, symbols]."""
    chances = table.exp()
    passed = [chances[..., :1, :]]
    for t in range(space.length - 1):
        first = 1 + t * space.symbols
        here = passed[-1].sum(-2)[..., None]
        passed.append(here * chances[..., first : first + space.symbols, :])
    return torch.cat(passed, dim=-2)


def divergence(passed: Tensor, log_mu: Tensor, log_pi: Tensor) -> Tensor:
    """Return KL(mu || pi) in nats from mu's visits and both log tables.

    It is the sum over states of mu's visits times the divergence there (the chain rule).
    """
    return (passed * (log_mu - log_pi)).sum((-2, -1))


def entropy(passed: Tensor, log_pi: Tensor) -> Tensor:
    """Return the entropy of a policy's sequences in nats, from its own visits and log table."""
    return -(passed * log_pi).sum((-2, -1))


def drawn(log_mu: Tensor, uniform: Tensor) -> Tensor:
    """Return indices of sequences, one a uniform number, by the inverse of mu's distribution.

    `log_mu` is [..., count], `uniform` [..., n]: the same numbers give the same draws, so that
    methods can be compared on one stream.
    """
    edges = log_mu.exp().cumsum(-1)
    # Rounding leaves the last edge a little off 1.
    uniform = (uniform * edges[..., -1:]).contiguous()
    return torch.searchsorted(edges, uniform, right=True).clamp(max=log_mu.shape[-1] - 1)


@dataclass(frozen=True)
class Problems:
    """One problem a seed: a reward in (0, 1) for each sequence, and the logits at the start."""

    reward: Tensor
    start: Tensor


def problems(space: Space, seeds: int, root: int) -> Problems:
    """Draw problems: a reward is a score by pairs of symbols, plus one of each sequence's own.

    The score is normal in either part, standardised over the sequences, and taken through the
    normal distribution function; the starting policy has logits of standard deviation 1/2.
    """
    generator = torch.Generator().manual_seed(root)

    def normal(*shape: int) -> Tensor:
        return torch.randn(seeds, *shape, generator=generator, dtype=torch.float64)

    pairs = normal(space.states, space.symbols)
    score = log_sequences(pairs, space.entries()) + normal(space.count)
    score = (score - score.mean(-1, keepdim=True)) / score.std(-1, keepdim=True)
    reward = 0.5 * (1 + torch.erf(score / math.sqrt(2)))
    return Problems(reward, 0.5 * normal(space.states, space.symbols))
