"""What any KL divergence, or estimator of one, must keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from isr_theory.testing.relations import (
    DOUBLE,
    Array,
    Function,
    Relation,
    Suite,
    Violation,
    at_most,
    violations,
)


def laws() -> list[tuple[Array, Array]]:
    """Return log-probabilities of pairs of laws in tenths, none a permutation or mirror."""
    tenths = [((5, 5), (9, 1)), ((6, 3, 1), (2, 3, 5)), ((4, 3, 2, 1), (1, 1, 2, 6))]
    return [(np.log(np.array(p) / 10), np.log(np.array(q) / 10)) for p, q in tenths]


def _merged(log_p: Array) -> Array:
    return np.append(np.logaddexp(log_p[0], log_p[1]), log_p[2:])


def _pairs(log_p: Array) -> Array:
    return np.add.outer(log_p, log_p).ravel()


KL = Suite(
    takes=("log_p", "log_q"),
    # Fewer than 100 terms p |log p/q|, from logarithms good to a few roundings.
    slack=lambda precision, log_p, log_q: (
        64 * precision * (100 + float(np.abs(log_p).max() + np.abs(log_q).max()))
    ),
    relations=(
        Relation(
            "direction",
            "KL(p || q) is sum p log(p / q): the mass is that of p",
            lambda kl, p, q: (kl(p, q), float(np.exp(p) @ (p - q))),
        ),
        Relation("itself", "KL(p || p) is 0", lambda kl, p, q: (kl(p, p), 0.0)),
        Relation("sign", "it is never negative", lambda kl, p, q: (0.0, kl(p, q)), at_most),
        Relation(
            "order",
            "the order of the outcomes changes nothing",
            lambda kl, p, q: (kl(p[::-1].copy(), q[::-1].copy()), kl(p, q)),
        ),
        Relation(
            "data processing",
            "telling two outcomes apart no longer never raises it",
            lambda kl, p, q: (kl(_merged(p), _merged(q)), kl(p, q)),
            at_most,
        ),
        Relation(
            "two draws",
            "that of two independent draws is twice that of one",
            lambda kl, p, q: (kl(_pairs(p), _pairs(q)), 2 * kl(p, q)),
        ),
    ),
)


def kl_violations(kl: Function, *, precision: float = DOUBLE) -> list[Violation]:
    """Return what a KL breaks: kl(log_p, log_q) -> KL(p || q), from two laws' log-probabilities."""
    return violations(KL, kl, laws(), precision)


def estimator_violations(estimate: Function, *, precision: float = DOUBLE) -> list[Violation]:
    """Return what an estimator of KL breaks: estimate(log_p, log_q) -> KL(p || q).

    It takes log p and log q of a sample drawn from p. Here every outcome comes exactly as often as
    p says, so an unbiased estimator, such as mean(log p - log q), has no error.
    """

    def kl(log_p: Array, log_q: Array) -> Any:
        # Laws in tenths: pairs of them are in hundredths.
        counts = np.rint(100 * np.exp(log_p)).astype(int)
        return estimate(np.repeat(log_p, counts), np.repeat(log_q, counts))

    return kl_violations(kl, precision=precision)
