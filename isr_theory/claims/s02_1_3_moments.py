"""Section 2.1, what the forward KL does: it matches moments, and for r = 1 it is likelihood.

Among Gaussian policies the nearest to a target in the forward KL has the target's mean and
variance, so it spreads over all the modes that the target has, and over the valleys between them.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Real, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.enumerated import logits, witness_of
from isr_theory.claims.moving import MOVING, MU, PI, slope
from isr_theory.claims.s02_1_1_tilted import FINITE_TARGET_ENTROPY, falls_with_distance
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import FOUR_ARMS, THREE_ARMS, Finite, drawn_fraction

V, SPREAD, X, REST = sympy.symbols("v s x mu_rest", positive=True)
Y, A, MEAN = sympy.symbols("y a m1", real=True)


class Mixture(NamedTuple):
    """A target with several modes: its parts, each a mass, a mean and a standard deviation."""

    parts: tuple[tuple[Fraction, Fraction, Fraction], ...]

    def moment(self, k: int) -> Fraction:
        """Return the first or the second moment."""
        return sum((c * (a**k + (k == 2) * s * s) for c, a, s in self.parts), Fraction(0))


def mixture(*parts: tuple[int | str, int | str, int | str]) -> Mixture:
    """Build a mixture from exact numbers."""
    return Mixture(tuple((Fraction(c), Fraction(a), Fraction(s)) for c, a, s in parts))


TWO_PEAKS = mixture(("1/2", -3, 1), ("1/2", 3, 1))
UNEVEN = mixture(("1/4", -3, 1), ("3/4", 2, "1/2"))
THREE_PEAKS = mixture(("1/2", 0, "1/3"), ("1/3", 4, 1), ("1/6", -5, 2))
ONE_ATOM = mixture(("1/2", -3, 0), ("1/2", 3, 1))
TARGETS = (TWO_PEAKS, UNEVEN, THREE_PEAKS)


def _drawn(rng: np.random.Generator) -> Mixture:
    share = drawn_fraction(rng, "0", "1")
    peaks = [(drawn_fraction(rng, "-4", "4"), drawn_fraction(rng, "0", "2")) for _ in range(2)]
    return Mixture(((share, *peaks[0]), (1 - share, *peaks[1])))


TWO_MOMENTS = Assumption(
    "two_moments",
    Text("The target has a finite second moment.", "目标分布的二阶矩有限。"),
    lambda model: isinstance(model, Mixture),
    examples=TARGETS,
    violations=("the Cauchy law",),
    draw=_drawn,
)
FINITE_DENSITY_ENTROPY = Assumption(
    "finite_density_entropy",
    Text(
        "The target has a density on the line, of finite entropy.",
        "目标分布在实数轴上有密度，且熵有限。",
    ),
    # A part of deviation 0 is an atom.
    lambda model: isinstance(model, Mixture) and all(s > 0 for _, _, s in model.parts),
    examples=TARGETS,
    violations=(ONE_ATOM,),
    draw=_drawn,
)


def matched_gaussian(first: Any, second: Any, m: Any) -> tuple[Any, Any]:
    """Mean and variance of the nearest Gaussian, from the first two moments of the target."""
    return first, second - first * first


PROP2_1 = Draft(
    "PROP2.1",
    section="2.1",
    kind=Kind.HEURISTIC,
    title=Text("The forward KL is mean-seeking", "Forward KL 是 mean-seeking 的"),
    finding=Text(
        "Sharpened, true: the nearest Gaussian has the target's mean and variance, N(0, 10) for "
        "equal parts N(-3, 1) and N(3, 1).",
        "精确化后成立：最近的高斯与目标同均值、同方差；N(−3,1) 与 N(3,1) 等权混合时为 N(0,10)。",
    ),
    statement=r"\arg\min_{a, v} D_{KL}\bigl(\tilde\pi\,\|\,N(a, v)\bigr)"
    r" = \{(\mathbb{E}_{\tilde\pi}[y],\ \mathrm{Var}_{\tilde\pi}(y))\}",
    subject=matched_gaussian,
    expect=Verdict.VERIFIED,
    assumes=(TWO_MOMENTS, FINITE_DENSITY_ENTROPY),
    uses=("T2.1.a",),
    reading="'mean-seeking, tries to cover all modes': within the Gaussian family the minimiser "
    "takes over mean and spread; this belongs to the family, as without one it is the target",
)


def at_mixture(target: Mixture) -> Witness:
    """Name a mixture."""
    masses, means, deviations = zip(*target.parts, strict=True)
    return Witness.at(mass=masses, mean=means, deviation=deviations)


@PROP2_1.symbolic(Scope("every target with mean m1 and variance s > 0", whole=True))
def _(nearest: Any) -> Answer:
    """The loss above its least is (x - 1 - log x) / 2 + (a - m1)^2 / (2v), x = s/v."""
    second = MEAN**2 + SPREAD

    def loss(mean: Any, variance: Any) -> Any:
        surprise = (Y - mean) ** 2 / (2 * variance) + sympy.log(2 * sympy.pi * variance) / 2
        constant, linear, square = sympy.Poly(surprise, Y).all_coeffs()[::-1]
        return constant + linear * MEAN + square * second

    def gap(x: Any) -> Any:
        return x - 1 - sympy.log(x)

    excess = loss(A, V) - loss(*nearest(MEAN, second, Exact))
    expected = gap(SPREAD / V) / 2 + (A - MEAN) ** 2 / (2 * V)
    return all_of(
        [
            symbolic.equal(excess, expected, reduce=lambda d: sympy.expand_log(sympy.simplify(d))),
            # The gap is convex with its only zero at x = 1.
            symbolic.equal(gap(sympy.Integer(1)), 0),
            symbolic.equal(sympy.diff(gap(X), X).subs(X, 1), 0),
            symbolic.positive(sympy.diff(gap(X), X, 2)),
        ]
    )


def mean_under(target: Mixture, function: Any) -> Any:
    """Enclose the target's mean of a polynomial by quadrature, part by part."""
    total = flint.arb(0)
    for part in target.parts:
        mass, a, s = map(Ball.number, part)

        def along(z: Any, a: Any = a, s: Any = s) -> Any:
            return function(a + s * z)

        # What is squared is at most 20 + 2 |z|, and (20 + 2 |z|)^2 <= 1000 e^|z|.
        total += mass * certified.gaussian_expectation(along, growth=1, constant=1000)
    return total


@PROP2_1.certified(Scope("three mixtures"))
def _(nearest: Any) -> Answer:
    """Both scores of the Gaussian have mean 0 under the target, by rigorous quadrature."""
    found, witnesses = [], []
    for target in TARGETS:
        moments = [Ball.number(target.moment(k)) for k in (1, 2)]
        mean, variance = nearest(*moments, Ball)
        # The slopes of log N(mean, variance), times variance and 2 variance^2.
        found.append(mean_under(target, lambda y, a=mean: y - a))
        found.append(mean_under(target, lambda y, a=mean, v=variance: (y - a) * (y - a) - v))
        witnesses += [at_mixture(target)] * 2
    return certified.agree(found, [flint.arb(0)] * len(found), witnesses=witnesses)


@cache
def hermite() -> tuple[Any, Any]:
    """Nodes and weights of 20-point Gauss quadrature for the standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    module = neural.torch()
    return module.from_numpy(nodes), module.from_numpy(weights / weights.sum())


@PROP2_1.neural(Scope("three mixtures"))
def _(nearest: Any) -> Answer:
    """Autograd of the cross-entropy in mean and log-variance is 0, its Hessian positive."""
    nodes, weights = hermite()
    module = neural.torch()
    answers = []
    for target in TARGETS:

        def loss(at: Any, target: Mixture = target) -> Any:
            policy = module.distributions.Normal(at[0], (at[1] / 2).exp())
            parts = [(float(c), float(a) + float(s) * nodes) for c, a, s in target.parts]
            return -sum(c * (weights * policy.log_prob(y)).sum() for c, y in parts)

        mean, variance = nearest(*(float(target.moment(k)) for k in (1, 2)), Real)
        at = neural.tensor([mean, np.log(variance)])
        bend = neural.hessian(loss, at)
        witness = at_mixture(target)
        answers.append(neural.close(neural.gradient(loss, at), [0, 0], witness=witness))
        answers += [
            neural.compare(e, ">", 0, witness=witness) for e in module.linalg.eigvalsh(bend)
        ]
    return all_of(answers)


PROP2_1.meaningless_without(
    TWO_MOMENTS,
    "where the second moment is infinite, no Gaussian has the target's variance, and the KL to "
    "each of them is infinite",
)


@PROP2_1.without(FINITE_DENSITY_ENTROPY)
def _(nearest: Any, target: Mixture) -> Answer:
    mean, variance = nearest(*(Ball.number(target.moment(k)) for k in (1, 2)), Ball)
    witness = at_mixture(target)
    if not FINITE_DENSITY_ENTROPY.holds(target):
        # What has an atom is infinitely far from every Gaussian: any of them is a minimiser, and
        # would have to be the matched one.
        return certified.agree([mean + 1], [mean], witnesses=[witness])

    def cross_entropy(a: Any, v: Any) -> Any:
        return mean_under(target, lambda y: (y - a) * (y - a)) / (2 * v) + Ball.log(v) / 2

    least = cross_entropy(mean, variance)
    rivals = [cross_entropy(mean + 1, variance), cross_entropy(mean, 2 * variance)]
    return all_of(certified.compare(rival, ">", least, witness=witness) for rival in rivals)


@PROP2_1.wrong("the second moment for the variance")
def _(first: Any, second: Any, m: Any) -> Any:
    return first, second


@PROP2_1.wrong("the standard deviation for the variance")
def _(first: Any, second: Any, m: Any) -> Any:
    return first, m.sqrt(second - first * first)


@PROP2_1.wrong("half the variance, towards one mode")
def _(first: Any, second: Any, m: Any) -> Any:
    return first, (second - first * first) / 2


@PROP2_1.wrong("a deviation off the mean, at a mode")
def _(first: Any, second: Any, m: Any) -> Any:
    return first + m.sqrt(second - first * first), second - first * first


@PROP2_1.number("mean and variance for equal parts N(-3, 1) and N(3, 1)")
def _() -> str:
    first, second = (Exact.number(TWO_PEAKS.moment(k)) for k in (1, 2))
    found = matched_gaussian(first, second, Exact)
    return ", ".join(str(value) for value in found)


SPEC2_1 = Draft(
    "SPEC2.1",
    section="2.1",
    kind=Kind.IDENTITY,
    title=Text("r = 1: maximum likelihood is the forward KL to mu", "r≡1：MLE 等价于 KL(μ‖π)"),
    finding=Text(
        "True: the expected log-likelihood is -KL(mu || pi) - H(mu), and H(mu) is free of pi.",
        "成立：期望对数似然等于 −KL(μ‖π) − H(μ)，而 H(μ) 与 π 无关。",
    ),
    statement=r"\mathbb{E}_\mu[\log\pi] = -D_{KL}(\mu\,\|\,\pi) - H(\mu)",
    subject=formulas.entropy,
    expect=Verdict.VERIFIED,
    assumes=(FINITE_TARGET_ENTROPY,),
    uses=("T2.1.a",),
    reading="the law whose finite entropy is assumed is mu; r = 1 leaves mu as the tilted law",
)


@SPEC2_1.symbolic(
    Scope("every outcome space: outcome by outcome, since the constant is a sum", whole=True)
)
def _(constant: Any) -> Answer:
    """Both integrands cancel but for that of H(mu), which adds up; their slopes in pi are one."""
    divergence = MU * sympy.log(MU / PI)
    left = sympy.expand_log(MU * sympy.log(PI) + divergence, force=True)
    moving = MU * sympy.log(MOVING) + MU * sympy.log(MU / MOVING)
    both = constant([MU, REST], Exact)
    return all_of(
        [
            symbolic.equal(left, -constant([MU], Exact)),
            symbolic.equal(both, constant([MU], Exact) + constant([REST], Exact)),
            symbolic.equal(slope(moving), 0),
            symbolic.equal(formulas.tilted([MU, 1 - MU], [1, 1], Exact)[0], MU),
        ]
    )


SURE = Finite.of("1/20 19/20", "1/3 2/3")
LAWS = (THREE_ARMS, FOUR_ARMS, SURE)


def likelihood_and_kl(law: Finite) -> Any:
    """E_mu[log pi] + KL(mu || pi), summed over the outcomes in balls."""
    mu, pi, _ = law.numbers(Ball)
    rows = zip(mu, pi, strict=True)
    return sum((a * (Ball.log(p) + Ball.log(a / p)) for a, p in rows), flint.arb(0))


@SPEC2_1.without(FINITE_TARGET_ENTROPY)
def _(constant: Any, law: Any) -> Answer:
    if isinstance(law, Finite):
        constants = [-constant(law.numbers(Ball)[0], Ball)]
        return certified.agree([likelihood_and_kl(law)], constants, witnesses=[witness_of(law)])
    return falls_with_distance(
        lambda p, q: p * sympy.log(p / q), lambda p: constant([p], Exact), law
    )


@SPEC2_1.certified(Scope("three laws, and a family with one parameter"))
def _(constant: Any) -> Answer:
    """Likelihood plus KL summed by outcome; the binomial nearest to mu is the one that counts."""
    found = [likelihood_and_kl(law) for law in LAWS]
    expected = [-constant(law.numbers(Ball)[0], Ball) for law in LAWS]
    mu = THREE_ARMS.numbers(Ball)[0]

    def divergence(t: Any) -> Any:
        policy = [t * t, 2 * t * (1 - t), (1 - t) * (1 - t)]
        return -constant(mu, Ball) - sum(a * Jet.log(p) for a, p in zip(mu, policy, strict=True))

    best = certified.root(
        lambda t: certified.derivatives(divergence, t, 1)[1], Fraction(1, 100), Fraction(99, 100)
    )
    # Two draws an outcome: the likelihood is best at the share of successes, mu_1 + mu_2 / 2.
    found.append(best)
    expected.append(mu[0] + mu[1] / 2)
    witnesses = [witness_of(law) for law in (*LAWS, THREE_ARMS)]
    return certified.agree(found, expected, witnesses=witnesses)


@SPEC2_1.neural(Scope("three laws, every logit"))
def _(constant: Any) -> Answer:
    """Cross-entropy less KL, and their autograd slopes, which are both pi - mu."""
    functional = neural.torch().nn.functional
    answers = []
    for law in LAWS:
        mu = neural.tensor(law.mu)

        def cross_entropy(z: Any, mu: Any = mu) -> Any:
            return functional.cross_entropy(z, mu)

        def divergence(z: Any, mu: Any = mu) -> Any:
            return functional.kl_div(z.log_softmax(0), mu, reduction="sum")

        at, witness = logits(law), witness_of(law)
        difference = cross_entropy(at) - divergence(at)
        answers.append(neural.close([difference], [constant(list(mu), Tensor)], witness=witness))
        for loss in (cross_entropy, divergence):
            expected = neural.tensor(law.pi) - mu
            answers.append(neural.close(neural.gradient(loss, at), expected, witness=witness))
    return all_of(answers)


@SPEC2_1.sampled(Scope("three arms"), resolution=0.02)
def _(constant: Any, trial: Trial) -> Answer:
    """The mean of log pi over samples of mu, plus KL."""
    law = THREE_ARMS
    mu, pi, _ = law.numbers(Real)
    table = np.log(pi)
    mean = trial.mean(
        "log pi", lambda rng, n: table[law.sample(rng, n)], float(table.min()), float(table.max())
    )
    divergence = sum(a * np.log(a / p) for a, p in zip(mu, pi, strict=True))
    return trial.agrees(mean + divergence, -constant(mu, Real), witness=witness_of(law))


@SPEC2_1.wrong("its sign")
def _(p: Any, m: Any) -> Any:
    return sum(a * m.log(a) for a in p)


@SPEC2_1.wrong("in bits")
def _(p: Any, m: Any) -> Any:
    return formulas.entropy(p, m) / m.log(m.number(2))


@SPEC2_1.wrong("Renyi's entropy of order 2")
def _(p: Any, m: Any) -> Any:
    return -m.log(sum(a * a for a in p))


@SPEC2_1.wrong("Tsallis' entropy of order 2")
def _(p: Any, m: Any) -> Any:
    return sum(a * (1 - a) for a in p)


CLAIMS = frozen(PROP2_1, SPEC2_1)
