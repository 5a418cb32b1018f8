"""Past section 1: what the gradient of a reshaped weight climbs.

Every f has a potential, g_f = grad E_mu[r Phi(w)] with Phi' = f(w)/w. That of w^gamma is the
Tsallis logarithm. Without rewards E_mu[Phi(w)] is minus a divergence between pi and mu, as long as
f(w)/w does not rise, that is as long as the local exponent of f is at most 1.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import flint
import sympy

from isr_theory.arithmetic import Arithmetic, Ball, Exact, Jet, Number, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict
from isr_theory.claims.assumptions import PI_IN_MU, UNIT_REWARD
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import MOVING, MU, PI, C, R, S, W, slope
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite, fractions

U, P = sympy.symbols("u p", positive=True)
SHAPE = sympy.Function("f")

Member = Callable[[Number, Number, Arithmetic], Number]
"""A function of w and a parameter, over an arithmetic."""

# The parameter is gamma for the power, the bound for the clip, and the share of mu, over 1 + p so
# that it is below 1, for the sub-Gaussian weight.
WEIGHTS: dict[str, Member] = {
    "1": lambda w, p, m: 1 + 0 * w,
    "power": lambda w, p, m: m.power(w, p),
    "clip": lambda w, p, m: m.minimum(w, p + 0 * w),
    "sub-Gaussian": lambda w, p, m: (1 + p) * w / (p + w),
    "-w log w": lambda w, p, m: -w * m.log(w),
}


def clip_potential(w: Number, bound: Number, m: Arithmetic) -> Number:
    """Return w below the bound c and c + c log(w/c) above it."""
    kept = m.minimum(w, bound + 0 * w)
    return kept + bound * m.log(w / kept)


# 1/share = 1 + p, and 1 - share + share w = (p + w)/(1 + p).
POTENTIALS: dict[str, Member] = {
    "1": lambda w, p, m: m.log(w),
    "power": lambda w, p, m: (m.power(w, p) - 1) / p,
    "clip": clip_potential,
    "sub-Gaussian": lambda w, p, m: (1 + p) * m.log((p + w) / (1 + p)),
    "-w log w": lambda w, p, m: w - w * m.log(w),
}
BOUND = Fraction(6, 5)
PARAMETERS = {"power": Fraction(1, 3), "clip": BOUND, "sub-Gaussian": Fraction(3, 2)}


def parameter(name: str) -> Fraction:
    """The parameter at which a weight is tried at points; 1 where it has none."""
    return PARAMETERS.get(name, Fraction(1))


def branches(expression: Any) -> tuple[Any, Any]:
    """An expression on the two sides of the clip's knee, w < p and w > p."""
    return tuple(expression.replace(sympy.Min, lambda *_, x=x: x) for x in (W, P))


POTENTIAL = Draft(
    "OBJ.potential",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The potentials of named reshaping functions", "各整形函数的势函数"),
    finding=Text(
        "Each has one in closed form: the Tsallis logarithm of index 1 - gamma for w^gamma, and for"
        " the clip min(w, c) a line that turns into c log w.",
        "均有闭式：w^γ 对应指标 1−γ 的 Tsallis 对数；截断 min(w,c) 对应先线性、后 c log w 的函数。",
    ),
    statement=r"g_f = \nabla_\theta\mathbb{E}_\mu[r\,\Phi(w)],\ \Phi' = f(w)/w:\quad"
    r" w^\gamma \mapsto \tfrac{w^\gamma - 1}{\gamma} = \ln_{1-\gamma} w \to \log w\ (\gamma\to0),\ "
    r"\min(w,c) \mapsto \min(w,c) + c\log\tfrac{w}{\min(w,c)},\ "
    r"\tfrac{w}{1-l+lw} \mapsto \tfrac1l\log(1-l+lw),\ -w\log w \mapsto w - w\log w",
    subject=POTENTIALS,
    expect=Verdict.VERIFIED,
    uses=("D1.1", "D4.1"),
    sharpens=("D1.1", "D4.1"),
    source="new here, from D1.1; the logarithm is Box and Cox's (1964) and Tsallis' (1988)",
    reading="w > 0 and gamma, c > 0; a potential is meant up to a constant, which no policy sees",
)


@POTENTIAL.symbolic(Scope("every w > 0 and every parameter, on both sides of the knee", whole=True))
def _(potentials: Any) -> Answer:
    """Outcome by outcome: the slope of mu r Phi in the policy is mu f r s; the limit gamma -> 0."""
    answers = []
    for name, weight in WEIGHTS.items():
        shapes = branches(weight(W, P, Exact))
        for shape, potential in zip(shapes, branches(potentials[name](W, P, Exact)), strict=True):
            moved = slope(MU * R * potential.subs(W, MOVING / MU))
            here = MU * R * S * shape.subs(W, PI / MU)
            answers.append(symbolic.equal(moved, here, reduce=_one_log))
    # The two sides of the clip meet, and the Tsallis logarithm tends to the logarithm.
    below, above = branches(potentials["clip"](W, P, Exact))
    gap = (below - above).subs(W, P)
    limit = sympy.limit(potentials["power"](W, P, Exact), P, 0)
    return all_of([*answers, symbolic.equal(gap, 0), symbolic.equal(limit, sympy.log(W))])


def _one_log(difference: Any) -> Any:
    return sympy.simplify(sympy.expand_log(sympy.powsimp(difference), force=True))


PLACES = fractions("1/7 5")
# f(u)/u, holomorphic near the positive numbers as quadrature asks, below and above the knee.
DENSITIES: dict[str, tuple[Any, Any]] = {
    "1": (lambda u, p: 1 / u,) * 2,
    "power": (lambda u, p: ((p - 1) * u.log()).exp(),) * 2,
    "clip": (lambda u, p: flint.acb(1), lambda u, p: p / u),
    "sub-Gaussian": (lambda u, p: (1 + p) / (p + u),) * 2,
    "-w log w": (lambda u, p: -u.log(),) * 2,
}


@cache
def work(name: str) -> Any:
    """Enclose the integral of f(u)/u from 1/7 to 5, split at 6/5, where the clip has its knee."""
    p = Ball.number(parameter(name))
    low, high = map(Ball.number, PLACES)
    knee = Ball.number(BOUND)
    return sum(
        (
            flint.acb.integral(lambda u, _, f=f: f(u, p), flint.acb(a), flint.acb(b)).real
            for f, a, b in zip(DENSITIES[name], (low, knee), (knee, high), strict=True)
        ),
        flint.arb(0),
    )


@POTENTIAL.certified(Scope("five functions from w = 1/7 to w = 5"))
def _(potentials: Any) -> Answer:
    """What the potential gains is the integral of f(u)/u, by rigorous quadrature."""
    gains, areas = [], []
    for name in WEIGHTS:
        p = Ball.number(parameter(name))
        low, high = (potentials[name](Ball.number(w), p, Ball) for w in PLACES)
        gains.append(high - low)
        areas.append(work(name))
    witnesses = [witness_of(THREE_ARMS, f=name) for name in WEIGHTS]
    return certified.agree(gains, areas, witnesses=witnesses)


@POTENTIAL.neural(Scope("two laws, five functions, every logit"))
def _(potentials: Any) -> Answer:
    """Autograd of E_mu[r Phi(w)] against the loss whose factor f(w) is detached."""
    answers = []
    for law in (THREE_ARMS, FOUR_ARMS):
        mu, reward = neural.tensor(law.mu), neural.tensor(law.reward)
        for name, weight in WEIGHTS.items():
            p = neural.tensor(parameter(name))

            def climbed(
                z: Any, mu: Any = mu, reward: Any = reward, name: str = name, p: Any = p
            ) -> Any:
                return (mu * reward * potentials[name](z.softmax(0) / mu, p, Tensor)).sum()

            def loss(
                z: Any, mu: Any = mu, reward: Any = reward, f: Any = weight, p: Any = p
            ) -> Any:
                log_pi = z.log_softmax(0)
                return (mu * f(log_pi.exp() / mu, p, Tensor).detach() * reward * log_pi).sum()

            slopes = [neural.gradient(side, logits(law)) for side in (climbed, loss)]
            answers.append(neural.close(*slopes, witness=witness_of(law, f=name)))
    return all_of(answers)


def planted(name: str, member: Member) -> dict[str, Member]:
    """Return the potentials with one of them wrong."""
    return {**POTENTIALS, name: member}


POTENTIAL.wrong_value("w^gamma itself", planted("power", lambda w, p, m: m.power(w, p)))
POTENTIAL.wrong_value(
    "the Tsallis index gamma", planted("power", lambda w, p, m: (m.power(w, 1 - p) - 1) / (1 - p))
)
POTENTIAL.wrong_value(
    "no slope beyond the clip", planted("clip", lambda w, p, m: m.minimum(w, p + 0 * w))
)
POTENTIAL.wrong_value(
    "the share left out of the sub-Gaussian one",
    planted("sub-Gaussian", lambda w, p, m: m.log((p + w) / (1 + p))),
)
POTENTIAL.wrong_value("the sign of -w log w", planted("-w log w", lambda w, p, m: w + w * m.log(w)))
CLIPPED = Finite.of("3/5 3/10 1/10", "1/5 3/10 1/2", "1 2 4")


@POTENTIAL.number(
    "g of f = min(w, 6/5) at mu = (3/5, 3/10, 1/10), logits (3/10, -1/5, 1/2), r = (1, 2, 4)"
)
def _() -> str:
    mu, _, reward = CLIPPED.numbers(Ball)
    masses = [Ball.exp(Ball.number(z)) for z in fractions("3/10 -1/5 1/2")]
    pi = [x / sum(masses, flint.arb(0)) for x in masses]
    rows = zip(mu, pi, reward, strict=True)
    pulls = [a * WEIGHTS["clip"](b / a, Ball.number(BOUND), Ball) * r for a, b, r in rows]
    total = sum(pulls, flint.arb(0))
    return ", ".join(certified.digits(pull - total * b) for pull, b in zip(pulls, pi, strict=True))


class Divergence(NamedTuple):
    """The generators phi(w, p, m) by the name of f, and phi'' from f, f' and w."""

    generators: dict[str, Member]
    curvature: Any


def curvature(f: Any, rise: Any, w: Any) -> Any:
    """Return phi'' = (f - w f')/w^2 = (1 - d log f/d log w) f/w^2."""
    return (f - w * rise) / (w * w)


GENERATORS: dict[str, Member] = {
    "1": lambda w, p, m: -m.log(w),
    "power": lambda w, p, m: (1 - m.power(w, p)) / p,
    "sub-Gaussian": lambda w, p, m: -(1 + p) * m.log((p + w) / (1 + p)),
    "-w log w": lambda w, p, m: w * m.log(w) - w + 1,
}

CSISZAR = Draft(
    "OBJ.csiszar",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("Without rewards: a Csiszár divergence to mu", "无奖励时：到 μ 的 Csiszár 散度"),
    finding=Text(
        "With r = 1 the objective is minus a Csiszár divergence with convex generator exactly where"
        " f(w)/w does not rise; w^gamma qualifies up to gamma = 1, where the divergence is 0, and"
        " for gamma > 1 it drives pi away from mu.",
        "r≡1 时目标为到 μ 的、生成元为凸的 Csiszár 散度之负，当且仅当 f(w)/w 不增；"
        "w^γ 在 γ ≤ 1 时如此（γ=1 时散度恒为 0），γ > 1 时则把 π 推离 μ。",
    ),
    statement=r"\mathbb{E}_\mu[\Phi(w)] = \Phi(1) - \mathbb{E}_\mu[\varphi(w)],\ "
    r"\varphi = \Phi(1) - \Phi,\ \varphi(1) = 0,\ \varphi' = -f(w)/w,\ "
    r"\varphi'' = (f - w f')/w^2;\quad \varphi \text{ convex} \iff f(w)/w \text{ non-increasing}",
    subject=Divergence(GENERATORS, curvature),
    expect=Verdict.VERIFIED,
    assumes=(UNIT_REWARD, PI_IN_MU),
    uses=("OBJ.potential",),
    sharpens=("D1.1", "SPEC2.1", "TAB2.3.2.fix"),
    source="Csiszár 1967 and Ali and Silvey 1966, for the divergences; the condition on f is new "
    "here",
    reading="f continuous, so that phi is convex exactly where its slope -f(w)/w does not fall; "
    "phi'' where f has a derivative; f = 1, -w log w and w/(1-l+lw) give KL(mu||pi), KL(pi||mu) "
    "and KL(mu||(1-l) mu + l pi)/l",
)


@CSISZAR.symbolic(
    Scope(
        "every f: Leibniz' rule with f left open, then Jensen's inequality with E_mu[w] = 1; the "
        "named divergences outcome by outcome",
        whole=True,
    )
)
def _(divergence: Any) -> Answer:
    """The slopes of phi for an open f; phi(1), phi' and phi'' of the named ones."""
    potential = sympy.Integral(SHAPE(U) / U, (U, 1, W))
    bent = -sympy.diff(potential, W, 2).doit()
    # What f and f' take at w is any two numbers at all.
    height, rise = sympy.symbols("f0 f1", real=True)
    values = {SHAPE(W).diff(W): rise, SHAPE(W): height}
    answers = [
        symbolic.equal(-sympy.diff(potential, W), -SHAPE(W) / W, points=[{}]),
        symbolic.equal(
            bent.subs(values), divergence.curvature(SHAPE(W), SHAPE(W).diff(W), W).subs(values)
        ),
    ]
    for name, generator in divergence.generators.items():
        phi, shape = generator(W, P, Exact), WEIGHTS[name](W, P, Exact)
        stated = divergence.curvature(shape, sympy.diff(shape, W), W)
        answers += [
            symbolic.equal(phi.subs(W, 1), 0),
            symbolic.equal(sympy.diff(phi, W), -shape / W),
            symbolic.equal(sympy.diff(phi, W, 2), stated),
        ]
    return all_of([*answers, *named_divergences(divergence.generators)])


def named_divergences(generators: dict[str, Member]) -> list[Answer]:
    """Compare mu phi(pi/mu) with a divergence's term; pi - mu, in one of them, sums to 0."""
    share = 1 / (1 + P)
    blend = (1 - share) * MU + share * PI
    terms = {
        "1": MU * sympy.log(MU / PI),
        "sub-Gaussian": MU * sympy.log(MU / blend) / share,
        "-w log w": PI * sympy.log(PI / MU) - (PI - MU),
    }
    own = {name: MU * generators[name](PI / MU, P, Exact) for name in terms}
    answers = [symbolic.equal(own[name], term, reduce=_one_log) for name, term in terms.items()]
    # The power's phi'' changes sign at gamma = 1 and is 0 there.
    power = generators["power"]
    bends = [sympy.diff(power(W, g, Exact), W, 2) for g in (1 / (1 + C), sympy.S.One, 1 + C)]
    return [
        *answers,
        symbolic.positive(sympy.simplify(bends[0])),
        symbolic.equal(bends[1], 0),
        symbolic.positive(sympy.simplify(-bends[2])),
    ]


def objective(generator: Any, p: Any, law: Finite) -> Any:
    """E_mu[r phi(w)], outcome by outcome; what mu never takes is not seen."""
    rows = zip(*law.numbers(Ball), strict=True)
    return sum((a * r * generator(b / a, p, Ball) for a, b, r in rows if a > 0), flint.arb(0))


UNREWARDED = tuple(
    Finite(law.mu, law.pi, (Fraction(1),) * len(law.mu)) for law in (THREE_ARMS, FOUR_ARMS)
)


@CSISZAR.certified(Scope("two laws: five divergences, and w^(3/2), for which there is none"))
def _(divergence: Any) -> Answer:
    """Means of phi against KLs summed apart, their signs, and their slopes against g."""
    answers = []
    for law in UNREWARDED:
        mu, pi, _ = law.numbers(Ball)
        for name, generator in divergence.generators.items():
            p = Ball.number(parameter(name))
            mean, at = objective(generator, p, law), witness_of(law, f=name)
            answers.append(certified.compare(mean, ">", flint.arb(0), witness=at))
            if name != "power":
                answers.append(certified.agree([mean], [known(name, mu, pi, p)], witnesses=[at]))
        beyond = objective(divergence.generators["power"], Ball.number("3/2"), law)
        at = witness_of(law, f="w^(3/2)")
        answers.append(certified.compare(beyond, "<", flint.arb(0), witness=at))
    # phi'' as a power series in w, and from f by its formula.
    w, p = Ball.number("5/7"), Ball.number("1/3")
    bent = certified.derivatives(lambda x: divergence.generators["power"](x, p, Jet), w, 2)[2]
    f, rise = certified.derivatives(lambda x: WEIGHTS["power"](x, p, Jet), w, 1)
    at = witness_of(THREE_ARMS, w=Fraction(5, 7))
    return all_of(
        [*answers, certified.agree([bent], [divergence.curvature(f, rise, w)], witnesses=[at])]
    )


def known(name: str, mu: list[Any], pi: list[Any], p: Any) -> Any:
    """The divergence that f = 1, -w log w or the sub-Gaussian weight descends, summed."""
    share = 1 / (1 + p)
    blend = [(1 - share) * a + share * b for a, b in zip(mu, pi, strict=True)]
    first, second, scale = {
        "1": (mu, pi, 1),
        "-w log w": (pi, mu, 1),
        "sub-Gaussian": (mu, blend, 1 / share),
    }[name]
    return scale * sum(
        (x * Ball.log(x / y) for x, y in zip(first, second, strict=True)), flint.arb(0)
    )


@CSISZAR.neural(Scope("two laws, four functions, every logit"))
def _(divergence: Any) -> Answer:
    """The reshaped gradient of r = 1 is minus autograd's gradient of the mean of phi."""
    answers = []
    for law in UNREWARDED:
        mu = neural.tensor(law.mu)
        for name, generator in divergence.generators.items():
            p = neural.tensor(parameter(name))

            def mean(z: Any, mu: Any = mu, phi: Any = generator, p: Any = p) -> Any:
                return (mu * phi(z.softmax(0) / mu, p, Tensor)).sum()

            def loss(z: Any, mu: Any = mu, f: Any = WEIGHTS[name], p: Any = p) -> Any:
                log_pi = z.log_softmax(0)
                return (mu * f(log_pi.exp() / mu, p, Tensor).detach() * log_pi).sum()

            down, up = (neural.gradient(side, logits(law)) for side in (mean, loss))
            answers.append(neural.close(up, -down, witness=witness_of(law, f=name)))
    return all_of(answers)


@CSISZAR.without(UNIT_REWARD)
def _(divergence: Any, law: Finite) -> Answer:
    mean = objective(divergence.generators["power"], Ball.number("1/2"), law)
    return certified.compare(mean, ">=", flint.arb(0), witness=witness_of(law))


@CSISZAR.without(PI_IN_MU)
def _(divergence: Any, law: Finite) -> Answer | None:
    if min(law.pi) == 0:
        return None  # w log w at 0 is a limit that balls do not take.
    mean = objective(
        divergence.generators["-w log w"],
        flint.arb(1),
        Finite(law.mu, law.pi, (Fraction(1),) * len(law.mu)),
    )
    # A ball of +infinity where mu misses what pi takes.
    rows = zip(law.mu, law.pi, strict=True)
    kl = sum(
        (Ball.number(b) * Ball.log(Ball.number(b / a)) if a else flint.arb("inf") for a, b in rows),
        flint.arb(0),
    )
    return certified.agree([mean], [kl], witnesses=[witness_of(law)])


CSISZAR.wrong_value(
    "the sign of phi",
    Divergence({**GENERATORS, "power": lambda w, p, m: (m.power(w, p) - 1) / p}, curvature),
)
CSISZAR.wrong_value(
    "the two KLs exchanged",
    Divergence({**GENERATORS, "-w log w": GENERATORS["1"], "1": GENERATORS["-w log w"]}, curvature),
)
CSISZAR.wrong_value(
    "f not falling, for f(w)/w not rising",
    Divergence(GENERATORS, lambda f, rise, w: -rise / w),
)
CSISZAR.wrong_value(
    "phi of mu/pi",
    Divergence({**GENERATORS, "power": lambda w, p, m: (1 - m.power(w, -p)) / p}, curvature),
)

CLAIMS = frozen(POTENTIAL, CSISZAR)
