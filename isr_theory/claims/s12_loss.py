"""Section 12.1, the trainer listing's loss: what a step of it follows.

    -grad loss = sum w^gamma r s / sum w^gamma,   s = grad log pi

It is the plain estimate of g_gamma times a positive number, n / sum w^gamma.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Real, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.batches import (
    LOG_PI,
    NUDGE,
    POWERED,
    REWARD,
    SCORE,
    SIZE,
    Batch,
    Column,
    Generic,
    Row,
    batch,
    column,
    detach,
    each,
    equal_for_every_batch,
    length,
    slope,
    trainer,
)
from isr_theory.claims.s08_3_algorithm import RHO
from isr_theory.claims.s12_listing import trainer_gamma
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural
from isr_theory.engines.answers import all_of
from isr_theory.models import fractions

GAMMA = sympy.Symbol("gamma", positive=True)
HALF = Fraction(1, 2)


def softmax(terms: Column, m: Arithmetic) -> Column:
    """e^term divided by their sum."""
    powers = each(m.exp, terms)
    return powers / powers.sum()


def trainer_loss(given: Batch, gamma: Number, m: Arithmetic) -> Number:
    """The loss at a given gamma: the listing on tensors, its arithmetic elsewhere."""
    if m is Tensor:
        # Bounds that leave one gamma only.
        made = trainer(given, gamma_min=float(gamma), gamma_max=float(gamma))
        return made.compute_loss(None, None, given.reward)[0]
    return weighted(given, detach(given.log_pi - given.log_mu) * gamma, m)


def weighted(given: Batch, log_weights: Column, m: Arithmetic) -> Number:
    """The sum -sum softmax(log_weights) r log pi; no reward is r = 1."""
    terms = softmax(log_weights, m) * given.log_pi
    return -(terms if given.reward is None else terms * given.reward).sum()


def trainer_step(given: Batch, rho_min: Number, m: Arithmetic) -> Number:
    """The loss at the trainer's own gamma: the listing on tensors, its arithmetic elsewhere."""
    if m is Tensor:
        return trainer(given, rho_min=float(rho_min)).compute_loss(None, None, given.reward)[0]
    log_w = detach(given.log_pi - given.log_mu)
    # The choice of gamma is not differentiated, so it needs no series.
    plain = Ball if m is Jet else m
    gamma = trainer_gamma(log_w, rho_min, plain.number(0), plain.number(1), plain)
    return trainer_loss(given, gamma, m)


def any_batch(reward: Generic | None) -> Batch:
    """A batch of any length whose policy moves along its score; w^gamma is x."""
    log_mu = Generic(LOG_PI - sympy.log(POWERED) / GAMMA)
    return Batch(Generic(LOG_PI + NUDGE * SCORE), log_mu, reward)


LOGITS, ALONG = fractions("3/10 -1/5 1/2"), fractions("1 0 -2")
MU = fractions("3/5 3/10 1/10")
ANSWERS = (0, 2, 1, 0, 2)
REWARDS = fractions("1 4 2 3 0")
SAMPLE = Scope("five answers of a softmax policy on three, gamma = 1/2")


def policy(z: Sequence[Any], m: Arithmetic) -> list[Any]:
    """Return log pi of the three answers."""
    log_total = m.log(sum(m.exp(a) for a in z))
    return [a - log_total for a in z]


def moved(step: Any, m: Arithmetic) -> list[Any]:
    """Return log pi once the logits have moved along the direction."""
    return policy([m.number(a) + step * m.number(b) for a, b in zip(LOGITS, ALONG, strict=True)], m)


def chosen(log_pi: Any, m: Arithmetic, answers: Sequence[int], reward: Any = None) -> Batch:
    """The batch of some answers, log pi given for each of the three."""
    log_mu = each(m.log, column([MU[y] for y in answers], m))
    rewards = None if reward is None else column(reward, m)
    if m is Tensor:
        return Batch(log_pi[list(answers)], log_mu, rewards)
    return Batch(Row(tuple(log_pi[y] for y in answers)), log_mu, rewards)


def along_in_balls(loss: Callable[[Batch], Any], answers: Sequence[int], reward: Any = None) -> Any:
    """The derivative of a loss along the direction, by truncated series."""
    return certified.derivatives(
        lambda t: loss(chosen(moved(t, Jet), Jet, answers, reward)), Ball.number(0), 1
    )[1]


def logit_gradient(loss: Callable[[Batch], Any], answers: Sequence[int], reward: Any = None) -> Any:
    """The gradient of a loss in the three logits, by automatic differentiation."""
    return neural.gradient(
        lambda z: loss(chosen(neural.torch().log_softmax(z, 0), Tensor, answers, reward)),
        neural.tensor(LOGITS),
    )


def _policy_in(m: Arithmetic) -> list[Any]:
    return [m.exp(a) for a in policy([m.number(z) for z in LOGITS], m)]


def estimate(m: Arithmetic, gamma: Any) -> list[Any]:
    """The expected vector sum w^gamma r (e_y - pi) / sum w^gamma, by enumeration."""
    pi = _policy_in(m)
    powered = [m.power(pi[y] / m.number(MU[y]), gamma) for y in ANSWERS]
    pulls = [w * m.number(r) for w, r in zip(powered, REWARDS, strict=True)]
    total, pull = sum(powered), sum(pulls)
    at_arm = [sum(p for p, y in zip(pulls, ANSWERS, strict=True) if y == k) for k in range(3)]
    return [(at_arm[k] - pull * pi[k]) / total for k in range(3)]


def _sample_at(gamma: Any) -> Witness:
    return Witness.at(mu=MU, logits=LOGITS, answers=ANSWERS, reward=REWARDS, gamma=gamma)


FINITE = Assumption(
    "finite_log_ratios",
    Text("Every log-ratio of the batch is finite.", "批中每个对数比均有限。"),
    lambda log_w: all(map(math.isfinite, log_w)),
    examples=((0.5, -1.0), (3.0,)),
    violations=((0.0, -math.inf), (math.nan,)),
    draw=lambda rng: tuple(float(x) / 4 for x in rng.integers(-12, 12, 4)),
)
LOSS = Draft(
    "LST12.1.loss",
    section="12.1",
    kind=Kind.ALGORITHM,
    title=Text("What a step on the listing's loss follows", "训练器损失的下降方向"),
    finding=Text(
        "Minus its gradient is the self-normalised estimate of g_γ/E[w^γ]: the plain estimate of"
        " g_γ times the positive number n/Σw^γ.",
        "损失的负梯度是 g_γ/E[w^γ] 的自归一化估计，即 g_γ 的普通估计乘以正数 n/Σw^γ。",
    ),
    statement=r"-\nabla\mathrm{loss} ="
    r" \frac{\sum_i w_i^\gamma r_i\nabla\log\pi_i}{\sum_i w_i^\gamma}",
    subject=trainer_loss,
    expect=Verdict.VERIFIED,
    assumes=(FINITE,),
    uses=("D4.1", "LST12.1.ess"),
    reading="at whatever gamma the step uses; gamma and the weights carry no gradient",
)


@LOSS.symbolic(
    Scope(
        "every batch and direction, by the sums of x s, x r s and x; of the listing, the arithmetic"
        " restated",
        whole=True,
    )
)
def _(loss: Any) -> Answer:
    """The derivative along a score, with and without rewards, and the plain estimate's factor."""
    total = Generic(POWERED).sum()
    rewarded = Generic(POWERED * REWARD * SCORE).sum()
    plain = rewarded / SIZE
    down = -slope(loss(any_batch(Generic(REWARD)), GAMMA, Exact))
    unrewarded = -slope(loss(any_batch(None), GAMMA, Exact))
    at_zero = -slope(loss(any_batch(Generic(REWARD)), sympy.S.Zero, Exact))
    return all_of(
        [
            equal_for_every_batch(down, rewarded / total),
            equal_for_every_batch(down, plain * SIZE / total),
            equal_for_every_batch(unrewarded, Generic(POWERED * SCORE).sum() / total),
            equal_for_every_batch(at_zero, Generic(REWARD * SCORE).sum() / SIZE),
        ]
    )


@LOSS.certified(SAMPLE)
def _(loss: Any) -> Answer:
    """A truncated series along one direction against enumeration."""
    gamma = Ball.number(HALF)
    down = -along_in_balls(lambda given: loss(given, gamma, Jet), ANSWERS, REWARDS)
    expected = zip(estimate(Ball, gamma), ALONG, strict=True)
    along = sum(g * Ball.number(v) for g, v in expected)
    return certified.agree([down], [along], witnesses=[_sample_at(HALF)])


@LOSS.neural(SAMPLE)
def _(loss: Any) -> Answer:
    """Automatic differentiation through the listing against enumeration."""
    down = -logit_gradient(lambda given: loss(given, 0.5, Tensor), ANSWERS, REWARDS)
    return neural.close(down, estimate(Real, 0.5), witness=_sample_at(HALF))


@LOSS.neural(Scope("the same answers, at the values of the loss itself"))
def _(loss: Any) -> Answer:
    """The listing's value against its restatement in plain floats, with and without rewards."""
    answers = []
    for reward in (None, REWARDS):
        values = [float(loss(chosen(log_pi, m, ANSWERS, reward), 0.5, m)) for log_pi, m in _both()]
        expected = [_loss_value(reward)] * 2
        answers.append(neural.close(values, expected, witness=_sample_at(HALF)))
    return all_of(answers)


def _both() -> list[tuple[Any, Arithmetic]]:
    logs = [float(value) for value in moved(0, Real)]
    return [(neural.tensor(logs), Tensor), (logs, Real)]


def _loss_value(reward: Sequence[Fraction] | None) -> float:
    pi = _policy_in(Real)
    powered = [(pi[y] / float(MU[y])) ** 0.5 for y in ANSWERS]
    rewards = [float(r) for r in reward] if reward else [1.0] * len(ANSWERS)
    logs = [Real.log(pi[y]) for y in ANSWERS]
    products = (w * r * log_p for w, r, log_p in zip(powered, rewards, logs, strict=True))
    return float(-sum(products) / sum(powered))


LOSS.meaningless_without(
    FINITE,
    "where pi is 0 there is no grad log pi, and where mu is 0 the weight is infinite, so that the "
    "ratio is infinity divided by infinity",
)


@LOSS.wrong("weights not detached")
def _(given: Batch, gamma: Any, m: Any) -> Any:
    return weighted(given, (given.log_pi - given.log_mu) * gamma, m)


@LOSS.wrong("the sign of the loss")
def _(given: Batch, gamma: Any, m: Any) -> Any:
    return -trainer_loss(given, gamma, m)


@LOSS.wrong("gamma dropped")
def _(given: Batch, gamma: Any, m: Any) -> Any:
    return weighted(given, detach(given.log_pi - given.log_mu), m)


@LOSS.wrong("mean for sum")
def _(given: Batch, gamma: Any, m: Any) -> Any:
    return trainer_loss(given, gamma, m) / length(given.log_pi)


@LOSS.wrong("rewards inside the softmax")
def _(given: Batch, gamma: Any, m: Any) -> Any:
    log_weights = detach(given.log_pi - given.log_mu) * gamma
    if given.reward is not None:
        log_weights = log_weights + given.reward
    return weighted(Batch(given.log_pi, given.log_mu), log_weights, m)


def _reference(reward: str) -> str:
    rewards = fractions(reward) if reward else None
    given = batch(fractions("-1 -2 -1/2 -3"), fractions("-3/2 -1 -2 -5/2"), Ball, reward=rewards)
    return certified.digits(trainer_step(given, Ball.number(RHO), Ball))


@LOSS.number("loss at log pi = (-1, -2, -1/2, -3), log mu = (-3/2, -1, -2, -5/2), rho_min = 3/10")
def _() -> str:
    return _reference("")


@LOSS.number("the same with r = (1, 0, 2, 1)")
def _() -> str:
    return _reference("1 0 2 1")


CLAIMS = frozen(LOSS)
