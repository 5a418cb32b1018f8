"""Past section 7: a control variate, which lowers the gradient's variance more than any gamma.

E_mu[w s] = 0, as pi has mass 1 whatever the parameters. So c w s may be taken off w^gamma r s at
no bias, and the best c is known.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PI_IN_MU
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.instances import log_variance, named
from isr_theory.claims.moving import MOVING, MU, PI, S, slope
from isr_theory.claims.s02_3_4_variance import GAUSSIAN_LOCATION
from isr_theory.claims.s07_2_lognormal import GAMMA, SIGMA, integrated, nodes
from isr_theory.claims.s07_2_variance_of_gradient import DIM, enclosed_trace, integrated_trace
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite, GaussianShift

CROSS, BASE, NORM, X = sympy.symbols("B S0 S1 x", real=True)
SQUARE = sympy.symbols("S2", positive=True)


class Control(NamedTuple):
    """The best multiple of w s, and by how much it lowers n tr Cov.

    Both are of cross = E[w^(1+gamma) r |s|^2] and square = E[w^2 |s|^2].
    """

    coefficient: Any
    saving: Any


def coefficient(cross: Number, square: Number) -> Number:
    """E[w^(1+gamma) r |s|^2]/E[w^2 |s|^2]."""
    return cross / square


def saving(cross: Number, square: Number) -> Number:
    """E[w^(1+gamma) r |s|^2]^2/E[w^2 |s|^2]."""
    return cross * cross / square


BEST = Control(coefficient, saving)

CONTROL = Draft(
    "VAR.control",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("A control variate for every gamma", "任意 γ 的控制变量"),
    finding=Text(
        "w s has mean 0 under mu, so that (w^gamma r - c w) s has the mean g_gamma for every c, and"
        " the least variance at c = E[w^(1+gamma) r |s|^2]/E[w^2 |s|^2].",
        "E_μ[w s] = 0，故 (w^γ r − c w)s 对任意 c 均无偏，且 c* = E[w^{1+γ} r|s|²]/E[w²|s|²]"
        " 时方差最小。",
    ),
    statement=r"\mathbb{E}_\mu[w s] = 0,\quad c^* = \frac{\mathbb{E}_\mu[w^{1+\gamma} r |s|^2]}"
    r"{\mathbb{E}_\mu[w^2 |s|^2]},\quad \mathrm{tr\,Cov}\bigl((w^\gamma r - c w)s\bigr)"
    r" = \mathrm{tr\,Cov}(w^\gamma r s) - \frac{\mathbb{E}_\mu[w^{1+\gamma} r |s|^2]^2}"
    r"{\mathbb{E}_\mu[w^2 |s|^2]} + (c - c^*)^2\,\mathbb{E}_\mu[w^2 |s|^2]",
    subject=BEST,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("EQ2.2", "D4.1"),
    sharpens=("T6.3.fix", "C7.5.c.fix"),
    source="control variates are classical; this one is the score function's with weights of pi,"
    " its use for w^gamma and its coefficient are new here",
    reading="E[w^2 |s|^2] positive and finite; unlike a baseline, which for gamma < 1 has a mean",
)


@CONTROL.symbolic(Scope("every law: outcome by outcome, then a quadratic in c", whole=True))
def _(control: Control) -> Answer:
    """The slope of an outcome's mass under pi is its w s; the square in c is completed."""
    # mu w s is the slope of pi, and the slopes of all masses add to that of 1.
    own = MU * (PI / MU) * S
    c = sympy.Symbol("c", real=True)
    # |(w^gamma r - c w) s|^2 in the mean; the mean of the estimator does not depend on c.
    variance = BASE - 2 * c * CROSS + c**2 * SQUARE - NORM
    best = control.coefficient(CROSS, SQUARE)
    stated = BASE - NORM - control.saving(CROSS, SQUARE) + (c - best) ** 2 * SQUARE
    return all_of([symbolic.equal(slope(MOVING), own), symbolic.equal(variance, stated)])


def sums(law: Finite, gamma: Any) -> tuple[list[Any], Any, Any, list[list[Any]]]:
    """Return w^gamma r, cross, square and the scores of one free logit per outcome, in balls."""
    mu, pi, reward = law.numbers(Ball)
    outcomes = [y for y, a in enumerate(law.mu) if a > 0]
    scores = [[(y == k) - pi[k] for k in range(len(pi))] for y in range(len(mu))]
    sizes = [sum(s * s for s in row) for row in scores]
    ratio = {y: pi[y] / mu[y] for y in outcomes}
    plain = [
        Ball.power(ratio[y], gamma) * reward[y] if y in ratio else None for y in range(len(mu))
    ]
    cross = sum(mu[y] * ratio[y] * plain[y] * sizes[y] for y in outcomes)
    square = sum(mu[y] * ratio[y] * ratio[y] * sizes[y] for y in outcomes)
    return plain, cross, square, scores


def moments_with(law: Finite, gamma: Any, c: Any) -> tuple[list[Any], Any]:
    """Enclose mean and tr Cov of (w^gamma r - c w) s under mu."""
    mu, pi, _ = law.numbers(Ball)
    plain, _, _, scores = sums(law, gamma)
    rows = [
        (mu[y], [(plain[y] - c * pi[y] / mu[y]) * s for s in scores[y]])
        for y in range(len(mu))
        if law.mu[y] > 0
    ]
    mean = [sum((a * row[k] for a, row in rows), flint.arb(0)) for k in range(len(mu))]
    second = sum(a * x * x for a, row in rows for x in row)
    return mean, second - sum(x * x for x in mean)


@CONTROL.certified(Scope("two laws with a reward at three gammas"))
def _(control: Control) -> Answer:
    """Mean and variance with and without control, summed; the variance beside c*."""
    answers = []
    for law in (THREE_ARMS, FOUR_ARMS):
        for exponent in ("1/4", "1/2", "1"):
            gamma, at = Ball.number(exponent), witness_of(law, gamma=Fraction(exponent))
            _, cross, square, _ = sums(law, gamma)
            c, less = control.coefficient(cross, square), control.saving(cross, square)
            mean, variance = moments_with(law, gamma, flint.arb(0))
            held, lowered = moments_with(law, gamma, c)
            answers.append(certified.agree(held, mean, witnesses=[at] * len(mean)))
            answers.append(certified.agree([lowered], [variance - less], witnesses=[at]))
            for shift in ("-1/10", "1/10"):
                beside = moments_with(law, gamma, c + Ball.number(shift))[1]
                answers.append(certified.compare(lowered, "<", beside, witness=at))
    return all_of(answers)


@CONTROL.neural(Scope("four arms with a reward at three gammas"))
def _(control: Control) -> Answer:
    """Scores by autograd; the slope in c of tr Cov is 0 at c*, where it has lost the saving."""
    torch, law, answers = neural.torch(), FOUR_ARMS, []
    mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))
    scores = torch.autograd.functional.jacobian(lambda z: z.log_softmax(0), logits(law))
    w, size = pi / mu, (scores**2).sum(1)
    for exponent in (0.25, 0.5, 1.0):
        plain = w**exponent * reward

        def trace(c: Any, plain: Any = plain) -> Any:
            values = (plain - c * w)[:, None] * scores
            mean = (mu[:, None] * values).sum(0)
            return (mu[:, None] * (values - mean) ** 2).sum()

        cross, square = (mu * w * plain * size).sum(), (mu * w * w * size).sum()
        c, less = control.coefficient(cross, square), control.saving(cross, square)
        found = [neural.gradient(trace, c), trace(0 * c) - trace(c)]
        at = witness_of(law, gamma=Fraction(exponent))
        answers.append(neural.close(torch.stack(found), torch.stack([0 * less, less]), witness=at))
    return all_of(answers)


@CONTROL.sampled(Scope("four arms with a reward, gamma = 1/4"), resolution=0.1)
def _(control: Control, trial: Trial) -> Answer:
    """The mean square of (w^gamma r - c w) s over draws from mu is lower by the saving."""
    law = FOUR_ARMS
    mu, pi, reward = (np.array(row) for row in law.numbers(Real))
    w, size = pi / mu, ((np.eye(len(mu)) - pi) ** 2).sum(1)
    plain = w**0.25 * reward
    cross, square = (mu * w * plain * size).sum(), (mu * w * w * size).sum()
    c = control.coefficient(cross, square)
    table = (plain - c * w) ** 2 * size
    # The rare arm, of mass 1/100, has w = 40: drawn uniformly it costs no width.
    rare = table * mu * len(mu)
    found = trial.mean(
        f"controlled by {c}",
        lambda rng, n: rare[rng.integers(0, len(mu), n)],
        float(rare.min()),
        float(rare.max()),
    )
    expected = float((mu * plain**2 * size).sum() - control.saving(cross, square))
    return trial.agrees(found, expected, witness=witness_of(law, gamma=Fraction(1, 4)))


@CONTROL.without(PI_IN_MU)
def _(control: Control, law: Finite) -> Answer | None:
    gamma = Ball.number("1/2")
    _, cross, square, _ = sums(law, gamma)
    if not square > 0:
        return None
    c, at = control.coefficient(cross, square), named(law, gamma=Fraction(1, 2))
    plain, held = (moments_with(law, gamma, x)[0] for x in (flint.arb(0), c))
    return certified.agree(held, plain, witnesses=[at] * len(plain))


CONTROL.wrong_value("twice the coefficient", BEST._replace(coefficient=lambda b, s: 2 * b / s))
CONTROL.wrong_value("its inverse", BEST._replace(coefficient=lambda b, s: s / b))
CONTROL.wrong_value("half the saving", BEST._replace(saving=lambda b, s: b * b / (2 * s)))
CONTROL.wrong_value("the sign", BEST._replace(coefficient=lambda b, s: -b / s))


def gaussian_coefficient(sigma2: Number, gamma: Number, d: Number, m: Arithmetic) -> Number:
    """e^((gamma^2 + gamma - 2) sigma2/2)(d + gamma^2 sigma2)/(d + sigma2)."""
    level = (gamma * gamma + gamma - 2) * sigma2 / 2
    return m.exp(level) * (d + gamma * gamma * sigma2) / (d + sigma2)


def controlled(sigma2: Number, gamma: Number, d: Number, m: Arithmetic) -> Number:
    """Return n tr Cov with the best control: the plain one less c*^2 e^sigma2 (d + sigma2)."""
    c = gaussian_coefficient(sigma2, gamma, d, m)
    plain = formulas.gradient_variance_gaussian(sigma2, gamma, d, m)
    return plain - c * c * m.exp(sigma2) * (d + sigma2)


class Gain(NamedTuple):
    """The best coefficient, what is left with it, and by which factor that beats every gamma."""

    coefficient: Any
    left: Any
    factor: Fraction


GAIN = Gain(gaussian_coefficient, controlled, Fraction(80))

CONTROL_GAIN = Draft(
    "VAR.controlgain",
    section="beyond",
    kind=Kind.INEQUALITY,
    title=Text("What control gains over every gamma", "控制变量优于任何 γ 的倍数"),
    finding=Text(
        "At a shift of 1/10 in one dimension, gamma = 1/4 with its control has less than 1/80 of"
        " the variance of the best gamma without, and as sigma tends to 0 the gain has no bound.",
        "一维、平移 1/10 时，γ = 1/4 加控制变量后方差不到无控制时最优 γ 的 1/80；"
        "σ→0 时增益无上界。",
    ),
    statement=r"c^* = e^{(\gamma^2+\gamma-2)\sigma^2/2}\,\frac{d + \gamma^2\sigma^2}{d+\sigma^2},"
    r"\quad n\,\mathrm{tr\,Cov}_{c^*} = (1-\gamma)^2(d+1)\sigma^2 + O(\sigma^4);\quad"
    r" \sigma = \tfrac1{10},\ d = 1:\ 80\, n\,\mathrm{Var}_{c^*}(\hat g_{1/4})"
    r" < \min_{0\le\gamma\le1} n\,\mathrm{Var}(\hat g_\gamma)",
    subject=GAIN,
    expect=Verdict.VERIFIED,
    assumes=(GAUSSIAN_LOCATION,),
    uses=("VAR.control", "C7.5.c.fix"),
    sharpens=("C7.5.c.fix", "T6.3.fix"),
    source="new here",
    reading="r = 1 and the score y - theta; without control n tr Cov tends to d as"
    " sigma tends to 0",
)
SMALL = Fraction(1, 100)


@CONTROL_GAIN.symbolic(
    Scope(
        "every theta, d and gamma; at sigma2 = 1/100, n Var >= e^(-sigma2/8) - sigma2 for every"
        " gamma in [0, 1]",
        whole=True,
    )
)
def _(gain: Gain) -> Answer:
    """Both moments by completing squares; the first order in sigma2; the bound in numbers."""

    def size(t: Any) -> Any:
        return integrated(t, 2) + (DIM - 1) * integrated(t)

    cross, square = size(1 + GAMMA), size(sympy.Integer(2))
    arguments = SIGMA**2, GAMMA, DIM, Exact
    left = integrated_trace(GAMMA) - cross**2 / square
    # sigma2 = x, and the first order in it.
    x = sympy.Symbol("y", positive=True)
    series = gain.left(x, GAMMA, DIM, Exact)
    first = sympy.diff(series, x).subs(x, 0)
    small = Exact.number(SMALL)
    # The plain variance is e^(gamma (2 gamma - 1) s)(1 + ...) - (1-gamma)^2 s e^(...).
    least = sympy.exp(-small / 8) - small
    at = Witness.at(sigma2=SMALL, d=1, gamma=Fraction(1, 4))
    kept = gain.left(small, sympy.Rational(1, 4), sympy.Integer(1), Exact)
    quarter, three_tenths = sympy.Rational(1, 4), sympy.Rational(3, 10)
    plain_small = integrated_trace(three_tenths).subs({DIM: 1, SIGMA: sympy.Rational(1, 10)})
    return all_of(
        [
            symbolic.equal(cross / square, gain.coefficient(*arguments), reduce=_one_exponential),
            symbolic.equal(left, gain.left(*arguments), reduce=_one_exponential),
            symbolic.equal(series.subs(x, 0), 0),
            symbolic.equal(first, (1 - GAMMA) ** 2 * (DIM + 1)),
            symbolic.equal(
                GAMMA * (2 * GAMMA - 1), 2 * (GAMMA - quarter) ** 2 - sympy.Rational(1, 8)
            ),
            symbolic.compare(gain.factor * kept, "<", least, witness=at),
            # Ten times more would be too much, already against gamma = 3/10.
            symbolic.compare((gain.factor + 10) * kept, ">", plain_small, witness=at),
        ]
    )


def _one_exponential(difference: Any) -> Any:
    return sympy.simplify(sympy.powsimp(sympy.expand(sympy.simplify(difference))))


def enclosed_size(sigma2: Fraction, d: int, t: Any) -> Any:
    """Enclose E[w^t |s|^2] by rigorous quadrature, 0 <= t <= 2."""
    s = Ball.number(sigma2)
    sigma = Ball.sqrt(s)
    return certified.gaussian_expectation(
        lambda z: (t * (sigma * z - s / 2)).exp() * ((z - sigma) ** 2 + (d - 1)),
        growth=2 * (1 + sigma2) + 1,
        constant=4 * (1 + sigma2) + d,
    )


@CONTROL_GAIN.certified(Scope("three points of (sigma2, d, gamma); every gamma at sigma2 = 1/100"))
def _(gain: Gain) -> Answer:
    """Moments by rigorous quadrature; the plain variance box by box against the factor."""
    answers = []
    for s, d, g in ((SMALL, 1, "1/4"), (Fraction(1), 3, "1/2"), (Fraction(1, 4), 2, "3/4")):
        gamma, at = Fraction(g), Witness.at(sigma2=s, d=d, gamma=g)
        cross, square = (enclosed_size(s, d, t) for t in (Ball.number(1 + gamma), Ball.number(2)))
        found = [cross / square, enclosed_trace(s, d, gamma) - cross * cross / square]
        stated = [
            f(Ball.number(s), Ball.number(gamma), Ball.number(d), Ball)
            for f in (gain.coefficient, gain.left)
        ]
        answers.append(certified.agree(found, stated, witnesses=[at] * 2))
    small, one = Ball.number(SMALL), Ball.number(1)
    kept = gain.factor.numerator * gain.left(small, Ball.number("1/4"), one, Ball)

    def excess(gamma: Any) -> Any:
        return formulas.gradient_variance_gaussian(small, gamma, one, Ball) - kept

    answers.append(
        certified.sign_on(
            excess,
            (Fraction(0), Fraction(1)),
            positive=True,
            witness=lambda gamma: Witness.at(sigma2=SMALL, d=1, gamma=gamma),
        )
    )
    return all_of(answers)


@CONTROL_GAIN.neural(Scope("sigma2 = 1/100 and 1 at gamma = 1/4 and 1/2, d = 1"))
def _(gain: Gain) -> Answer:
    """The least variance over c by autograd of Gauss's rule: a parabola, by one Newton step."""
    z, mass = nodes()
    answers = []
    for sigma2, gamma in ((SMALL, 0.25), (Fraction(1), 0.5)):
        sigma = float(sigma2) ** 0.5
        level, scores = sigma * z - sigma * sigma / 2, z - sigma

        def variance(c: Any, gamma: float = gamma, level: Any = level, scores: Any = scores) -> Any:
            values = ((gamma * level).exp() - c * level.exp()) * scores
            return (mass * (values - (mass * values).sum()) ** 2).sum()

        start = neural.tensor(0)
        best = start - neural.gradient(variance, start) / neural.hessian(variance, start)
        stated = [f(float(sigma2), gamma, 1, Real) for f in (gain.coefficient, gain.left)]
        at = Witness.at(sigma2=sigma2, d=1, gamma=Fraction(gamma))
        answers.append(neural.close([float(best), float(variance(best))], stated, witness=at))
    return all_of(answers)


@CONTROL_GAIN.without(GAUSSIAN_LOCATION)
def _(gain: Gain, model: Any) -> Answer | None:
    gamma = Fraction(1, 2)
    if isinstance(model, GaussianShift):
        cross, square = (
            enclosed_size(model.sigma2, model.d, Ball.number(t)) for t in (1 + gamma, 2)
        )
        plain, d = enclosed_trace(model.sigma2, model.d, gamma), model.d
    elif isinstance(model, Finite):
        mu, pi, _ = model.numbers(Ball)
        sizes = [pi[1] * pi[1], pi[0] * pi[0]]
        cross, square = (
            sum(a * Ball.power(b / a, t) * x for a, b, x in zip(mu, pi, sizes, strict=True))
            for t in (Ball.number("3/2"), Ball.number(2))
        )
        weights = [Ball.sqrt(b / a) for a, b in zip(mu, pi, strict=True)]
        values = [weights[0] * pi[1], -weights[1] * pi[0]]
        mean = mu[0] * values[0] + mu[1] * values[1]
        plain = mu[0] * values[0] * values[0] + mu[1] * values[1] * values[1] - mean * mean
        d = 1
    else:
        return None
    arguments = log_variance(model), Ball.number(gamma), Ball.number(d), Ball
    found = [cross / square, plain - cross * cross / square]
    stated = [f(*arguments) for f in (gain.coefficient, gain.left)]
    return certified.agree(found, stated, witnesses=[named(model, gamma=gamma)] * 2)


def _without_score(sigma2: Any, gamma: Any, d: Any, m: Any) -> Any:
    return m.exp((gamma * gamma + gamma - 2) * sigma2 / 2) + 0 * d


def _plain(sigma2: Any, gamma: Any, d: Any, m: Any) -> Any:
    return formulas.gradient_variance_gaussian(sigma2, gamma, d, m)


CONTROL_GAIN.wrong_value("the weights' moments alone", GAIN._replace(coefficient=_without_score))
CONTROL_GAIN.wrong_value("nothing gained", GAIN._replace(left=_plain))
CONTROL_GAIN.wrong_value("a hundred times", GAIN._replace(factor=Fraction(100)))


@CONTROL_GAIN.number("n Var with control at sigma2 = 1/100, d = 1, gamma = 1/4")
def _() -> str:
    return certified.digits(
        controlled(Ball.number(SMALL), Ball.number("1/4"), Ball.number(1), Ball)
    )


CLAIMS = frozen(CONTROL, CONTROL_GAIN)
