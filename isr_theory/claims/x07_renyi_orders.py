"""Past section 6: the orders of Renyi divergence that have names, and its closed forms.

At orders 0, 1/2, 1, 2 and infinity D is a function of the share of mu that pi covers, of
Bhattacharyya's coefficient, of KL, of chi squared and of the largest weight. Of normal laws it is
in closed form, and where the weights are log-normal all of these are functions of sigma2.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.general_law import LEVEL, U, total
from isr_theory.claims.s06_1_1_renyi import at, divergence_between, summed_moment
from isr_theory.claims.s06_3_1_at_one import Q, T, common_ends
from isr_theory.claims.x07_renyi import SOURCE, logs_apart
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import LOST_SUPPORT, RARE_ARM, THREE_ARMS, Finite

A, C, P, M, SHARE, LARGEST = sympy.symbols("a c p M S L", positive=True)


class NamedOrders(NamedTuple):
    """D_alpha at five orders, each from a quantity that has a name, over an arithmetic."""

    zero: Any
    half: Any
    one: Any
    two: Any
    infinite: Any


NAMED = NamedOrders(
    zero=lambda share, m: -m.log(share),
    half=lambda coefficient, m: -2 * m.log(coefficient),
    one=lambda kl, m: kl,
    two=lambda chi2, m: m.log(1 + chi2),
    infinite=lambda largest, m: m.log(largest),
)

LIMITS = Draft(
    "REN.limits",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("The orders that have names", "特殊阶的 Rényi 散度"),
    finding=Text(
        "True: one scale runs from the covered share of mu over Bhattacharyya, KL and chi squared "
        "to the largest weight.",
        "成立：同一标度依次给出 μ 被覆盖的份额、Bhattacharyya 系数、KL、χ² 与最大权重。",
    ),
    statement=r"D_0 = -\log\mu(\pi > 0),\quad D_{1/2} = -2\log\textstyle\sum\sqrt{\mu\pi},\quad"
    r" D_1 = D_{KL}(\pi\|\mu),\quad D_2 = \log(1 + \chi^2(\pi\|\mu)),\quad"
    r" D_\infty = \log\operatorname{ess\,sup} w",
    subject=NAMED,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("D6.1", "C6.4.a"),
    sharpens=("D6.1", "C6.4.a", "REM6.1"),
    source=SOURCE,
    reading="chi squared is E_mu[(w - 1)^2]; D_0, D_1 and D_infinity are limits of the order, D_1 "
    "from the left where no moment above order 1 is finite",
)


@LIMITS.symbolic(Scope("every pi << mu: outcome by outcome, and limits of means", whole=True))
def _(named: Any) -> Answer:
    """Integrands at 1/2 and 2; the limits of w^c, of log(1 + t Q)/t, and between two levels."""
    half = sympy.Rational(1, 2)
    square = total(sympy.exp(U) * (sympy.exp(LEVEL) - 1) ** 2)
    second = total(sympy.exp(U + 2 * LEVEL))
    # D of order 1 + c is log E_pi[w^c]/c: at most log of the largest w, and for any level below
    # it at least log(S level^c)/c, where S > 0 is the mass that pi gives to weights above it.
    powered = formulas.moment([A], [P], 1 + C, Exact)
    lower = (sympy.log(SHARE) + C * sympy.log(LARGEST)) / C
    return all_of(
        [
            symbolic.equal(formulas.moment([A], [P], half, Exact), sympy.sqrt(A * P)),
            symbolic.equal(formulas.renyi(M, half, Exact), named.half(M, Exact)),
            symbolic.equal(square, second - 1),
            symbolic.equal(formulas.renyi(1 + M, sympy.Integer(2), Exact), named.two(M, Exact)),
            symbolic.equal(sympy.limit(A**C, C, 0, "+"), 1),
            symbolic.equal(formulas.renyi(SHARE, sympy.S.Zero, Exact), named.zero(SHARE, Exact)),
            symbolic.equal(sympy.limit(sympy.log(1 + T * Q) / T, T, 0), named.one(Q, Exact)),
            symbolic.equal(powered, P * (P / A) ** C),
            symbolic.equal(
                formulas.renyi(SHARE * LARGEST**C, 1 + C, Exact), lower, reduce=logs_apart
            ),
            symbolic.equal(sympy.limit(lower, C, sympy.oo), named.infinite(LARGEST, Exact)),
        ]
    )


@LIMITS.certified(Scope("two laws, orders near 0 and 1 and of 2^60; one that misses an outcome"))
def _(named: Any) -> Answer:
    """D from two KLs at 1/2 and 2; the others from orders within 2^-60 of theirs."""
    answers, tiny = [], Fraction(1, 2**60)
    bound = Ball.number(Fraction(1, 2**50))
    for law in (THREE_ARMS, RARE_ARM, LOST_SUPPORT):
        mu, pi = common_ends(law, Ball)
        rows = list(zip(mu, pi, strict=True))
        near = [(tiny, named.zero(sum(mu), Ball)), (1 / tiny, named.infinite(_largest(rows), Ball))]
        if law is not LOST_SUPPORT:
            gaps = [Ball.sqrt(a) - Ball.sqrt(p) for a, p in rows]
            hellinger = sum((x * x for x in gaps), flint.arb(0)) / 2
            chi2 = sum(a * (p / a - 1) * (p / a - 1) for a, p in rows)
            answers.append(
                certified.agree(
                    [named.half(1 - hellinger, Ball), named.two(chi2, Ball)],
                    [divergence_between(law, Fraction(x), Ball) for x in ("1/2", "2")],
                    witnesses=[at(law, Fraction(x)) for x in ("1/2", "2")],
                )
            )
            kl = sum(p * Ball.log(p / a) for a, p in rows)
            near += [(1 - tiny, named.one(kl, Ball)), (1 + tiny, named.one(kl, Ball))]
        for order, limit in near:
            alpha = Ball.number(order)
            found = formulas.renyi(summed_moment(law, alpha, Ball), alpha, Ball)
            answers.append(
                certified.compare(abs(found - limit), "<", bound, witness=at(law, order))
            )
    return all_of(answers)


def _largest(rows: list[Any]) -> Any:
    return -min((-p / a for a, p in rows), key=lambda x: float(x.mid()))


@LIMITS.without(PI_IN_MU)
def _(named: Any, law: Finite) -> Answer:
    # Order 2. E_mu does not see mass that mu has not, and E_mu[w] is below 1.
    rows = [(a, p / a) for a, p in zip(law.mu, law.pi, strict=True) if a > 0]
    chi2 = sum((a * (w - 1) ** 2 for a, w in rows), Fraction(0))
    second = sum((a * w * w for a, w in rows), Fraction(0))
    stated = named.two(Exact.number(chi2), Exact)
    return symbolic.compare(
        formulas.renyi(Exact.number(second), sympy.Integer(2), Exact),
        "==",
        stated,
        witness=at(law, 2),
    )


LIMITS.wrong_value("half without its factor", NAMED._replace(half=lambda b, m: -m.log(b)))
LIMITS.wrong_value("two as log chi squared", NAMED._replace(two=lambda chi2, m: m.log(chi2)))
LIMITS.wrong_value("zero as the missed share", NAMED._replace(zero=lambda share, m: 1 - share))
LIMITS.wrong_value("infinity without a logarithm", NAMED._replace(infinite=lambda w, m: w))
LIMITS.wrong_value("half of KL at order 1", NAMED._replace(one=lambda kl, m: kl / 2))


def normal_divergence(mean: Number, v: Number, alpha: Number, m: Arithmetic) -> Number:
    """D_alpha(N(mean, v) || N(0, 1)), infinite where s = (1 - alpha) v + alpha is not positive.

    alpha mean^2 / (2 s) + log(s) / (2 (1 - alpha)) - log(v) / 2.
    """
    s = (1 - alpha) * v + alpha
    return alpha * mean * mean / (2 * s) + m.log(s) / (2 * (1 - alpha)) - m.log(v) / 2


NORMAL = Draft(
    "REN.gaussian",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("Renyi divergence of normal laws", "正态分布间的 Rényi 散度"),
    finding=Text(
        "In closed form; a shift alone gives alpha mean^2/2 at every order, while a policy wider "
        "than mu has D infinite from the order v/(v - 1) on.",
        "有闭式；仅平移时任意阶均为 α·mean²/2，而 π 比 μ 更宽时自阶 v/(v−1) 起 D 无穷。",
    ),
    statement=r"D_\alpha(\mathcal{N}(m, v)\|\mathcal{N}(0, 1)) = \frac{\alpha m^2}{2 s}"
    r" + \frac{\log s}{2(1-\alpha)} - \frac{\log v}{2},\quad s = (1-\alpha) v + \alpha > 0;"
    r"\quad \infty\ \text{if}\ s \le 0",
    subject=normal_divergence,
    expect=Verdict.VERIFIED,
    uses=("D6.1",),
    sharpens=("T7.4", "A7.3", "T8.3.b.fix"),
    source=f"{SOURCE}, and Gil, Alajaji and Linder 2013",
    reading="alpha > 0 but 1, where it is KL as a limit; an affine change of y changes no ratio, "
    "so any two normal laws are meant: m = (m1 - m0)/sd0, v = v1/v0",
)
V, ALPHA, S = sympy.symbols("v alpha s", positive=True)
MEAN = sympy.Symbol("m", real=True)
MIXED = (1 - ALPHA) * V + ALPHA
"""What s stands for."""


@cache
def normal_moment() -> tuple[tuple[Answer, ...], Any]:
    """E[w^alpha] by integration, finite for s > 0 alone; its exponent is that of the densities."""
    y = sympy.symbols("y", real=True)
    exponent = -(1 - ALPHA) * y**2 / 2 - ALPHA * (y - MEAN) ** 2 / (2 * V)
    centre = ALPHA * MEAN / S
    peak = ALPHA**2 * MEAN**2 / (2 * V * S) - ALPHA * MEAN**2 / (2 * V)
    square = peak - S / V * (y - centre) ** 2 / 2
    # A bell curve about the centre where s > 0, and for s <= 0 it does not fall on both sides.
    integral = sympy.integrate(sympy.exp(-S / V * y**2 / 2), (y, -sympy.oo, sympy.oo))
    moment = integral * sympy.exp(peak) / sympy.sqrt(2 * sympy.pi) * V ** (-ALPHA / 2)
    same = symbolic.equal(exponent, square.subs(S, MIXED), reduce=sympy.factor)
    return (same,), moment


@NORMAL.symbolic(Scope("every mean, variance and order: the integral of the densities", whole=True))
def _(divergence: Any) -> Answer:
    """mu^(1-alpha) pi^alpha is the exponential of a quadratic, which is integrated."""
    same, moment = normal_moment()
    found = sympy.expand_log(formulas.renyi(moment, ALPHA, Exact), force=True).subs(S, MIXED)
    stated = divergence(MEAN, V, ALPHA, Exact)
    return all_of([*same, symbolic.equal(found, stated, reduce=sympy.factor)])


NORMALS = [tuple(map(Fraction, x.split())) for x in ("1 2 1/2", "1/2 1/2 3", "-2 4 1/4", "3/2 1 2")]


@cache
def enclosed_normal_moment(mean: Fraction, v: Fraction, alpha: Fraction) -> Any:
    """E[w^alpha] by rigorous quadrature of mu^(1-alpha) pi^alpha.

    The exponent is -g (y - y0)^2/2 + its largest value, which is at most 0 here for alpha < 1 and
    e^c otherwise; beyond R = 60, the rest is at most 2 e^c e^(-g (R-|y0|)^2/2)/(g (R-|y0|)).
    """
    m, var, a, edge = (Ball.number(x) for x in (mean, v, alpha, 60))

    def density(y: Any) -> Any:
        return (-(1 - a) * y * y / 2 - a * (y - m) * (y - m) / (2 * var)).exp()

    inner = flint.acb.integral(lambda y, _: density(y), flint.acb(-edge), flint.acb(edge)).real
    g = (1 - a) + a / var
    centre = a * m / var / g
    far = edge - abs(centre)
    rest = 2 * density(centre) * Ball.exp(-g * far * far / 2) / (g * far)
    scale = Ball.sqrt(2 * flint.arb.pi()) * Ball.power(var, a / 2)
    return (inner + flint.arb(0, rest.upper())) / scale


@NORMAL.certified(Scope("four pairs of normal laws at four orders"))
def _(divergence: Any) -> Answer:
    """The log of E[w^alpha] over alpha - 1, the moment by rigorous quadrature of densities."""
    found = [
        formulas.renyi(enclosed_normal_moment(*case), Ball.number(case[2]), Ball)
        for case in NORMALS
    ]
    stated = [divergence(*map(Ball.number, case), Ball) for case in NORMALS]
    witnesses = [Witness.at(mean=m, v=v, alpha=a) for m, v, a in NORMALS]
    return certified.agree(found, stated, witnesses=witnesses)


@NORMAL.neural(Scope("orders 1/2 and 3"))
def _(divergence: Any) -> Answer:
    """At equal laws: no slope, and alpha times the Fisher information, 1 and 1/2, as Hessian."""
    answers, here = [], neural.tensor([0, 1])
    for alpha in (Fraction(1, 2), Fraction(3)):

        def value(x: Any, alpha: float = float(alpha)) -> Any:
            return divergence(x[0], x[1], alpha, Tensor)

        witness = Witness.at(mean=0, v=1, alpha=alpha)
        fisher = neural.tensor([[1, 0], [0, Fraction(1, 2)]])
        answers += [
            neural.close(neural.gradient(value, here), 0 * here, witness=witness),
            neural.close(neural.hessian(value, here), float(alpha) * fisher, witness=witness),
        ]
    return all_of(answers)


@NORMAL.wrong("v weighted by alpha")
def _(mean: Any, v: Any, alpha: Any, m: Any) -> Any:
    s = alpha * v + 1 - alpha
    return alpha * mean * mean / (2 * s) + m.log(s) / (2 * (1 - alpha)) - m.log(v) / 2


@NORMAL.wrong("without the variance of pi itself")
def _(mean: Any, v: Any, alpha: Any, m: Any) -> Any:
    return normal_divergence(mean, v, alpha, m) + m.log(v) / 2


@NORMAL.wrong("the shift as if the variances were equal")
def _(mean: Any, v: Any, alpha: Any, m: Any) -> Any:
    return normal_divergence(0 * mean, v, alpha, m) + alpha * mean * mean / 2


@NORMAL.wrong("the sign of 1 - alpha")
def _(mean: Any, v: Any, alpha: Any, m: Any) -> Any:
    s = (1 - alpha) * v + alpha
    return alpha * mean * mean / (2 * s) - m.log(s) / (2 * (1 - alpha)) - m.log(v) / 2


@NORMAL.number("D_1/2(N(1, 2) || N(0, 1))")
def _() -> str:
    one, two, half = (Ball.number(x) for x in (1, 2, "1/2"))
    return certified.digits(normal_divergence(one, two, half, Ball))


CLAIMS = frozen(LIMITS, NORMAL)
