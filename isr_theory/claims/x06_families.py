"""Past section 4: other reshaping functions, and where w^gamma stands among them.

A function f of the weight is used detached, f(w) r grad log pi, or a ratio h(w) is differentiated,
which has the gradient weight w h'(w). The local exponent d log f / d log w compares them all.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.enumerated import enumerated_gradient, logits, witness_of
from isr_theory.claims.moving import MOVING, MU, PI, W, along_logits, slope
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite

L, N, X = sympy.symbols("l n x", positive=True)
SHARE = 1 / (1 + L)
"""Any share in (0, 1), over a free l > 0."""


def power_mean(w: Number, share: Number, s: Number, m: Arithmetic) -> Number:
    """((1 - share) w^s + share)^(1/s), the power mean of w and 1; s is not 0."""
    return m.power((1 - share) * m.power(w, s) + share, 1 / s)


POWER = Draft(
    "FAM.power",
    section="beyond",
    kind=Kind.LIMIT,
    title=Text("The power means of w and 1", "w 与 1 的幂平均族"),
    finding=Text(
        "One family, rising in s, holds mixing at s = 1, w^(1-l) at s = 0, the sub-Gaussian weight "
        "at s = -1 and the clip min(w, 1) at minus infinity.",
        "同一族关于 s 递增：s=1 为混合，s→0 为 w^{1−l}，s=−1 为 sub-Gaussian 权重，"
        "s→−∞ 为截断 min(w,1)。",
    ),
    statement=r"m_s(w) = ((1-l) w^s + l)^{1/s}:\quad m_1 = (1-l) w + l,\ m_0 = w^{1-l},\ "
    r"m_{-1} = \frac{w}{1 - l + l w},\ m_{-\infty} = \min(w, 1);"
    r"\quad s < t \Rightarrow m_s \le m_t",
    subject=power_mean,
    expect=Verdict.VERIFIED,
    uses=("D4.1",),
    sharpens=("D4.1",),
    source="Metelli, Russo and Restelli 2021, for the family; w^gamma and the clip as its limits "
    "are derived here",
    reading="0 < l < 1 and w > 0; so gamma = 1 - l, and all members with s <= 0 are at most "
    "w^gamma and at least the clip",
)


S, LEVEL = sympy.symbols("s t", real=True)
MIXED = (1 - SHARE) * sympy.exp(S * LEVEL) + SHARE
"""(1 - l) w^s + l, over t = log w."""


@cache
def log_of_power_means() -> tuple[Answer, ...]:
    """Prove of log m = log(MIXED)/s that it rises in s, and find its limits at 0 and -oo.

    s^2 d log m/ds is 0 at s = 0 and has the derivative s v, v the variance of log w or 0 under a
    law of two values: so it is positive on both sides, unless w = 1.
    """
    total = sympy.log(MIXED)
    rise = S * sympy.diff(total, S) - total
    variance = LEVEL**2 * SHARE * (1 - SHARE) * sympy.exp(S * LEVEL) / MIXED**2
    # At s = -n, w = e^-x below 1, and w = e^x above.
    below = -X - sympy.log((1 - SHARE) + SHARE * sympy.exp(-N * X)) / N
    above = -sympy.log((1 - SHARE) * sympy.exp(-N * X) + SHARE) / N
    at_below, at_above = (-total.subs({S: -N, LEVEL: x}) / N for x in (-X, X))
    return (
        symbolic.equal(sympy.limit(total / S, S, 0), (1 - SHARE) * LEVEL),
        symbolic.equal(rise.subs(S, 0), 0),
        symbolic.equal(sympy.diff(rise, S), S * variance),
        symbolic.equal(at_below, below, reduce=_one_exponential),
        symbolic.equal(at_above, above, reduce=_one_exponential),
        symbolic.equal(sympy.limit(below, N, sympy.oo), -X),
        symbolic.equal(sympy.limit(above, N, sympy.oo), 0),
    )


@POWER.symbolic(Scope("every w > 0, 0 < l < 1 and real s", whole=True))
def _(mean: Any) -> Answer:
    """Members 1 and -1 exactly; the logarithm, which rises, and its limits at 0 and -oo."""
    log_mean = sympy.expand_log(sympy.log(mean(sympy.exp(LEVEL), SHARE, S, Exact)), force=True)
    return all_of(
        [
            symbolic.equal(mean(W, SHARE, sympy.S.One, Exact), (1 - SHARE) * W + SHARE),
            symbolic.equal(mean(W, SHARE, -sympy.S.One, Exact), W / (1 - SHARE + SHARE * W)),
            symbolic.equal(log_mean, sympy.log(MIXED) / S),
            *log_of_power_means(),
        ]
    )


def _one_exponential(difference: Any) -> Any:
    return sympy.simplify(sympy.logcombine(sympy.expand_log(difference, force=True), force=True))


def rises(mean: Any, weight: Fraction, box: tuple[Fraction, Fraction]) -> Answer:
    """Prove that a mean of one weight, l = 1/3, rises in s on an interval."""
    w, share = Ball.number(weight), Ball.number("1/3")

    def slope_in(s: Any) -> Any:
        return certified.derivatives(lambda t: mean(w, share, t, Jet), s, 1)[1]

    def at(s: Fraction) -> Witness:
        return Witness.at(w=weight, l=Fraction(1, 3), s=s)

    return certified.sign_on(slope_in, box, positive=True, witness=at)


@POWER.certified(Scope("w = 1/5 and 3, l = 1/3: three members, two orders near 0 and minus oo"))
def _(mean: Any) -> Answer:
    """Members and limits in balls; the slope in s is positive on [-3, -1/4] and [1/4, 3]."""
    share, answers = Ball.number("1/3"), []
    near = [(Fraction(1, 2**40), Fraction(1, 2**30)), (Fraction(-(2**40)), Fraction(1, 2**30))]
    for weight in (Fraction(1, 5), Fraction(3)):
        w = Ball.number(weight)
        limits = [Ball.power(w, 1 - share), Ball.minimum(w, Ball.number(1))]
        witness = Witness.at(w=weight, l=Fraction(1, 3))
        exact = [(1 - share) * w + share, w / (1 - share + share * w)]
        found = [mean(w, share, Ball.number(s), Ball) for s in (1, -1)]
        answers.append(certified.agree(found, exact, witnesses=[witness] * 2))
        for (s, bound), limit in zip(near, limits, strict=True):
            gap = abs(mean(w, share, Ball.number(s), Ball) - limit)
            answers.append(certified.compare(gap, "<", Ball.number(bound), witness=witness))
        answers += [
            rises(mean, weight, (Fraction(low), Fraction(high)))
            for low, high in (("-3", "-1/4"), ("1/4", "3"))
        ]
    return all_of(answers)


@POWER.wrong("the shares exchanged")
def _(w: Any, share: Any, s: Any, m: Any) -> Any:
    return power_mean(w, 1 - share, s, m)


@POWER.wrong("no root")
def _(w: Any, share: Any, s: Any, m: Any) -> Any:
    return (1 - share) * m.power(w, s) + share


@POWER.wrong("the exponent's sign")
def _(w: Any, share: Any, s: Any, m: Any) -> Any:
    return power_mean(w, share, -s, m)


def gradient_weight(rise: Number, w: Number) -> Number:
    """Return w h'(w): what stands before r grad log pi where a ratio h(w) is differentiated."""
    return w * rise


DIFFERENTIATED = Draft(
    "FAM.differentiated",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("A ratio that is differentiated", "被求导的比率的梯度权重"),
    finding=Text(
        "Differentiating E_mu[h(w) r] gives r grad log pi the weight w h'(w), not h(w): only for "
        "h = w, up to scale, are the two the same.",
        "对 E_μ[h(w) r] 求导时 r∇log π 前的权重为 w h'(w) 而非 h(w)；仅 h ∝ w 时两者一致。",
    ),
    statement=r"\nabla_\theta \mathbb{E}_\mu[h(w) r] = \mathbb{E}_\mu[w h'(w)\, r"
    r" \nabla_\theta\log\pi_\theta]",
    subject=gradient_weight,
    expect=Verdict.VERIFIED,
    uses=("D1.1",),
    sharpens=("D1.1", "LST12.1.loss"),
    source="new here as a statement; the chain rule",
    reading="h differentiable at the weights that occur, and derivatives pass under E_mu",
)


def log_rise(w: Number, m: Arithmetic) -> Number:
    """Return h'(w) of h(w) = log(1 + w)."""
    return 1 / (1 + w)


@DIFFERENTIATED.symbolic(
    Scope("every h, law and policy, outcome by outcome: first derivatives only", whole=True)
)
def _(weight: Any) -> Answer:
    """The slope of mu h(w) in theta, h known by its value and slope; w h' = h only for h = c w."""
    value, rise = sympy.symbols("h0 h1", real=True)
    ratio = MOVING / MU
    moved = MU * (value + rise * (ratio - PI / MU))
    log_policy = slope(sympy.expand_log(sympy.log(MOVING), force=True))
    stated = MU * weight(rise, PI / MU) * log_policy
    unknown = sympy.Function("h")
    solved = sympy.dsolve(weight(unknown(W).diff(W), W) - unknown(W), unknown(W)).rhs
    return all_of(
        [
            symbolic.equal(slope(moved), stated),
            symbolic.equal(solved / W, sympy.Symbol("C1"), points=[{sympy.Symbol("C1"): 2, W: 3}]),
        ]
    )


def weighted(law: Finite, weight: Callable[[Any], Any]) -> list[Any]:
    """E_mu[f(w) r s] in all logits, outcome by outcome in balls."""
    mu, pi, reward = law.numbers(Ball)
    masses = [a * weight(p / a) * r for a, p, r in zip(mu, pi, reward, strict=True)]
    total = sum(masses)
    return [mass - total * p for mass, p in zip(masses, pi, strict=True)]


def along(law: Finite, ratio: Callable[[Any], Any]) -> list[Any]:
    """The slope of E_mu[h(w) r] in all logits, in balls; h is written over `Jet`."""
    mu, pi, reward = law.numbers(Ball)
    return along_logits(
        lambda policy: sum(
            a * ratio(p / a) * r for a, p, r in zip(mu, policy, reward, strict=True)
        ),
        pi,
    )


@DIFFERENTIATED.certified(Scope("four outcomes with a reward: h = w^2 and log(1 + w)"))
def _(weight: Any) -> Answer:
    """Slopes in every logit as power series, against sums over outcomes."""
    answers = []
    for ratio, rise in (
        (lambda w: w * w, lambda w: 2 * w),
        (lambda w: Jet.log(1 + w), lambda w: log_rise(w, Ball)),
    ):

        def stated(w: Any, rise: Any = rise) -> Any:
            return weight(rise(w), w)

        found, sums = along(FOUR_ARMS, ratio), weighted(FOUR_ARMS, stated)
        answers.append(certified.agree(found, sums, witnesses=[witness_of(FOUR_ARMS)] * len(sums)))
    return all_of(answers)


@DIFFERENTIATED.neural(Scope("four outcomes with a reward: h = sqrt w"))
def _(weight: Any) -> Answer:
    """Autograd through the ratio, and of log softmax under detached weights."""
    law, torch = FOUR_ARMS, neural.torch()
    mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))
    w = pi / mu
    detached = mu * weight(0.5 / w.sqrt(), w) * reward
    through = neural.gradient(
        lambda z: (mu * (z.softmax(-1) / mu).sqrt() * reward).sum(), logits(law)
    )
    beside = neural.gradient(lambda z: (detached * torch.log_softmax(z, -1)).sum(), logits(law))
    return neural.close(through, beside, witness=witness_of(law))


@DIFFERENTIATED.wrong("h' alone")
def _(rise: Any, w: Any) -> Any:
    return rise


@DIFFERENTIATED.wrong("w squared times h'")
def _(rise: Any, w: Any) -> Any:
    return w * w * rise


@DIFFERENTIATED.wrong("the sign")
def _(rise: Any, w: Any) -> Any:
    return -w * rise


def plain_power(w: Number, gamma: Number, m: Arithmetic) -> Number:
    """w^gamma."""
    return m.power(w, gamma)


def box_cox(w: Number, gamma: Number, m: Arithmetic) -> Number:
    """(w^gamma - 1)/gamma, gamma not 0; its limit at 0 is log w."""
    return (m.power(w, gamma) - 1) / gamma


POWERDIFF = Draft(
    "FAM.powerdiff",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("Differentiating w^gamma r", "直接对 w^γ r 求导"),
    finding=Text(
        "False: it gives gamma g_gamma, which at gamma = 0 is no training at all and not SFT.",
        "不成立：得到的是 γ g_γ；γ = 0 时梯度为零，而非 SFT。",
    ),
    statement=r"\nabla_\theta \mathbb{E}_\mu[w^\gamma r] = g_\gamma",
    subject=plain_power,
    expect=Verdict.REFUTED,
    uses=("D4.1",),
    sharpens=("D4.1",),
    source="practice: losses in which w^gamma is not detached",
)
# sqrt(mu pi) is 2/5 at both outcomes, so that all is rational.
MIRRORED, HALF = Finite.of("1/5 4/5", "4/5 1/5"), Fraction(1, 2)
NOT_DETACHED = witness_of(MIRRORED, gamma=HALF)


@POWERDIFF.symbolic(Scope("the witness"))
def _(potential: Any) -> Answer:
    """The slope in one logit by calculus, against E_mu[w^gamma r s], in rationals."""
    mu, pi, _ = MIRRORED.numbers(Exact)
    z, half = sympy.symbols("z", real=True), sympy.Rational(1, 2)
    masses = [pi[0] * sympy.exp(z), pi[1]]
    policy = [mass / sum(masses) for mass in masses]
    value = sum(a * potential(p / a, half, Exact) for a, p in zip(mu, policy, strict=True))
    roots = [sympy.sqrt(a * p) for a, p in zip(mu, pi, strict=True)]
    wanted = roots[0] - pi[0] * sum(roots)
    found = sympy.simplify(sympy.diff(value, z).subs(z, 0))
    return symbolic.compare(found, "==", wanted, witness=NOT_DETACHED)


@POWERDIFF.certified(Scope("the witness"))
def _(potential: Any) -> Answer:
    """Slopes in both logits as power series, against sums over outcomes."""
    half = Ball.number(HALF)
    found = along(MIRRORED, lambda w: potential(w, half, Jet))
    return certified.agree(found, weighted(MIRRORED, Ball.sqrt), witnesses=[NOT_DETACHED] * 2)


@POWERDIFF.neural(Scope("the witness"))
def _(potential: Any) -> Answer:
    """Autograd through w^gamma, and of log softmax under detached weights."""
    mu = neural.tensor(MIRRORED.mu)
    found = neural.gradient(
        lambda z: (mu * potential(z.softmax(-1) / mu, float(HALF), Tensor)).sum(), logits(MIRRORED)
    )
    return neural.close(found, enumerated_gradient(MIRRORED, HALF), witness=NOT_DETACHED)


POWERDIFF.right_value("Box and Cox's power", box_cox)

POWERDIFF_FIX = Draft(
    "FAM.powerdiff.fix",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The power that may be differentiated", "可直接求导的幂：Box–Cox"),
    finding=Text(
        "Box and Cox's (w^gamma - 1)/gamma has the gradient weight w^gamma at every gamma, and "
        "runs smoothly into log w, the log-likelihood of SFT, at gamma = 0.",
        "Box–Cox 形式 (w^γ−1)/γ 对任意 γ 的梯度权重均为 w^γ，并在 γ=0 处光滑地变为 log w，即 SFT。",
    ),
    statement=r"\nabla_\theta \mathbb{E}_\mu\bigl[\tfrac{w^\gamma - 1}{\gamma} r\bigr] = g_\gamma,"
    r"\quad \lim_{\gamma\to 0} \tfrac{w^\gamma - 1}{\gamma} = \log w,"
    r"\quad \nabla_\theta \mathbb{E}_\mu[w^\gamma r] = \gamma g_\gamma",
    subject=box_cox,
    expect=Verdict.VERIFIED,
    uses=("D4.1", "FAM.differentiated"),
    sharpens=("D4.1",),
    amends=("FAM.powerdiff",),
    source="Box and Cox 1964 for the function; as the objective of the reshaped gradient, new here",
)


@POWERDIFF_FIX.symbolic(Scope("every law and gamma, outcome by outcome", whole=True))
def _(potential: Any) -> Answer:
    """The integrand's slope in theta is mu w^gamma s; value, limit and first bend at gamma = 0."""
    gamma = sympy.symbols("gamma", real=True, nonzero=True)
    value = potential(W, gamma, Exact)
    moved = slope(MU * potential(MOVING / MU, gamma, Exact))
    score = slope(sympy.expand_log(sympy.log(MOVING), force=True))
    series = sympy.series(potential(sympy.exp(X), gamma, Exact), gamma, 0, 2).removeO()
    return all_of(
        [
            symbolic.equal(moved, MU * (PI / MU) ** gamma * score),
            symbolic.equal(gamma * value + 1, W**gamma),
            symbolic.equal(value.subs(W, 1), 0),
            symbolic.equal(series, X + gamma * X**2 / 2),
        ]
    )


@POWERDIFF_FIX.certified(Scope("four outcomes with a reward, gamma = 1/3, 1 and near 0"))
def _(potential: Any) -> Answer:
    """Slopes in every logit as power series; at gamma = 2^-60 those of SFT within 2^-50."""
    found, stated = [], []
    for gamma in (Fraction(1, 3), Fraction(1)):
        place = Ball.number(gamma)

        def objective(w: Any, place: Any = place) -> Any:
            return potential(w, place, Jet)

        def detached(w: Any, place: Any = place) -> Any:
            return Ball.power(w, place)

        found += along(FOUR_ARMS, objective)
        stated += weighted(FOUR_ARMS, detached)
    near = along(FOUR_ARMS, lambda w: potential(w, Ball.number(Fraction(1, 2**60)), Jet))
    sft = weighted(FOUR_ARMS, lambda w: Ball.number(1))
    close = [
        certified.compare(abs(x - y), "<", Ball.number(Fraction(1, 2**50)), witness=SFT_END)
        for x, y in zip(near, sft, strict=True)
    ]
    witnesses = [witness_of(FOUR_ARMS, gamma=g) for g in ("1/3", "1") for _ in FOUR_ARMS.mu]
    return all_of([certified.agree(found, stated, witnesses=witnesses), *close])


SFT_END = witness_of(FOUR_ARMS, gamma=Fraction(1, 2**60))


@POWERDIFF_FIX.neural(Scope("three outcomes with a reward, gamma = 1/4, 1/2 and 1"))
def _(potential: Any) -> Answer:
    """Autograd through the power, and of log softmax under detached weights."""
    law, answers = THREE_ARMS, []
    mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)
    for gamma in (Fraction(1, 4), HALF, Fraction(1)):

        def objective(z: Any, gamma: float = float(gamma)) -> Any:
            return (mu * potential(z.softmax(-1) / mu, gamma, Tensor) * reward).sum()

        found = neural.gradient(objective, logits(law))
        stated = enumerated_gradient(law, gamma)
        answers.append(neural.close(found, stated, witness=witness_of(law, gamma=gamma)))
    return all_of(answers)


POWERDIFF_FIX.wrong_value("the power alone", plain_power)


@POWERDIFF_FIX.wrong("one power too many")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return box_cox(w, gamma + 1, m)


@POWERDIFF_FIX.wrong("divided by gamma twice")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return box_cox(w, gamma, m) / gamma


@POWERDIFF_FIX.wrong("of 1/w")
def _(w: Any, gamma: Any, m: Any) -> Any:
    return box_cox(1 / w, gamma, m)


CLAIMS = frozen(POWER, DIFFERENTIATED, POWERDIFF, POWERDIFF_FIX)
