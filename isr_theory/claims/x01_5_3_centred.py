"""Past section 4: where rewards less their mean lead.

The summit of w^gamma is then another one, without what earns no more than the mean.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.moving import GAMMA, MU, C, R
from isr_theory.claims.x01_2_1_summit import SHARE, objective
from isr_theory.claims.x01_5_1_signed import at_rest, mixtures, positive_part
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.models import FOUR_ARMS, THREE_ARMS, TWO_ARMS, Finite

A, B, D = sympy.symbols("a b d", positive=True)
HALF = Fraction(1, 2)

VARIED_REWARD = Assumption(
    "varied_reward",
    Text("The reward is not constant where mu has mass.", "奖励在 μ 的支撑上不是常数。"),
    lambda law: len({r for a, r in zip(law.mu, law.reward, strict=True) if a > 0}) > 1,
    examples=(THREE_ARMS, FOUR_ARMS),
    violations=(TWO_ARMS,),
    draw=lambda rng: Finite(*_varied(Finite.drawn(rng))),
)


def _varied(law: Finite) -> tuple[Any, Any, Any]:
    raised = tuple(r + y for y, r in enumerate(sorted(law.reward)))
    return law.mu, law.pi, raised


class Centred(NamedTuple):
    """What is subtracted, of mu and r; and the summit of mu, r, that level and gamma."""

    level: Any
    law: Any

    def summit(self, mu: Any, reward: Any, gamma: Any, m: Arithmetic) -> list[Any]:
        """Return the summit at the centred rewards."""
        return list(self.law(mu, reward, self.level(mu, reward), gamma, m))


def average(mu: Any, reward: Any) -> Any:
    """E_mu[r]."""
    return sum(a * r for a, r in zip(mu, reward, strict=True))


def above(mu: Any, reward: Any, level: Any, gamma: Number, m: Arithmetic) -> list[Number]:
    """Mu (r - level)_+^(1/(1-gamma)), normalised."""
    return formulas.fixed_point(mu, [positive_part(r - level, m) for r in reward], gamma, m)


def _logs(difference: Any) -> Any:
    return sympy.simplify(sympy.expand_log(difference, force=True))


ABOVE = Centred(average, above)

CENTRED = Draft(
    "OBJ.centred",
    section="beyond",
    kind=Kind.OPTIMUM,
    title=Text("Where centred rewards lead", "奖励中心化后的最优点"),
    finding=Text(
        "With r - E_mu[r] for r, as in group-relative advantages, the summit of w^gamma gives"
        " nothing to what earns no more than the mean, where q_gamma gives it its share.",
        "以 r − E_μ[r]（组内相对优势）代替 r 后，最优点给所有不高于均值的结果概率 0，"
        "而 q_γ 仍给它们相应的份额。",
    ),
    statement=r"\arg\max_\pi\,\mathbb{E}_\mu[w^\gamma (r - \mathbb{E}_\mu r)]"
    r" \propto \mu\,(r - \mathbb{E}_\mu r)_+^{1/(1-\gamma)}\quad (0 < \gamma < 1)",
    subject=ABOVE,
    expect=Verdict.VERIFIED,
    assumes=(VARIED_REWARD,),
    uses=("OBJ.signed", "OBJ.baseline"),
    sharpens=("T4.2.a", "P5.3.fix"),
    source="new here, from the summit for rewards of both signs",
    reading="finitely many outcomes, and the mean is that of mu; division by a standard deviation "
    "changes nothing here; with rewards of 0 and 1 the summit is that of OBJ.binary, unmoved",
)


# Of these three outcomes earn more than the mean, 38/25.
SPREAD = Finite.of("7/10 1/5 9/100 1/100", "1/10 1/5 3/10 2/5", "1 3 2 4")


@CENTRED.symbolic(
    Scope("every law, by OBJ.signed: two outcomes above the mean and the rest below", whole=True)
)
def _(centred: Any) -> Answer:
    """The mean of rewards r + c, r + d and what balances them; the shares at such rewards."""
    rest = 1 - MU - A
    balance = (MU * C + A * D) / rest
    point = {MU: sympy.Rational(1, 5), A: sympy.Rational(1, 7), C: 2, D: 3, R: 5}
    level = centred.level([MU, A, rest], [R + C, R + D, R - balance])
    # Some mass below the mean, and some at it.
    law = centred.law([MU, A, B, B], [R + C, R + D, R - B, R], R, SHARE, Exact)
    odds = sympy.log(sympy.powsimp(sympy.simplify(law[0] / law[1])))
    stated = sympy.log(MU / A) + (1 + GAMMA) * sympy.log(C / D)
    return all_of(
        [
            symbolic.equal(level, R, points=[point]),
            symbolic.equal(odds, stated, reduce=_logs),
            symbolic.equal(law[2], 0),
            symbolic.equal(law[3], 0),
        ]
    )


@CENTRED.certified(Scope("two laws, two exponents, against ten policies or more"))
def _(centred: Any) -> Answer:
    """J at centred rewards is larger there than at mixtures with mu, pi and each outcome."""
    answers = []
    for model in (THREE_ARMS, SPREAD):
        mu, pi, reward = model.numbers(Ball)
        lowered = [Ball.number(r - average(model.mu, model.reward)) for r in model.reward]
        for exponent in (Fraction(1, 3), Fraction(4, 5)):
            gamma, at = Ball.number(exponent), witness_of(model, gamma=exponent)
            best = centred.summit(mu, reward, gamma, Ball)
            top = objective(mu, best, lowered, gamma, Ball)
            for other in mixtures(best, mu, pi, Ball):
                below = objective(mu, other, lowered, gamma, Ball)
                answers.append(certified.compare(below, "<", top, witness=at))
    return all_of(answers)


@CENTRED.neural(Scope("two laws, gamma = 1/2, what is not above the mean at mass e^-60"))
def _(centred: Any) -> Answer:
    """The slope of the loss with centred rewards is 0, to e^-30."""
    answers = []
    for model in (THREE_ARMS, SPREAD):
        mu, _, reward = model.numbers(Real)
        best = neural.tensor(centred.summit(mu, reward, 0.5, Real))
        lowered = [r - average(model.mu, model.reward) for r in model.reward]
        answers.append(at_rest(model, best, lowered))
    return all_of(answers)


CENTRED.meaningless_without(
    VARIED_REWARD,
    "a constant reward is 0 once centred: the gradient is 0 at every policy and all are summits",
)
CENTRED.wrong_value(
    "not centred", ABOVE._replace(law=lambda mu, r, b, g, m: formulas.fixed_point(mu, r, g, m))
)
CENTRED.wrong_value(
    "the mean of the rewards without mu",
    ABOVE._replace(level=lambda mu, reward: sum(reward) / len(reward)),
)
CENTRED.wrong_value(
    "not sharpened",
    ABOVE._replace(law=lambda mu, r, b, g, m: above(mu, r, b, 0 * g, m)),
)


@CENTRED.number("the summit at mu = (3/5, 3/10, 1/10), r = (1, 2, 4) centred, gamma = 1/2")
def _() -> str:
    mu, _, reward = THREE_ARMS.numbers(Exact)
    return ", ".join(map(str, ABOVE.summit(mu, reward, Exact.number(HALF), Exact)))


CLAIMS = frozen(CENTRED)
