"""Section 6.2, Theorem 6.3: the variance of the estimated gradient and the weights' second moment.

The theorem prints Var = C E_mu[w^(2 gamma)] and E_mu[w^(2 gamma)] = e^((2 gamma - 1) D_(2 gamma)).
The second is true of every law; the first fails on two arms, and even in direction.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy

from isr_theory import formulas, spaces
from isr_theory.arithmetic import Arithmetic, Ball, Exact, Number, Real, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.enumerated import logits, one_logit_variance, witness_of
from isr_theory.claims.s06_1_1_renyi import enclosed_divergence, summed_moment
from isr_theory.claims.s06_1_2_moments import gaussian_divergence, gives_every_moment_back
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of
from isr_theory.engines.montecarlo import Trial
from isr_theory.formulas import Law
from isr_theory.models import RARE_ARM, THREE_ARMS, TWO_ARMS, Finite, GaussianShift

# gamma = 1/2 is left out: D_1 is a limit.
GAMMAS = tuple(Fraction(g) for g in ("1/4", "3/4", "1"))
POINTS = [(law, gamma) for law in (THREE_ARMS, RARE_ARM) for gamma in GAMMAS]


def printed_size(mu: Law, pi: Law, gamma: Number, m: Arithmetic) -> Number:
    """E_mu[w^(2 gamma)], to which the theorem says that the variance is proportional."""
    return formulas.moment(mu, pi, 2 * gamma, m)


T6_3_A = Draft(
    "T6.3.a",
    section="6.2",
    kind=Kind.IDENTITY,
    title=Text(
        "The variance is proportional to the weights' second moment", "方差正比于 E[w^{2γ}]"
    ),
    finding=Text(
        "False, even in direction: on two arms the variance falls from 1/4 to 81/2500 as gamma "
        "goes from 0 to 1, while the second moment rises from 1 to 41/25.",
        "不成立，连增减方向都可相反：两臂例中 γ 由 0 到 1，方差从 1/4 降至 81/2500，"
        "而 E[w^{2γ}] 从 1 升至 41/25。",
    ),
    statement=r"\mathrm{Var}(\hat g_\gamma) \propto \mathbb{E}_\mu[w^{2\gamma}]",
    subject=printed_size,
    expect=Verdict.REFUTED,
    printed_proof=PrintedProof.WRONG,
    proof_remark=Text(
        "It drops score and reward from the second moment as if they were constant, and the "
        "squared mean with them.",
        "把二阶矩中的得分与奖励当作常数略去，均值的平方也一并略去。",
    ),
    uses=("D1.1", "T6.3.b"),
    reading="the factor does not depend on gamma, and is not negative: so both rise or both fall. "
    "One logit; the proof's dominant part, the mean of w^(2 gamma) r^2 s^2, falls as well",
)
ENDS = witness_of(TWO_ARMS, gamma=(0, 1))


def rises(size: Any, m: Arithmetic) -> Number:
    """How much the printed size rises from gamma = 0 to 1 on two arms."""
    mu, pi, _ = TWO_ARMS.numbers(m)
    return size(mu, pi, m.number(1), m) - size(mu, pi, m.number(0), m)


def dominant_part(gamma: int, m: Arithmetic) -> Number:
    """E_mu[w^(2 gamma) s^2] of the two arms and one logit, s = (pi_2, -pi_1)."""
    mu, pi, _ = TWO_ARMS.numbers(m)
    values = [(pi[0] / mu[0]) ** gamma * pi[1], (pi[1] / mu[1]) ** gamma * pi[0]]
    return sum(a * v * v for a, v in zip(mu, values, strict=True))


@T6_3_A.symbolic(Scope("the witness"))
def _(size: Any) -> Answer:
    """Both variances enumerated, as fractions."""
    early, late = (one_logit_variance(TWO_ARMS, gamma, Exact) for gamma in (0, 1))
    return symbolic.compare((late - early) * rises(size, Exact), ">=", 0, witness=ENDS)


@T6_3_A.symbolic(Scope("the witness"))
def _(size: Any) -> Answer:
    """The dominant part of both variances, as fractions."""
    early, late = (dominant_part(gamma, Exact) for gamma in (0, 1))
    return symbolic.compare((late - early) * rises(size, Exact), ">=", 0, witness=ENDS)


def one_logit_terms(law: Finite, gamma: Fraction, m: Arithmetic) -> tuple[Number, Number]:
    """Variance and squared mean of w^gamma r s on two arms, by the difference of the arms."""
    mu, pi, reward = law.numbers(m)
    signed = [reward[0] * pi[1], -reward[1] * pi[0]]
    x, y = (m.power(b / a, m.number(gamma)) * v for a, b, v in zip(mu, pi, signed, strict=True))
    mean = mu[0] * x + mu[1] * y
    return mu[0] * mu[1] * (x - y) * (x - y), mean * mean


@T6_3_A.certified(Scope("the witness"))
def _(size: Any) -> Answer:
    """Both variances from the difference of the arms, in balls."""
    (early, _), (late, _) = (one_logit_terms(TWO_ARMS, Fraction(g), Ball) for g in (0, 1))
    return certified.compare((late - early) * rises(size, Ball), ">=", 0, witness=ENDS)


@T6_3_A.certified(Scope("the witness"))
def _(size: Any) -> Answer:
    """The dominant part: that variance and the squared mean, in balls."""
    early, late = (sum(one_logit_terms(TWO_ARMS, Fraction(g), Ball)) for g in (0, 1))
    return certified.compare((late - early) * rises(size, Ball), ">=", 0, witness=ENDS)


def scores(law: Finite) -> Any:
    """The scores of softmax at the law's policy by autograd, one row per arm."""
    return neural.torch().autograd.functional.jacobian(lambda z: z.log_softmax(0), logits(law))


def centred_variance(law: Finite, gamma: float, columns: slice = slice(None)) -> Any:
    """Tr Cov of w^gamma r s in some logits, from autograd scores and their distance to the mean."""
    mu, pi, reward = (neural.tensor(row) for row in (law.mu, law.pi, law.reward))
    rows = ((pi / mu) ** gamma * reward)[:, None] * scores(law)[:, columns]
    mean = (mu[:, None] * rows).sum(0)
    return (mu[:, None] * (rows - mean) ** 2).sum()


@T6_3_A.neural(Scope("the witness"))
def _(size: Any) -> Answer:
    """Scores by autograd of log softmax, and their variance under mu."""
    variances = [centred_variance(TWO_ARMS, gamma, slice(1)) for gamma in (0.0, 1.0)]
    both = (variances[1] - variances[0]) * rises(size, Tensor)
    return neural.compare(both, ">", 0, witness=ENDS)


@T6_3_A.margin(spaces.finite(2, gamma=("1/10", "1")), spaces.finite(3, gamma=("1/10", "1")))
def _(size: Any, case: Any, m: Any) -> Any:
    mu, pi, _ = case.model.numbers(m)
    gamma, zero = m.number(case["gamma"]), m.number(0)

    def variance(t: Any) -> Any:
        score = [1 - pi[0], *(-pi[0] for _ in pi[1:])]
        terms = [m.power(b / a, t) * s for a, b, s in zip(mu, pi, score, strict=True)]
        mean = sum(a * x for a, x in zip(mu, terms, strict=True))
        return sum(a * (x - mean) * (x - mean) for a, x in zip(mu, terms, strict=True))

    # Proportional with a factor >= 0: both rise from gamma = 0, or both fall.
    return (variance(gamma) - variance(zero)) * (size(mu, pi, gamma, m) - size(mu, pi, zero, m))


@T6_3_A.right("the variance itself")
def _(mu: Any, pi: Any, gamma: Any, m: Any) -> Any:
    terms = [m.power(b / a, gamma) * s for a, b, s in zip(mu, pi, (pi[1], -pi[0]), strict=True)]
    mean = sum(a * x for a, x in zip(mu, terms, strict=True))
    return sum(a * (x - mean) * (x - mean) for a, x in zip(mu, terms, strict=True))


@T6_3_A.number("n Var at gamma = 0 on two arms")
def _() -> str:
    return str(one_logit_variance(TWO_ARMS, 0, Exact))


@T6_3_A.number("n Var at gamma = 1 on two arms")
def _() -> str:
    return str(one_logit_variance(TWO_ARMS, 1, Exact))


@T6_3_A.number("dominant part at gamma = 0 on two arms")
def _() -> str:
    return str(dominant_part(0, Exact))


@T6_3_A.number("dominant part at gamma = 1 on two arms")
def _() -> str:
    return str(dominant_part(1, Exact))


@T6_3_A.number("E[w^2] on two arms")
def _() -> str:
    return str(printed_size(*TWO_ARMS.numbers(Exact)[:2], sympy.S.One, Exact))


T6_3_B = Draft(
    "T6.3.b",
    section="6.2",
    kind=Kind.IDENTITY,
    title=Text(
        "The second moment of the weights is a Renyi divergence", "权重二阶矩与 D_{2γ} 的恒等式"
    ),
    finding=Text(
        "True of any two laws: Theorem 6.2 at order 2 gamma; at gamma = 1/2 by continuity.",
        "对任意两分布成立：即定理 6.2 取阶 2γ；γ = 1/2 处按连续性理解。",
    ),
    statement=r"\mathbb{E}_\mu[w^{2\gamma}]"
    r" = \exp\bigl((2\gamma-1) D_{2\gamma}(\pi\|\mu)\bigr)",
    subject=formulas.second_moment_from_renyi,
    expect=Verdict.VERIFIED,
    printed_proof=PrintedProof.COMPLETE,
    uses=("D6.1", "T6.2"),
    reading="the right-hand equality of Theorem 6.3, read as Theorem 6.2 is: at gamma = 1/2 the "
    "right side is its limit from the left, and at gamma = 0, E_mu[w^0] is mu(pi > 0)",
)


@T6_3_B.symbolic(Scope("any two laws: E_mu[w^(2 gamma)] is any number in [0, inf]", whole=True))
def _(second: Any) -> Answer:
    """D written out by its definition for a free moment; gamma = 1/2 and 0 by their limits."""
    return all_of(gives_every_moment_back(lambda d, alpha: second(d, alpha / 2, Exact)))


@T6_3_B.certified(Scope("two laws at three gammas"))
def _(second: Any) -> Answer:
    """The sum over outcomes; D from the divergences of the law between mu and pi."""
    return certified.agree(
        [summed_moment(law, 2 * Ball.number(g), Ball) for law, g in POINTS],
        [second(enclosed_divergence(law, 2 * g), Ball.number(g), Ball) for law, g in POINTS],
        witnesses=[Witness.at(mu=law.mu, pi=law.pi, gamma=g) for law, g in POINTS],
    )


@T6_3_B.sampled(Scope("sigma2 = 1, gamma = 3/4, Gaussian shift"), resolution=0.05)
def _(second: Any, trial: Trial) -> Answer:
    """The second moment of a Gaussian shift, drawn from a mixture that bounds the weights."""
    mean = trial.mean("second moment", *GaussianShift(Fraction(1)).power(1.5))
    closed = second(gaussian_divergence(1.0, 1.5), 0.75, Real)
    return trial.agrees(mean, closed, witness=Witness.at(sigma2=1, gamma=Fraction(3, 4)))


@T6_3_B.wrong("gamma - 1 for 2 gamma - 1")
def _(divergence: Any, gamma: Any, m: Any) -> Any:
    return m.exp((gamma - 1) * divergence)


@T6_3_B.wrong("the first moment's exponent, doubled")
def _(divergence: Any, gamma: Any, m: Any) -> Any:
    return m.exp(2 * (gamma - 1) * divergence)


@T6_3_B.wrong("2 gamma for 2 gamma - 1")
def _(divergence: Any, gamma: Any, m: Any) -> Any:
    return m.exp(2 * gamma * divergence)


@T6_3_B.wrong("sign of the exponent")
def _(divergence: Any, gamma: Any, m: Any) -> Any:
    return m.exp((1 - 2 * gamma) * divergence)


CLAIMS = frozen(T6_3_A, T6_3_B)
