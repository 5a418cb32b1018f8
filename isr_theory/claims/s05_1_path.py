"""Section 5.1: the geometric path p_gamma, proportional to mu^(1-gamma) p*^gamma.

It minimises (1-gamma) KL(p || mu) + gamma KL(p || p*), because for every p that objective is
KL(p || p_gamma) - log Z_gamma. It is a straight line in log-probabilities, and not the geodesic of
the Fisher-Rao metric, which is a great circle in square roots of probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Real, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import FINITE_PARTITION, MUTUAL_SUPPORT
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import RARE_ARM, THREE_ARMS, Finite

MU, TARGET, P, X, C, GAMMA = sympy.symbols("mu target p x c gamma", positive=True)
NO_TARGET = "where the total mass of e^(r/tau) is infinite, there is no law p* to lead to"
"""Why nothing can be tried where FINITE_PARTITION does not hold."""
# In these laws the field pi plays p*.
POINTS = [(law, Fraction(g)) for law in (THREE_ARMS, RARE_ARM) for g in ("1/4", "3/5")]


def at(law: Finite, gamma: Any) -> Witness:
    """Name mu, p* and the place on the path."""
    return Witness.at(mu=law.mu, target=law.pi, gamma=gamma)


def ends(law: Finite, m: Any) -> tuple[list[Any], list[Any]]:
    """Return mu and p* in an arithmetic."""
    mu, target, _ = law.numbers(m)
    return mu, target


def reaches_its_ends(density: Any, law: Finite) -> Answer:
    """Say whether the path, a step of 2^-64 before either end, is within 2^-32 of mu and p*.

    With L = log p*/mu no mass moves faster than max L - min L, which is below 2^32 for any law
    that one would write down: what is further away after such a step jumps at the end.
    """
    mu, target = ends(law, Ball)
    step = Fraction(1, 2**64)

    def gaps(gamma: Fraction, end: list[Any]) -> list[Answer]:
        place = Ball.number(gamma)
        near = [density(a, b, place, Ball) for a, b in zip(mu, target, strict=True)]
        pairs = zip(formulas.normalised(near), end, strict=True)
        bound = Ball.number(Fraction(1, 2**32))
        return [certified.compare(abs(p - q), "<", bound, witness=at(law, gamma)) for p, q in pairs]

    return all_of([*gaps(step, mu), *gaps(1 - step, target)])


class Path(NamedTuple):
    """A path from mu to p* at one outcome, up to its mass, and as a law on finitely many."""

    density: Any
    law: Any


def path_density(mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    """mu^(1-gamma) p*^gamma, of which p_gamma is the normalised form."""
    return m.power(mu, 1 - gamma) * m.power(target, gamma)


def wrong_path(density: Callable[..., Any]) -> Path:
    """Return a path whose law is the normalised form of a density."""

    def law(mu: Any, target: Any, gamma: Any, m: Any) -> list[Any]:
        return formulas.normalised(
            [density(*row, gamma, m) for row in zip(mu, target, strict=True)]
        )

    return Path(density, law)


GEOMETRIC = Path(path_density, formulas.geometric_path)
EXCHANGED = wrong_path(lambda a, b, g, m: path_density(b, a, g, m))
MIXTURE = wrong_path(lambda a, b, g, m: (1 - g) * a + g * b)
SQUARED = wrong_path(lambda a, b, g, m: path_density(a, b, g * g, m))
TILTED = wrong_path(lambda a, b, g, m: a * m.power(b, g))

D5_1 = Draft(
    "D5.1",
    section="5.1",
    kind=Kind.DEFINITION,
    title=Text("The geometric path", "几何插值分布"),
    finding=Text(
        "Coherent: its normaliser lies in (0, 1], and it runs without a jump from mu to p*.",
        "自洽：归一化常数属于 (0, 1]，并从 μ 连续地走到 p*。",
    ),
    statement=r"p_\gamma = \mu^{1-\gamma}(p^*)^\gamma / Z_\gamma,\quad"
    r" Z_\gamma = \int \mu^{1-\gamma}(p^*)^\gamma \in (0, 1]",
    subject=GEOMETRIC,
    expect=Verdict.VERIFIED,
    assumes=(FINITE_PARTITION, MUTUAL_SUPPORT),
    uses=("T2.2",),
    reading="in the assumption p* plays pi; the path runs from mu to p*: as gamma goes to 0 and 1 "
    "it tends to them, and does not only take their values there",
)


@D5_1.symbolic(
    Scope(
        "every outcome space, gamma in [0, 1], mu and p* of total mass 1; limits pass under the "
        "integral, as the density is below mu + p*",
        whole=True,
    )
)
def _(path: Any) -> Answer:
    """The density tends to mu and p* at the ends, positive, and below (1-gamma) mu + gamma p*."""
    inner = 1 / (1 + C)
    # X is p*/mu. The gap to the line is convex and touches 0 at X = 1; its integral is 1 - Z.
    gap = 1 - inner + inner * X - path.density(MU, MU * X, inner, Exact) / MU
    return all_of(
        [
            symbolic.equal(path.density(MU, TARGET, 0, Exact), MU),
            symbolic.equal(path.density(MU, TARGET, 1, Exact), TARGET),
            symbolic.limit(path.density(MU, TARGET, GAMMA, Exact), GAMMA, 0, MU),
            symbolic.limit(path.density(MU, TARGET, GAMMA, Exact), GAMMA, 1, TARGET, direction="-"),
            symbolic.positive(path.density(MU, TARGET, inner, Exact)),
            symbolic.equal(gap.subs(X, 1), 0),
            symbolic.equal(sympy.diff(gap, X).subs(X, 1), 0),
            symbolic.positive(sympy.simplify(sympy.diff(gap, X, 2))),
        ]
    )


@D5_1.certified(Scope("three outcomes, every gamma in [1/20, 19/20], and the two ends"))
def _(path: Any) -> Answer:
    """Z is below 1 by bisection, and the law at the ends is mu and p*."""
    mu, target = ends(THREE_ARMS, Ball)

    def slack(gamma: Any) -> Any:
        return 1 - sum(path.density(a, b, gamma, Ball) for a, b in zip(mu, target, strict=True))

    def end(gamma: int, expected: list[Any]) -> Answer:
        law = path.law(mu, target, Ball.number(gamma), Ball)
        return certified.agree(law, expected, witnesses=[at(THREE_ARMS, gamma)] * len(law))

    below = certified.sign_on(
        slack,
        (Fraction(1, 20), Fraction(19, 20)),
        positive=True,
        witness=lambda gamma: at(THREE_ARMS, gamma),
    )
    return all_of([below, end(0, mu), end(1, target)])


@D5_1.sampled(Scope("three outcomes, gamma = 1/4"), resolution=0.05, looks=3)
def _(path: Any, trial: Trial) -> Answer:
    """Sampling mu with the weight (p*/mu)^gamma gives the law, and a mean weight below 1."""
    law, gamma = THREE_ARMS, Fraction(1, 4)
    table = np.exp(float(gamma) * law.log_w())
    edge = float(table.max())
    total = trial.mean(
        "mean weight", lambda rng, n: table[law.sample(rng, n)], 0.0, edge, resolution=0.02
    )

    def mass(rng: np.random.Generator, n: int, outcome: int) -> Any:
        drawn = law.sample(rng, n)
        return table[drawn] * (drawn == outcome)

    closed = path.law(*ends(law, Real), float(gamma), Real)
    first = trial.mean(
        "first", lambda rng, n: mass(rng, n, 0), 0.0, float(table[0]), resolution=0.02
    )
    last = trial.mean("last", lambda rng, n: mass(rng, n, 2), 0.0, edge, resolution=0.02)
    return all_of(
        [
            trial.below(total, 1.0, witness=at(law, gamma)),
            trial.agrees(first / total, closed[0], witness=at(law, gamma)),
            trial.agrees(last / total, closed[2], witness=at(law, gamma)),
        ]
    )


@D5_1.without(MUTUAL_SUPPORT)
def _(path: Any, law: Finite) -> Answer:
    mu, target = ends(law, Ball)
    half = Ball.number("1/2")
    mass = sum(path.density(a, b, half, Ball) for a, b in zip(mu, target, strict=True))
    witness = at(law, Fraction(1, 2))
    return all_of(
        [
            certified.compare(mass, ">", Ball.number(0), witness=witness),
            certified.compare(mass, "<=", Ball.number(1), witness=witness),
            reaches_its_ends(path.density, law),
        ]
    )


D5_1.meaningless_without(FINITE_PARTITION, NO_TARGET)
D5_1.wrong_value("exponents exchanged", EXCHANGED)
D5_1.wrong_value("gamma halved", wrong_path(lambda a, b, g, m: path_density(a, b, g / 2, m)))
D5_1.wrong_value("full exponent on mu", TILTED)


@D5_1.number("p_gamma at mu = (3/5, 3/10, 1/10), p* = (1/5, 3/10, 1/2), gamma = 1/2")
def _() -> str:
    law = formulas.geometric_path(*ends(THREE_ARMS, Ball), Ball.number("1/2"), Ball)
    return ", ".join(certified.digits(p) for p in law)


def mixed_divergence(p: Any, mu: Any, target: Any, gamma: Any, m: Any) -> Any:
    """(1-gamma) KL(p || mu) + gamma KL(p || p*), the objective of Theorem 5.2."""
    return (1 - gamma) * formulas.kl(p, mu, m) + gamma * formulas.kl(p, target, m)


T5_2 = Draft(
    "T5.2",
    section="5.1",
    kind=Kind.OPTIMUM,
    title=Text("The path minimises a convex combination of KLs", "p_γ 是 KL 凸组合的最小点"),
    finding=Text(
        "True: for every p the objective is KL(p || p_gamma) - log Z_gamma; the minimum is unique.",
        "成立：对任意 p，目标等于 KL(p‖p_γ) − log Z_γ，最小点唯一。",
    ),
    statement=r"(1-\gamma)D_{KL}(p\|\mu)+\gamma D_{KL}(p\|p^*)"
    r" = D_{KL}(p\|p_\gamma) - \log Z_\gamma \ \ge\ -\log Z_\gamma = (1-\gamma)D_\gamma(p^*\|\mu)",
    subject=GEOMETRIC,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.GAP,
    proof_remark=Text(
        "It stops at the first-order condition, which does not yet say that the point is a "
        "minimum, or the only one.",
        "只到一阶条件为止，未说明该点是极小点，更未说明唯一。",
    ),
    assumes=(FINITE_PARTITION,),
    uses=("D5.1",),
    reading="0 <= gamma <= 1, and 0 times an infinite divergence is 0; the printed proof stops at "
    "the first-order condition, which does not yet say minimum",
)


@T5_2.symbolic(
    Scope(
        "every outcome space, every p and gamma; KL >= 0, with 0 only for equal laws; p* > 0, and "
        "both sides are infinite where mu = 0 < p, gamma < 1",
        whole=True,
    )
)
def _(path: Any) -> Answer:
    """Outcome by outcome: the objective's integrand is p log(p / unnormalised p_gamma)."""
    objective = (1 - GAMMA) * P * sympy.log(P / MU) + GAMMA * P * sympy.log(P / TARGET)
    divergence = P * sympy.log(P / path.density(MU, TARGET, GAMMA, Exact))
    # The least value, by the definition of D_gamma from Z = E_mu[(p*/mu)^gamma].
    mass = sympy.symbols("Z", positive=True)
    renyi = formulas.renyi(mass, GAMMA, Exact)
    return all_of(
        [
            symbolic.equal(
                objective,
                divergence,
                reduce=lambda d: sympy.expand(sympy.expand_log(d, force=True)),
            ),
            symbolic.equal(-sympy.log(mass), (1 - GAMMA) * renyi),
            symbolic.equal(path.density(0, TARGET, 1 / (1 + C), Exact), 0),
        ]
    )


@T5_2.certified(Scope("two pairs of laws, two exponents each, three laws p each"))
def _(path: Any) -> Answer:
    """The objective at p less that at p_gamma is KL(p || p_gamma), for laws p elsewhere."""

    def excess(law: Finite, gamma: Fraction) -> Answer:
        mu, target = ends(law, Ball)
        exponent = Ball.number(gamma)
        best = path.law(mu, target, exponent, Ball)
        least = mixed_divergence(best, mu, target, exponent, Ball)
        others = [mu, target, formulas.normalised([Ball.number(k + 1) for k in range(len(mu))])]
        gaps = [mixed_divergence(p, mu, target, exponent, Ball) - least for p in others]
        expected = [formulas.kl(p, best, Ball) for p in others]
        return certified.agree(gaps, expected, witnesses=[at(law, gamma)] * len(others))

    return all_of(excess(law, gamma) for law, gamma in POINTS)


@T5_2.neural(Scope("two pairs of laws, two exponents each, softmax logits"))
def _(path: Any) -> Answer:
    """The gradient in the logits is 0 at p_gamma, and the curvature is that of a minimum."""

    def stationary(law: Finite, gamma: Fraction) -> Answer:
        mu, target = ends(law, Tensor)

        def objective(logits: Any) -> Any:
            return mixed_divergence(list(logits.softmax(0)), mu, target, float(gamma), Tensor)

        best = neural.tensor(path.law(*ends(law, Real), float(gamma), Real)).log()
        flat = neural.close(neural.gradient(objective, best), [0] * len(mu), witness=at(law, gamma))
        # Adding a constant to all logits changes nothing: one curvature is 0, the next is the
        # smallest that counts.
        curvature = neural.torch().linalg.eigvalsh(neural.hessian(objective, best))[1]
        return all_of([flat, neural.compare(curvature, ">", 0, witness=at(law, gamma))])

    return all_of(stationary(law, gamma) for law, gamma in POINTS)


T5_2.meaningless_without(FINITE_PARTITION, NO_TARGET)
T5_2.wrong_value("exponents exchanged", EXCHANGED)
T5_2.wrong_value("mixture (1-gamma) mu + gamma p*", MIXTURE)
T5_2.wrong_value("gamma squared", SQUARED)
T5_2.wrong_value("full exponent on mu", TILTED)


@T5_2.number("minimum at mu = (3/5, 3/10, 1/10), p* = (1/5, 3/10, 1/2), gamma = 1/2")
def _() -> str:
    mu, target = ends(THREE_ARMS, Ball)
    half = Ball.number("1/2")
    best = formulas.geometric_path(mu, target, half, Ball)
    return certified.digits(mixed_divergence(best, mu, target, half, Ball))


CLAIMS = frozen(D5_1, T5_2)
