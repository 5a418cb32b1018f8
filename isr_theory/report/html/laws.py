"""The laws of the gamma explorer, as JavaScript that sympy prints from the library's formulas.

Every law is one of log w for one token, set by its variance sigma2 under mu; a response is T
independent tokens. All comes from K(t) = log E_mu[w^t] of one token:

    log ESS/n = T (2 K(gamma) - K(2 gamma)),  KL(mu || pi) = -T K'(0),  KL(pi || mu) = T K'(1)

so that no formula stands here that is written elsewhere, and none is written in JavaScript.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact
from isr_theory.claim import Text
from isr_theory.claims.x03_finite import first_order
from isr_theory.claims.x03_finite_plugin import chi2_tail
from isr_theory.claims.x04_5_activation import activation_kl
from isr_theory.models import exponential_moment

SIGMA2, LENGTH, GAMMA, RHO, ORDER = sympy.symbols("sigma2 T gamma rho t", positive=True)
SIZES = tuple(2**k for k in range(1, 13))
"""The batch sizes of the slider."""
RARE = sympy.Rational(1, 10)


@dataclass(frozen=True)
class Law:
    """One law: its name, E_mu[w^t] of a token in terms of sigma2, and the largest sigma2.

    `finite` is positive where the moment of order t is finite.
    """

    key: str
    title: Text
    moment: Any
    largest: float = 6.0
    finite: Any = 1


def _exponential(side: int) -> Any:
    """E_mu[w^t] between exponential laws: Var(log w) = (1 - rate)^2, the rate below 1 or above."""
    return exponential_moment(1 - side * sympy.sqrt(SIGMA2), ORDER, Exact)


def _two_outcomes(side: int) -> Any:
    """E_mu[w^t] on two outcomes: Var(log w) = p (1-p) gap^2, the gap between their log-ratios."""
    mu = [RARE, 1 - RARE]
    gap = side * sympy.sqrt(SIGMA2 / (mu[0] * mu[1]))
    pi = formulas.tilted(mu, [sympy.exp(gap), sympy.Integer(1)], Exact)
    return formulas.moment(mu, pi, ORDER, Exact)


def laws() -> tuple[Law, ...]:
    """Return the laws with closed forms, the normal one first."""
    heavy, light = _exponential(1), _exponential(-1)
    return (
        Law(
            "normal",
            Text("log w normal (Assumption 7.3)", "log w 正态（假设 7.3）"),
            formulas.lognormal_moment(SIGMA2, ORDER, Exact),
        ),
        Law(
            "heavy",
            Text("exponential, pi the wider: a heavy tail", "指数分布，π 更宽：重尾"),
            heavy,
            # The rate, 1 - sigma, has to stay above 0.
            largest=0.95,
            finite=sympy.denom(heavy),
        ),
        Law(
            "light",
            Text("exponential, pi the narrower", "指数分布，π 更窄"),
            light,
            finite=sympy.denom(light),
        ),
        Law(
            "up",
            Text("two outcomes, the rare one (1/10) likelier", "两点，稀有者（1/10）概率上升"),
            _two_outcomes(1),
        ),
        Law(
            "down",
            Text("two outcomes, the rare one (1/10) rarer", "两点，稀有者（1/10）概率下降"),
            _two_outcomes(-1),
        ),
    )


def cumulant(law: Law) -> Any:
    """K(t) = log E_mu[w^t] of one token."""
    return sympy.expand_log(sympy.log(law.moment), force=True)


def printed(law: Law) -> dict[str, str]:
    """Return the functions of one law in JavaScript, by name."""
    log_moment = cumulant(law)
    slope = sympy.diff(log_moment, ORDER)
    logs = sympy.symbols("k1:5", real=True)
    at = {k: log_moment.subs(ORDER, n * GAMMA) for n, k in enumerate(logs, 1)}
    moments = [sympy.exp(LENGTH * k) for k in logs]
    ess = sympy.expand_log(sympy.log(formulas.ess_from_moments(*moments[:2])), force=True)
    excess = sympy.powsimp(first_order(*moments))
    return {
        "finite": _function("t, sigma2", law.finite),
        "logEss": _function("gamma, sigma2, T", ess.subs(at)),
        "excess": _function("gamma, sigma2, T", excess.subs(at)),
        "kl": _function("sigma2, T", -LENGTH * slope.subs(ORDER, 0)),
        "klReverse": _function("sigma2, T", LENGTH * slope.subs(ORDER, 1)),
    }


def _function(arguments: str, expression: Any) -> str:
    return f"({arguments}) => {sympy.jscode(sympy.sympify(expression))}"


def coverage() -> dict[int, float]:
    """Return P(chi^2_{n-1} >= n-1) by n: how often a batch's own variance meets the target."""
    return {n: float(chi2_tail(n - 1, Ball.number(n - 1), Ball)) for n in SIZES}


@cache
def script() -> str:
    """Return the JavaScript that defines PRINTED: the rule, the laws and the coverage."""
    closed = formulas.gamma_lognormal(LENGTH * SIGMA2, RHO, Exact)
    lines = [
        "const PRINTED = {",
        f"gammaClosed: {_function('sigma2, T, rho', closed)},",
        f"activation: {_function('rho', activation_kl(RHO, Exact))},",
        f"coverage: {{{', '.join(f'{n}: {p!r}' for n, p in coverage().items())}}},",
        "laws: {",
    ]
    for law in laws():
        functions = ",\n".join(f"{name}: {code}" for name, code in printed(law).items())
        lines.append(f"{law.key}: {{largest: {law.largest!r},\n{functions}}},")
    return "\n".join([*lines, "}};"])
