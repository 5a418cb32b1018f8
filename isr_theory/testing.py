"""Is your ESS right, and your choice of gamma? Relations that anybody's must keep.

For code that computes an effective sample size of flattened weights, solves for a gamma (or a
temperature), measures a KL, makes importance weights or joins token ratios to sequence ratios. A
metamorphic relation ties two answers together where neither is known: shift the log-weights and the
ESS stays. A sign error, a log taken for a linear number or an early exit breaks one of them.

    >>> from isr_theory import ess_ratio, testing
    >>> testing.ess_violations(ess_ratio)
    []
    >>> upside_down = lambda log_w, gamma: 1 / ess_ratio(log_w, gamma)
    >>> print(testing.ess_violations(upside_down, [[0.0, 1.0]])[0])  # doctest: +ELLIPSIS
    definition: ESS/n is (sum w^gamma)^2 / (n sum w^(2 gamma)); 1.0038... == 0.9961... fails
    at log_w = [0. 1.], gamma = 0.125

There is one such function for each kind: `ess_violations`, `gamma_violations`, `kl_violations`,
`estimator_violations`, `weights_violations`, `ratio_violations`. Each returns, for every relation
that your function breaks, the first input that shows it. The built-in inputs are asymmetric on
purpose: on symmetric ones a sign error cannot be seen. To drive the relations with inputs of your
own, from Hypothesis say, pass the suites `ESS`, `GAMMA`, `KL`, `WEIGHTS` and `RATIO` to
`violations`, or one of their relations to `check`.

Answers are compared within a slack that is derived from the input and from `precision`, the
relative rounding of your arithmetic: for float32 pass `precision=testing.SINGLE`. Needs numpy; the
weights need torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Function = Callable[..., Any]
Inputs = tuple[Any, ...]
Sides = tuple[Any, Any]

DOUBLE = 2.0**-53
SINGLE = 2.0**-24


def equal(left: Any, right: Any, slack: float) -> bool:
    """Return whether two answers have one shape and differ nowhere by more than the slack."""
    if np.shape(left) != np.shape(right):
        return False
    # -inf is close to itself, which their difference, a NaN, would hide; a NaN is close to nothing.
    same = np.equal(left, right)
    with np.errstate(invalid="ignore"):
        close = np.abs(np.subtract(left, right, dtype=np.float64)) <= slack
    return bool(np.all(same | close))


def at_most(left: Any, right: Any, slack: float) -> bool:
    """Return whether the left answer is nowhere above the right one by more than the slack."""
    return bool(np.all(np.asarray(left) <= np.asarray(right) + slack))


@dataclass(frozen=True)
class Relation:
    """Two sides that belong together, each made of a function's answers on one input.

    `sides` takes the function and its inputs; `holds` takes the sides and a slack.
    """

    name: str
    says: str
    sides: Callable[..., Sides]
    holds: Callable[[Any, Any, float], bool] = equal


@dataclass(frozen=True)
class Suite:
    """The relations of one kind of function, and how far rounding may carry their sides apart.

    `takes` names the function's inputs, and `slack` takes a precision and those inputs.
    """

    takes: tuple[str, ...]
    relations: tuple[Relation, ...]
    slack: Callable[..., float]
    precision: float = DOUBLE


@dataclass(frozen=True, eq=False)
class Violation:
    """A relation that a function broke, the input that shows it and both sides; or what it raised.

    `inputs` maps the names of the function's inputs to their values.
    """

    relation: Relation
    inputs: dict[str, Any]
    left: Any = None
    right: Any = None
    raised: Exception | None = None

    def __str__(self) -> str:
        where = ", ".join(f"{name} = {_shown(value)}" for name, value in self.inputs.items())
        sign = "<=" if self.relation.holds is at_most else "=="
        what = (
            f"{_shown(self.left)} {sign} {_shown(self.right)} fails"
            if self.raised is None
            else f"raised {type(self.raised).__name__}: {self.raised}"
        )
        return f"{self.relation.name}: {self.relation.says}; {what}\nat {where}"

    __repr__ = __str__


def _shown(value: Any) -> str:
    # All digits of a single number; the ends of a long array.
    return str(value) if np.ndim(value) == 0 else np.array2string(np.asarray(value), threshold=12)


def check(
    suite: Suite,
    relation: Relation,
    function: Function,
    inputs: Inputs,
    precision: float | None = None,
) -> Violation | None:
    """Return how a function breaks one relation of a suite on one input, or None.

    An exception is a violation too, and so is an answer that is no number. The function gets
    copies.
    """
    given = tuple(np.array(x) if isinstance(x, np.ndarray) else x for x in inputs)
    named = dict(zip(suite.takes, inputs, strict=True))
    slack = suite.slack(suite.precision if precision is None else precision, *inputs)
    try:
        left, right = relation.sides(function, *given)
        holds = relation.holds(left, right, slack)
    except Exception as error:
        return Violation(relation, named, raised=error)
    return None if holds else Violation(relation, named, left, right)


def violations(
    suite: Suite, function: Function, inputs: Iterable[Inputs], precision: float | None = None
) -> list[Violation]:
    """Return, for every relation of a suite that a function breaks, its first violation."""
    cases = list(inputs)
    found = []
    for relation in suite.relations:
        for case in cases:
            violation = check(suite, relation, function, case, precision)
            if violation is not None:
                found.append(violation)
                break
    return found


def _refused(left: Any, right: Any, slack: float) -> bool:
    return bool(np.isnan(left))


def _on_nan(function: Function, log_w: Array, number: float) -> Sides:
    """Return what a function makes of a NaN among the log-weights; NaN also where it raises."""
    try:
        answer = function(np.append(log_w, np.nan), number)
    except Exception:
        answer = np.nan
    return answer, np.nan


def _after(function: Function, log_w: Array, number: float) -> Sides:
    given = log_w.copy()
    function(given, number)
    return given, log_w


def log_weights() -> list[Array]:
    """Return asymmetric log-weights: skewed both ways, tiny, huge, with zeros, one, equal."""
    rng = np.random.default_rng(20260109)
    skewed = rng.exponential(1.5, 40)
    return [
        np.array([0.5, -1.0, 1.5, -0.5, 2.75]),
        skewed,
        -skewed,
        2 * rng.standard_normal(64) - 2,
        np.array([-np.inf, 0.0, 1.0, -np.inf, 3.0]),
        np.array([9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        np.array([1e4, 9.99e3, -1e4, 0.0]),
        np.array([5e-310, 0.0, -1e-12]),
        np.array([3.0]),
        np.full(7, -2.5),
    ]


GAMMAS = (0.0, 0.125, 0.5, 1.0)
TARGETS = (0.1, 0.3, 0.8, 0.99)
# Added to log-weights. A shift that no sum of theirs hides; a lead e^100 to 1, so that what the
# others still have in the ESS is far below the rounding of any arithmetic.
SHIFT, LEAD = 7.25, 100.0


def defined_ess(log_w: Array, gamma: float) -> float:
    """Return ESS/n from its definition, (sum w^gamma)^2 / (n sum w^(2 gamma)), largest weight 1."""
    positive = np.isfinite(log_w)
    # A solver under test may come here with a gamma far below 0: infinities, then a NaN, are right.
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.exp(gamma * (log_w[positive] - log_w[positive].max()))
        return float(powers.sum() ** 2 / (len(log_w) * (powers * powers).sum()))


def positive_share(log_w: Array) -> float:
    """Return the share of weights above 0: ESS/n at gamma = 0, which no gamma exceeds."""
    return float(np.isfinite(log_w).mean())


def ess_slack(precision: float, log_w: Array, gamma: float = 1.0) -> float:
    """Return how far rounding may carry an ESS/n.

    Moving every log-weight by d moves log ESS by at most 4 gamma d. Rounding moves it by precision
    times its size, once each for reading, shifting and multiplying it and for what a log-sum-exp
    subtracts and adds back; a sum of n terms adds n roundings. All of it, on both sides of a
    relation, is less than 64 roundings of size + n, the size counted after the largest shift.
    """
    size = LEAD + float(np.abs(log_w[np.isfinite(log_w)]).max())
    return 64 * precision * (size + len(log_w))


def _along_gamma(ess: Function, log_w: Array, gamma: float) -> Sides:
    values = np.array([ess(log_w, gamma * step / 4) for step in range(5)])
    return values[1:], values[:-1]


ESS = Suite(
    takes=("log_w", "gamma"),
    slack=ess_slack,
    relations=(
        Relation(
            "definition",
            "ESS/n is (sum w^gamma)^2 / (n sum w^(2 gamma))",
            lambda ess, log_w, gamma: (ess(log_w, gamma), defined_ess(log_w, gamma)),
        ),
        Relation(
            "floor",
            "ESS/n is at least 1/n",
            lambda ess, log_w, gamma: (1 / len(log_w), ess(log_w, gamma)),
            at_most,
        ),
        Relation(
            "ceiling",
            "ESS/n is at most 1",
            lambda ess, log_w, gamma: (ess(log_w, gamma), 1.0),
            at_most,
        ),
        Relation(
            "equal weights",
            "equal weights have all of the sample",
            lambda ess, log_w, gamma: (ess(np.full_like(log_w, log_w.max()), gamma), 1.0),
        ),
        Relation(
            "one positive weight",
            "one positive weight among n has 1/n",
            lambda ess, log_w, gamma: (
                ess(np.append(np.full(len(log_w) - 1, -np.inf), log_w.max()), gamma),
                1 / len(log_w),
            ),
        ),
        Relation(
            "share at zero",
            "at gamma = 0 it is the share of positive weights: w^0 is 1 for w > 0 and 0 for w = 0",
            lambda ess, log_w, gamma: (ess(log_w, 0.0), positive_share(log_w)),
        ),
        Relation("falls in gamma", "it never rises with gamma", _along_gamma, at_most),
        Relation(
            "shift",
            "a factor common to all weights changes nothing",
            lambda ess, log_w, gamma: (ess(log_w + SHIFT, gamma), ess(log_w, gamma)),
        ),
        Relation(
            "order",
            "the order of the sample changes nothing",
            lambda ess, log_w, gamma: (ess(log_w[::-1].copy(), gamma), ess(log_w, gamma)),
        ),
        Relation(
            "copies",
            "the sample taken three times has the same ESS/n",
            lambda ess, log_w, gamma: (ess(np.tile(log_w, 3), gamma), ess(log_w, gamma)),
        ),
        Relation(
            "flattening",
            "flattening composes: ess(c log_w, gamma) = ess(log_w, c gamma)",
            lambda ess, log_w, gamma: (ess(0.75 * log_w, gamma), ess(log_w, 0.75 * gamma)),
        ),
        Relation(
            "zero weight",
            "one more weight of 0 adds to n and to nothing else",
            lambda ess, log_w, gamma: (
                ess(np.append(log_w, -np.inf), gamma),
                ess(log_w, gamma) * len(log_w) / (len(log_w) + 1),
            ),
        ),
        Relation(
            "sign",
            "at gamma = 1 one weight far above all others takes the sample",
            lambda ess, log_w, gamma: (
                ess(np.append(log_w, log_w.max() + LEAD), 1.0),
                1 / (len(log_w) + 1),
            ),
        ),
        Relation("NaN", "a NaN among the log-weights is not passed over", _on_nan, _refused),
        Relation("input", "the caller's array stays as it was", _after),
    ),
)


def ess_violations(
    ess: Function, batches: Iterable[ArrayLike] | None = None, *, precision: float = DOUBLE
) -> list[Violation]:
    """Return what an ESS function breaks: ess(log_w, gamma) -> ESS/n.

    `log_w` is one axis of float64, -inf for a weight of 0; gamma is in [0, 1].
    """
    inputs = [(log_w, gamma) for log_w in _rows(batches) for gamma in GAMMAS]
    return violations(ESS, ess, inputs, precision)


def _rows(batches: Iterable[ArrayLike] | None) -> list[Array]:
    if batches is None:
        return log_weights()
    return [np.array(row, dtype=np.float64) for row in batches]


def gamma_slack(precision: float, log_w: Array, rho_min: float) -> float:
    """Return how far ESS/n may be off where gamma has a relative error of at most `precision`.

    With x = gamma (max log w - log w), d log ESS / d log gamma is 2 (E_2gamma[x] - E_gamma[x]), and
    each mean of x is an entropy minus log sum exp(-x), so it is in [0, log n]: |slope| <= 2 log n,
    and a relation compares two gammas. Gamma itself, where it is 1, is off by one `precision`.
    """
    return precision * (1 + 4 * float(np.log(len(log_w)))) + ess_slack(DOUBLE, log_w)


# Where ESS/n hardly depends on gamma, gammas far apart are equally right, so relations compare the
# ESS/n that they reach on one and the same sample.
GAMMA = Suite(
    takes=("log_w", "rho_min"),
    slack=gamma_slack,
    # A root finder's own tolerance; the gammas of an exit on a rounded ESS are off by 1e-2.
    precision=1e-6,
    relations=(
        Relation(
            "range",
            "gamma is in [0, 1]",
            lambda solve, log_w, rho: (solve(log_w, rho), np.clip(solve(log_w, rho), 0.0, 1.0)),
        ),
        Relation(
            "meets the target",
            "ESS/n at gamma is at least rho_min",
            lambda solve, log_w, rho: (rho, defined_ess(log_w, solve(log_w, rho))),
            at_most,
        ),
        Relation(
            "spends the target",
            "no larger gamma meets it: ESS/n at gamma is at most rho_min, or that at 1 if larger",
            lambda solve, log_w, rho: (
                defined_ess(log_w, solve(log_w, rho)),
                max(rho, defined_ess(log_w, 1.0)),
            ),
            at_most,
        ),
        Relation(
            "falls in the target",
            "a lower target never lowers gamma",
            lambda solve, log_w, rho: (
                defined_ess(log_w, solve(log_w, rho / 2)),
                defined_ess(log_w, solve(log_w, rho)),
            ),
            at_most,
        ),
        Relation(
            "scale",
            "twice the log-weights have half the gamma, before the cap at 1",
            lambda solve, log_w, rho: (
                defined_ess(log_w, min(1.0, 2 * solve(2 * log_w, rho))),
                defined_ess(log_w, solve(log_w, rho)),
            ),
        ),
        Relation(
            "equal weights",
            "equal weights keep gamma at 1",
            lambda solve, log_w, rho: (solve(np.full_like(log_w, log_w.max()), rho), 1.0),
        ),
        Relation(
            "shift",
            "a factor common to all weights changes nothing",
            lambda solve, log_w, rho: (
                defined_ess(log_w, solve(log_w + SHIFT, rho)),
                defined_ess(log_w, solve(log_w, rho)),
            ),
        ),
        Relation(
            "order and copies",
            "the sample reversed and taken twice has the same gamma",
            lambda solve, log_w, rho: (
                defined_ess(log_w, solve(np.tile(log_w[::-1], 2), rho)),
                defined_ess(log_w, solve(log_w, rho)),
            ),
        ),
        Relation(
            "zero weight",
            "with one more weight of 0 the target n / (n + 1) rho_min has the same gamma",
            lambda solve, log_w, rho: (
                defined_ess(
                    log_w, solve(np.append(log_w, -np.inf), rho * len(log_w) / (len(log_w) + 1))
                ),
                defined_ess(log_w, solve(log_w, rho)),
            ),
        ),
        Relation("NaN", "a NaN among the log-weights is not passed over", _on_nan, _refused),
        Relation("input", "the caller's array stays as it was", _after),
    ),
)


def gamma_violations(
    solve: Function,
    batches: Iterable[ArrayLike] | None = None,
    *,
    precision: float = GAMMA.precision,
) -> list[Violation]:
    """Return what a solver breaks: solve(log_w, rho_min) -> the largest gamma in [0, 1] that fits.

    It fits where ESS/n >= rho_min. Asked only where some gamma does: the share of positive weights
    is at least rho_min. `precision` is the relative error that gamma may have.
    """
    inputs = [
        (log_w, rho_min)
        for log_w in _rows(batches)
        for rho_min in TARGETS
        if positive_share(log_w) >= rho_min
    ]
    return violations(GAMMA, solve, inputs, precision)


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
