"""A log of mu scored by a policy: log w token by token, and how much of it a prefix has.

    log w_T = sum over t <= T of log pi(y_t | y_<t) - log mu(y_t | y_<t)

The sum over the first T tokens, or all where a response has ended before, is the log-ratio of the
two laws at a stopping time: E_mu[w_T] = 1 at every T, and one log gives sequences of many lengths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.lm._resample import slope
from experiments.lm.logs import Floats, Log

Array = NDArray[np.float64]
ALL = "all"
"""The scope of all tasks together."""
REACHED = 0.9
"""Prefixes are taken up to the length that so many of the responses reach."""

FROM = 4
"""The shortest prefix that exponents are fitted to: a token or two have no law of long ones."""


@dataclass(frozen=True)
class Scored:
    """Sequences of a log, and their log-ratios under one policy."""

    tokens: Array
    """log w of each token, (n, T), 0 in padding."""
    mask: NDArray[np.bool_]
    task: NDArray[np.int64]
    names: tuple[str, ...]
    """The tasks' names."""
    prompt: NDArray[np.int64]
    reward: Array

    @property
    def log_w(self) -> Array:
        """Return log w of whole sequences."""
        total: Array = self.tokens.sum(-1)
        return total

    @property
    def length(self) -> NDArray[np.int64]:
        """Return how many tokens each response has, its end among them."""
        lengths: NDArray[np.int64] = self.mask.sum(-1)
        return lengths

    def rows(self, keep: NDArray[np.bool_]) -> Scored:
        """Return some of the sequences."""
        return Scored(
            self.tokens[keep],
            self.mask[keep],
            self.task[keep],
            self.names,
            self.prompt[keep],
            self.reward[keep],
        )

    def scopes(self) -> Iterator[tuple[str, Scored]]:
        """Yield all tasks together, then each task by its name."""
        yield ALL, self
        for number, name in enumerate(self.names):
            yield name, self.rows(self.task == number)


def scored(log: Log, log_pi: Floats) -> Scored:
    """Return a log with the log-probabilities (n, T) that a policy gives its tokens.

    Raises ValueError where the shapes differ, or a token has no finite log-ratio.
    """
    if log_pi.shape != log.mask.shape:
        raise ValueError(f"log_pi must have the log's shape, {log.mask.shape}, not {log_pi.shape}")
    tokens = np.where(log.mask, log_pi.astype(np.float64) - log.log_mu, 0.0)
    if not np.isfinite(tokens).all():
        row, column = np.argwhere(~np.isfinite(tokens))[0]
        raise ValueError(f"log w of token {column} of sequence {row} is {tokens[row, column]}")
    reward = log.reward.astype(np.float64)
    return Scored(tokens, log.mask, log.task, log.names, log.prompt, reward)


def prefix_lengths(length: NDArray[np.int64]) -> list[int]:
    """Return 1, 2, 3, 4, 6, 8, 12, ...: doublings and their halves that most responses reach."""
    longest = int(np.quantile(length, 1 - REACHED, method="lower"))
    grid = sorted({*(1 << k for k in range(16)), *(3 << k for k in range(16))})
    return [t for t in grid if t <= longest]


def prefixes(tokens: Array, lengths: list[int]) -> Array:
    """Return (n, lengths): log w of the first T tokens, or of all where there are fewer."""
    return tokens.cumsum(-1)[:, np.asarray(lengths) - 1]


def exponents(lengths: list[int], values: Array) -> list[float] | None:
    """Return the slope of log |value| against log T in each row, None for too few lengths."""
    fitted = [i for i, t in enumerate(lengths) if t >= FROM]
    if len(fitted) < 3:
        return None
    # A value of exactly 0 has no logarithm; the least of float64 stands for it.
    sizes = np.abs(values[:, fitted]).clip(np.finfo(np.float64).tiny)
    found = slope(np.log(np.asarray(lengths)[fitted]), np.log(sizes))
    return [float(x) for x in found]
