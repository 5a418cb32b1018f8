"""Past section 4: the summit of J_gamma between normal laws, in closed form."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.moving import C
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of


class Normal(NamedTuple):
    """The gradient along theta, of theta, gamma and b, and its one zero, of gamma and b."""

    gradient: Any
    rest: Any


def normal_gradient(theta: Number, gamma: Number, b: Number, m: Arithmetic) -> Number:
    """Return g = e^((gamma theta + b)^2/2 - gamma theta^2/2) (gamma theta + b - theta)."""
    tilt = gamma * theta + b
    return m.exp((tilt * tilt - gamma * theta * theta) / 2) * (tilt - theta)


NORMAL = Normal(normal_gradient, lambda gamma, b: b / (1 - gamma))

GAUSSIAN = Draft(
    "OBJ.gaussian",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("The summit between normal laws", "正态族中的最大点"),
    finding=Text(
        "With mu = N(0, 1), pi = N(theta, 1) and r = e^(by) the policy comes to rest at theta ="
        " b/(1-gamma): gamma sets how far a reward carries it, and at 1 nothing stops it.",
        "μ=N(0,1)、π=N(θ,1)、r=e^{by} 时策略停在 θ = b/(1−γ)：γ 决定奖励把策略推多远，"
        "γ → 1 时不再停下。",
    ),
    statement=r"g_\gamma = e^{\frac12(\gamma\theta+b)^2 - \frac12\gamma\theta^2}"
    r"(\gamma\theta + b - \theta),\quad g_\gamma = 0 \iff \theta = \tfrac{b}{1-\gamma},"
    r"\quad q_\gamma = N(\tfrac{b}{1-\gamma}, 1)",
    subject=NORMAL,
    expect=Verdict.VERIFIED,
    uses=("D4.1", "OBJ.maximiser"),
    sharpens=("P5.3.fix",),
    source="new here",
    reading="0 <= gamma < 1 and any real b and theta; the rest is stable, as g has the sign of "
    "b/(1-gamma) - theta",
)
THETA, TILT, Y = sympy.symbols("theta t y", real=True)


@GAUSSIAN.symbolic(Scope("every gamma in [0, 1), b and theta", whole=True))
def _(normal: Any) -> Answer:
    """The mean by parts; its factor is (1-gamma) times the way left; the law q completed."""
    b = sympy.Symbol("b", real=True)
    share = C / (1 + C)
    rest = normal.rest(share, b)
    # Up to constants the integrand is e^(t y - y^2/2) (y - theta), which is (t - theta) times the
    # power less a derivative, and the power is e^(t^2/2) times the density of N(t, 1).
    power = sympy.exp(TILT * Y - Y**2 / 2)
    bell = sympy.exp(TILT**2 / 2) * sympy.exp(-((Y - TILT) ** 2) / 2)
    parts = (TILT - THETA) * power - sympy.diff(power, Y)
    total = (TILT - THETA) * sympy.exp(TILT**2 / 2)
    mean = sympy.exp(-share * THETA**2 / 2) * total.subs(TILT, share * THETA + b)
    stated = normal.gradient(THETA, share, b, Exact)
    way = sympy.exp(((share * THETA + b) ** 2 - share * THETA**2) / 2) * (rest - THETA)
    # The log-density of mu r^(1/(1-gamma)) is that of N(rest, 1) up to a constant in y.
    log_q = -(Y**2) / 2 + b * Y / (1 - share) + (Y - rest) ** 2 / 2
    return all_of(
        [
            symbolic.equal(power * (Y - THETA), parts),
            symbolic.equal(power, bell),
            symbolic.equal(mean, stated),
            symbolic.equal(stated, way / (1 + C)),
            symbolic.equal(sympy.diff(log_q, Y), 0),
        ]
    )


CASES = [tuple(map(Fraction, row)) for row in (("3/10", "1/2", "1/2"), ("-1", "1/4", "2/3"))]


@GAUSSIAN.certified(Scope("two triples of theta, gamma and b, and theta at rest"))
def _(normal: Any) -> Answer:
    """The mean of w^gamma r s by rigorous quadrature."""

    def mean(theta: Any, gamma: Any, b: Any) -> Any:
        def integrand(y: Any) -> Any:
            return (gamma * (theta * y - theta * theta / 2) + b * y).exp() * (y - theta)

        # Here |gamma theta + b| < 2 and |theta| < 2, and |y| + 2 <= 2 e^|y|.
        return certified.gaussian_expectation(integrand, growth=3, constant=2)

    found, stated, witnesses = [], [], []
    for theta, gamma, b in CASES:
        at = Witness.at(theta=theta, gamma=gamma, b=b)
        g, slope = Ball.number(gamma), Ball.number(b)
        rest = normal.rest(g, slope)
        found += [mean(Ball.number(theta), g, slope), mean(rest, g, slope)]
        stated += [normal.gradient(Ball.number(theta), g, slope, Ball), flint.arb(0)]
        witnesses += [at, at]
    return certified.agree(found, stated, witnesses=witnesses)


@GAUSSIAN.neural(Scope("two triples of theta, gamma and b, and theta at rest"))
def _(normal: Any) -> Answer:
    """Autograd of J on 60 Gauss-Hermite nodes, exact for entire integrands to rounding."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    y, masses = (neural.tensor(x.tolist()) for x in (nodes, weights / weights.sum()))
    answers = []
    for row in CASES:
        theta, gamma, b = map(float, row)

        def climbed(t: Any, gamma: float = gamma, b: float = b) -> Any:
            return (masses * (gamma * (t * y - t * t / 2) + b * y).exp()).sum() / gamma

        at = Witness.at(theta=row[0], gamma=row[1], b=row[2])
        found = [neural.gradient(climbed, neural.tensor(t)) for t in (theta, normal.rest(gamma, b))]
        stated = [normal.gradient(theta, gamma, b, Real), 0.0]
        answers.append(neural.close(found, stated, witness=at))
    return all_of(answers)


GAUSSIAN.wrong_value("rest at b", NORMAL._replace(rest=lambda gamma, b: b))
GAUSSIAN.wrong_value("rest at b (1-gamma)", NORMAL._replace(rest=lambda gamma, b: b * (1 - gamma)))


def _unweighted(theta: Any, gamma: Any, b: Any, m: Any) -> Any:
    return m.exp(b * b / 2) * (gamma * theta + b - theta)


def _squared(theta: Any, gamma: Any, b: Any, m: Any) -> Any:
    return normal_gradient(theta, gamma * gamma, b, m)


GAUSSIAN.wrong_value("the factor at theta = 0", NORMAL._replace(gradient=_unweighted))
GAUSSIAN.wrong_value("gamma squared", NORMAL._replace(gradient=_squared))


@GAUSSIAN.number("g at b = 1/2, theta = 3/10, gamma = 1/2")
def _() -> str:
    half = Ball.number("1/2")
    return certified.digits(normal_gradient(Ball.number("3/10"), half, half, Ball))


CLAIMS = frozen(GAUSSIAN)
