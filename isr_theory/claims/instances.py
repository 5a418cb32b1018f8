"""What a model says of w = pi/mu, enclosed: for trying statements on instances of an assumption.

A moment is summed, integrated or, for the exponential and the Pareto law, a known integral; no
closed form of `isr_theory.formulas` is called.
"""

from __future__ import annotations

from typing import Any

import flint

from isr_theory.arithmetic import Ball
from isr_theory.claim import Witness
from isr_theory.engines import certified
from isr_theory.models import ExponentialRate, Finite, GaussianShift, ParetoTail


def moment(model: Any, t: Any) -> Any:
    """Enclose E_mu[w^t]; +inf where it is infinite. `t` is a ball.

    Outcomes to which mu gives nothing are not seen, as under mu they never occur.
    """
    if isinstance(model, Finite):
        rows = [(Ball.number(a), Ball.number(b)) for a, b in zip(model.mu, model.pi, strict=True)]
        return sum((a * Ball.power(b / a, t) for a, b in rows if not a.is_zero()), flint.arb(0))
    if isinstance(model, GaussianShift):
        sigma2 = Ball.number(model.sigma2)
        sigma = Ball.sqrt(sigma2)
        # |t sigma| rounded up bounds the growth of the integrand.
        growth = int(abs(t * sigma).upper().ceil().unique_fmpz() or 0) + 1
        mean = certified.gaussian_expectation(lambda z: (t * sigma * z).exp(), growth=growth)
        return mean * Ball.exp(-t * sigma2 / 2)
    if isinstance(model, ExponentialRate):
        slope = 1 - t * (1 - Ball.number(model.rate))
        return Ball.power(Ball.number(model.rate), t) / slope if slope > 0 else flint.arb("inf")
    if isinstance(model, ParetoTail):
        slope = 1 - t * Ball.number(model.k)
        return 1 / slope if slope > 0 else flint.arb("inf")
    raise TypeError(f"no moments are known for {model!r}")


def ess(model: Any, gamma: Any) -> Any:
    """Enclose the population ESS/n of w^gamma; 0 where the second moment is infinite."""
    second = moment(model, 2 * gamma)
    if not second.is_finite():
        return flint.arb(0)
    first = moment(model, gamma)
    return first * first / second


def log_variance(model: Any) -> Any:
    """Enclose Var_mu(log w), for laws with common support."""
    if isinstance(model, Finite):
        mu, pi, _ = model.numbers(Ball)
        level = [Ball.log(b / a) for a, b in zip(mu, pi, strict=True)]
        mean = sum(a * x for a, x in zip(mu, level, strict=True))
        return sum(a * (x - mean) * (x - mean) for a, x in zip(mu, level, strict=True))
    if isinstance(model, GaussianShift):
        return Ball.number(model.sigma2)
    if isinstance(model, ExponentialRate):
        return Ball.number((1 - model.rate) ** 2)
    if isinstance(model, ParetoTail):
        return Ball.number(model.k**2)
    raise TypeError(f"Var(log w) is not known for {model!r}")


def named(model: Any, **more: Any) -> Witness:
    """Name a model as a witness."""
    if isinstance(model, Finite):
        return Witness.at(mu=model.mu, pi=model.pi, reward=model.reward, **more)
    if isinstance(model, GaussianShift):
        return Witness.at(mu="N(0, I)", sigma2=model.sigma2, d=model.d, **more)
    if isinstance(model, ExponentialRate):
        return Witness.at(mu="Exp(1)", pi=f"Exp({model.rate})", **more)
    if isinstance(model, ParetoTail):
        return Witness.at(w="Pareto", k=model.k, **more)
    raise TypeError(f"{model!r} has no name")
