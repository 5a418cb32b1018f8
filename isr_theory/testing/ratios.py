"""What the ratios of sequences, joined from those of their tokens, must keep."""

from __future__ import annotations

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


def sequences() -> list[tuple[Array, Array]]:
    """Return token log-ratios and masks, shape (B, T), of sequences of different lengths.

    In the second batch B = T, where a ratio that is broadcast along the wrong axis has a fitting
    shape.
    """
    rng = np.random.default_rng(11)
    batches = []
    for lengths, longest in (((5, 2, 3), 5), ((1, 4, 2, 3), 4)):
        mask = (np.arange(longest) < np.array(lengths)[:, None]).astype(np.float64)
        batches.append((rng.normal(0.1, 0.3, mask.shape), mask))
    return batches


def _alone(ratio: Function, log_ratios: Array, mask: Array) -> Sides:
    rows = range(len(mask))
    alone = [np.asarray(ratio(log_ratios[i : i + 1], mask[i : i + 1])).reshape(-1) for i in rows]
    return np.concatenate(alone), np.asarray(ratio(log_ratios, mask))


# What stands under the mask: far from any log-ratio, so that a sum over it is seen.
HIDDEN = 99.0

RATIO = Suite(
    takes=("log_ratios", "mask"),
    # A sum of T terms, one of which may be HIDDEN times 0.
    slack=lambda precision, log_ratios, mask: (
        64 * precision * (HIDDEN + float(np.abs(log_ratios).sum(axis=1).max()))
    ),
    relations=(
        Relation(
            "sum over tokens",
            "log w of a sequence is the sum over its own tokens, one number a sequence",
            lambda ratio, log_ratios, mask: (
                np.asarray(ratio(log_ratios, mask)),
                (log_ratios * mask).sum(axis=1),
            ),
        ),
        Relation(
            "alone", "a sequence has the log w alone that it has in a batch: no broadcast", _alone
        ),
        Relation(
            "padding",
            "what the mask hides changes nothing",
            lambda ratio, log_ratios, mask: (
                np.asarray(ratio(np.where(mask > 0, log_ratios, HIDDEN), mask)),
                np.asarray(ratio(log_ratios, mask)),
            ),
        ),
    ),
)


def ratio_violations(ratio: Function, *, precision: float = DOUBLE) -> list[Violation]:
    """Return what a joiner of token log-ratios breaks: ratio(log_ratios, mask) -> log w.

    Both inputs have shape (B, T), the mask is 1 for a token and 0 for padding, and log w has shape
    (B,).
    """
    return violations(RATIO, ratio, sequences(), precision)
