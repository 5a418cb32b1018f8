"""Past section 7: every distance between log-normal policies is a function of sigma2.

Where log w is normal under mu, with variance sigma2, both KLs are sigma2/2, D_alpha is alpha
sigma2/2, Chernoff's information is sigma2/8, and the total variation is erf of its root.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Number, Real
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import LOGNORMAL
from isr_theory.claims.instances import log_variance, moment, named
from isr_theory.claims.s08_1_ess import SIGMA2, integrated_moment
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import GaussianShift, fractions

ALPHA = sympy.symbols("alpha", positive=True)
T = sympy.symbols("t", real=True)


class Dictionary(NamedTuple):
    """Distances from sigma2 over an arithmetic; the total variation is erf of what is given."""

    kl: Any
    renyi: Any
    chi2: Any
    bhattacharyya: Any
    chernoff: Any
    variation: Any


def divergence(sigma2: Number, alpha: Number) -> Number:
    """D_alpha = alpha sigma2 / 2, of pi from mu as of mu from pi."""
    return alpha * sigma2 / 2


LOG_NORMAL = Dictionary(
    kl=lambda sigma2: sigma2 / 2,
    renyi=divergence,
    chi2=lambda sigma2, m: m.exp(sigma2) - 1,
    bhattacharyya=lambda sigma2, m: m.exp(-sigma2 / 8),
    chernoff=lambda sigma2: sigma2 / 8,
    variation=lambda sigma2, m: m.sqrt(sigma2 / 8),
)

LOGNORMAL_DICTIONARY = Draft(
    "REN.lognormal",
    section="beyond",
    kind=Kind.IDENTITY,
    title=Text("The log-normal dictionary", "对数正态下的散度字典"),
    finding=Text(
        "One number, sigma2, is all of KL, Renyi, chi squared, Bhattacharyya, Chernoff and total "
        "variation, the last being erf of the root of Chernoff's information.",
        "σ² 一个数即决定 KL、Rényi、χ²、Bhattacharyya、Chernoff 与全变差，"
        "后者为 Chernoff 信息平方根的 erf。",
    ),
    statement=r"D_{KL}(\pi\|\mu) = D_{KL}(\mu\|\pi) = \tfrac{\sigma^2}{2},\ "
    r"D_\alpha = \tfrac{\alpha\sigma^2}{2},\ \chi^2 = e^{\sigma^2} - 1,\ "
    r"\textstyle\sum\sqrt{\mu\pi} = e^{-\sigma^2/8},\ C = \tfrac{\sigma^2}{8},\ "
    r"TV = \operatorname{erf}\tfrac{\sigma}{2\sqrt2}",
    subject=LOG_NORMAL,
    expect=Verdict.VERIFIED,
    assumes=(LOGNORMAL,),
    uses=("A7.3", "T7.4", "D6.1"),
    sharpens=("A7.3", "T7.4", "T8.2"),
    source="well known of normal laws; collected and checked here",
    reading="C is Chernoff's information, -min over s of log E[w^s]; chi squared is that of pi "
    "from mu, the same as of mu from pi here; TV is the integral of |pi - mu|/2",
)


@cache
def normal_tail(edge: Any) -> Any:
    """The mass that N(0, 1) has above an edge, integrated."""
    z = sympy.symbols("z", real=True)
    density = sympy.exp(-(z**2) / 2) / sympy.sqrt(2 * sympy.pi)
    return sympy.integrate(density, (z, edge, sympy.oo))


def _in_erf(difference: Any) -> Any:
    return sympy.expand(difference.rewrite(sympy.erf))


@LOGNORMAL_DICTIONARY.symbolic(Scope("every sigma2 and order, log-normal model", whole=True))
def _(words: Any) -> Answer:
    """All from one integrated moment and its slopes; the variation from two tails of z."""
    log_moment = sympy.expand(sympy.expand_log(sympy.log(integrated_moment(T)), force=True))
    slope = sympy.diff(log_moment, T)
    half, sigma = sympy.Rational(1, 2), sympy.sqrt(SIGMA2)
    # pi > mu where log w > 0, z > sigma/2; under pi log w has the mean +sigma2/2: z > -sigma/2.
    variation = normal_tail(-sigma / 2) - normal_tail(sigma / 2)
    # The other way round w is exchanged for 1/w and mu for pi: E_pi[w^-t] = E_mu[w^(1-t)].
    back = log_moment.subs(T, 1 - ALPHA) / (ALPHA - 1)
    return all_of(
        [
            symbolic.equal(words.kl(SIGMA2), slope.subs(T, 1)),
            symbolic.equal(words.kl(SIGMA2), -slope.subs(T, 0)),
            symbolic.equal(
                words.renyi(SIGMA2, ALPHA),
                formulas.renyi(sympy.exp(log_moment.subs(T, ALPHA)), ALPHA, Exact),
            ),
            symbolic.equal(words.renyi(SIGMA2, ALPHA), back),
            symbolic.equal(words.chi2(SIGMA2, Exact), sympy.exp(log_moment.subs(T, 2)) - 1),
            symbolic.equal(words.bhattacharyya(SIGMA2, Exact), sympy.exp(log_moment.subs(T, half))),
            # The least log moment: no slope at 1/2, and convex.
            symbolic.equal(slope.subs(T, half), 0),
            symbolic.positive(sympy.diff(slope, T)),
            symbolic.equal(words.chernoff(SIGMA2), -log_moment.subs(T, half)),
            symbolic.equal(sympy.erf(words.variation(SIGMA2, Exact)), variation, reduce=_in_erf),
        ]
    )


SIZES = fractions("1/3 1 4")


def _expected(function: Any, sigma: Any) -> Any:
    """E[f(z)] for an f that is at most 100 e^(2 sigma |z| + |z|), z standard normal."""
    growth = int(2 * sigma.upper().ceil().unique_fmpz()) + 1
    return certified.gaussian_expectation(function, growth=growth, constant=100)


@cache
def quadratures(size: Fraction) -> tuple[Any, ...]:
    """Both KLs, D of order 3/4, chi squared, Bhattacharyya, Chernoff and the total variation."""
    sigma2, order = Ball.number(size), Ball.number("3/4")
    sigma = Ball.sqrt(sigma2)

    def of_log_w(function: Any) -> Any:
        return _expected(lambda z: function(sigma * z - sigma2 / 2), sigma)

    # |w - 1| is w - 1 above z = sigma/2, whose mean is half of it all, as E[w] = 1. Past 40 it is
    # at most what N(sigma, 1), sigma <= 2, has there, which is below e^(-400).
    above = flint.acb.integral(
        lambda z, _: ((sigma * z - sigma2 / 2).exp() - 1) * (-z * z / 2).exp(),
        flint.acb(sigma / 2),
        flint.acb(40),
    ).real / Ball.sqrt(2 * flint.arb.pi())
    root = of_log_w(lambda x: (x / 2).exp())
    return (
        of_log_w(lambda x: x * x.exp()),
        of_log_w(lambda x: -x),
        Ball.log(of_log_w(lambda x: (order * x).exp())) / (order - 1),
        of_log_w(lambda x: (x.exp() - 1) * (x.exp() - 1)),
        root,
        -Ball.log(root),
        above + flint.arb(0, Ball.exp(Ball.number(-400)).upper()),
    )


@LOGNORMAL_DICTIONARY.certified(Scope("sigma2 = 1/3, 1 and 4; D of order 3/4"))
def _(words: Any) -> Answer:
    """Each distance by rigorous quadrature over z, log w = sigma z - sigma2/2."""
    found: list[Any] = []
    stated, witnesses = [], []
    for size in SIZES:
        sigma2 = Ball.number(size)
        found += quadratures(size)
        stated += [
            words.kl(sigma2),
            words.kl(sigma2),
            words.renyi(sigma2, Ball.number("3/4")),
            words.chi2(sigma2, Ball),
            words.bhattacharyya(sigma2, Ball),
            words.chernoff(sigma2),
            words.variation(sigma2, Ball).erf(),
        ]
        witnesses += [Witness.at(sigma2=size)] * 7
    return certified.agree(found, stated, witnesses=witnesses)


@LOGNORMAL_DICTIONARY.sampled(Scope("total variation at sigma2 = 1"), resolution=0.01)
def _(words: Any, trial: Trial) -> Answer:
    """|pi - mu|/(pi + mu), between 0 and 1, drawn half the time from each."""
    law = GaussianShift(SIZES[1])

    def draw(rng: np.random.Generator, n: int) -> Any:
        y = law.sample(rng, n) + (rng.random(n) < 0.5)
        return np.abs(np.tanh(law.log_w(y) / 2))

    mean = trial.mean("total variation", draw, 0.0, 1.0)
    stated = float(sympy.erf(words.variation(1.0, Real)))
    return trial.agrees(mean, stated, witness=Witness.at(sigma2=1))


@LOGNORMAL_DICTIONARY.without(LOGNORMAL)
def _(words: Any, model: Any) -> Answer:
    size, half = log_variance(model), Ball.number("1/2")
    found = formulas.renyi(moment(model, half), half, Ball)
    return certified.agree([found], [words.renyi(size, half)], witnesses=[named(model)])


def planted(**words: Any) -> Dictionary:
    """Return the dictionary with a wrong word."""
    return LOG_NORMAL._replace(**words)


LOGNORMAL_DICTIONARY.wrong_value("KL of sigma2", planted(kl=lambda s: s))
LOGNORMAL_DICTIONARY.wrong_value("alpha squared", planted(renyi=lambda s, a: a * a * s / 2))
LOGNORMAL_DICTIONARY.wrong_value("chi squared to first order", planted(chi2=lambda s, m: s))
LOGNORMAL_DICTIONARY.wrong_value(
    "Bhattacharyya of sigma2/4", planted(bhattacharyya=lambda s, m: m.exp(-s / 4))
)
LOGNORMAL_DICTIONARY.wrong_value("Chernoff for Bhattacharyya", planted(chernoff=lambda s: s / 4))
LOGNORMAL_DICTIONARY.wrong_value(
    "the variation without its root of 2", planted(variation=lambda s, m: m.sqrt(s) / 2)
)


@LOGNORMAL_DICTIONARY.number("total variation at sigma2 = 1")
def _() -> str:
    return certified.digits(LOG_NORMAL.variation(Ball.number(1), Ball).erf())


CLAIMS = frozen(LOGNORMAL_DICTIONARY)
