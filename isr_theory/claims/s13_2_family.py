"""Section 13.2: the picture of the family, from SFT at gamma = 0 to RL at gamma = 1.

What the picture labels and can be tested is a claim: the two ends, the middle, the variance, the
bias at gamma = 1, and the passage from mean-seeking to mode-seeking.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Tensor
from isr_theory.claim import Answer, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import PI_IN_MU, UNIT_REWARD
from isr_theory.claims.enumerated import (
    enumerated_balls,
    enumerated_gradient,
    logits,
    one_logit_variance,
    witness_of,
)
from isr_theory.claims.moving import along_logits
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.models import RARE_ARM, THREE_ARMS, TWO_ARMS, Finite, fractions

A, B, P, Q, R, S, T = sympy.symbols("a b p q r s t", positive=True)
SIGMA2, L = sympy.symbols("sigma2 L", positive=True)
MEAN = sympy.symbols("m", real=True)
REST = Scope("every law: one outcome against the rest, by linearity of the mean", whole=True)


ENDS = witness_of(TWO_ARMS, gamma=(0, 1))

GEN_SFT = Draft(
    "GEN13.2.1",
    section="13.2",
    kind=Kind.IDENTITY,
    title=Text("The end gamma = 0 is SFT by forward KL", "γ=0 端：SFT 与前向 KL"),
    finding=Text(
        "True for r = 1: the gradient in the logits is mu - pi, that of -KL(mu || pi).",
        "r≡1 时成立：对 logit 的梯度为 μ−π，即 −KL(μ‖π) 的梯度。",
    ),
    statement=r"g_0 = -\nabla D_{KL}(\mu\|\pi_\theta),\quad r \equiv 1",
    subject=formulas.reshaped_gradient,
    expect=Verdict.VERIFIED,
    assumes=(UNIT_REWARD,),
    uses=("SPEC2.1", "D4.1"),
)


@GEN_SFT.symbolic(REST)
def _(gradient: Any) -> Answer:
    """The gradient in one outcome's logit is its mass under mu less its mass under pi."""
    slope = gradient([A, 1 - A], [P, 1 - P], [1, 1], sympy.Integer(0), Exact)[0]
    return symbolic.equal(slope, A - P)


@GEN_SFT.neural(Scope("four arms"))
def _(gradient: Any) -> Answer:
    """Autograd of the forward KL through softmax."""
    law = RARE_ARM
    mu, pi = neural.tensor(law.mu), neural.tensor(law.pi)

    def divergence(z: Any) -> Any:
        return (mu * (mu.log() - neural.torch().log_softmax(z, -1))).sum()

    ones = neural.torch().ones_like(mu)
    slope = neural.torch().stack(list(gradient(mu, pi, ones, neural.tensor(0), Tensor)))
    expected = -neural.gradient(divergence, logits(law))
    return neural.close(slope, expected, witness=witness_of(law, gamma=0))


@GEN_SFT.wrong("the other end")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.reshaped_gradient(mu, pi, reward, 1 - gamma, m)


@GEN_SFT.wrong("sign")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return [-x for x in formulas.reshaped_gradient(mu, pi, reward, gamma, m)]


@GEN_SFT.wrong("the reverse divergence")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    level = formulas.kl(pi, mu, m)
    return [b * (level - m.log(b / a)) for a, b in zip(mu, pi, strict=True)]


@GEN_SFT.without(UNIT_REWARD)
def _(gradient: Any, law: Finite) -> Answer:
    mu, pi, reward = law.numbers(Ball)
    return certified.agree(
        gradient(mu, pi, reward, flint.arb(0), Ball),
        [a - b for a, b in zip(mu, pi, strict=True)],
        witnesses=[witness_of(law, gamma=0)] * len(mu),
    )


GEN_HALF = Draft(
    "GEN13.2.2",
    section="13.2",
    kind=Kind.IDENTITY,
    title=Text("gamma = 1/2 is a balance", "γ=1/2 为平衡点"),
    finding=Text(
        "Sharpened, true: for r = 1 it climbs the Bhattacharyya coefficient, which treats "
        "pi and mu alike.",
        "限定含义后成立：r≡1 时它最大化 Bhattacharyya 系数，该系数对 π 与 μ 对称。",
    ),
    statement=r"M_\gamma(\pi\|\mu) = M_{1-\gamma}(\mu\|\pi),\quad "
    r"g_{1/2} = \nabla\, 2\textstyle\sum\sqrt{\mu\pi}",
    subject=formulas.moment,
    expect=Verdict.VERIFIED,
    uses=("T6.2",),
    assumes=(UNIT_REWARD,),
    reading="'balance' is sharpened to symmetry under exchange of pi and mu, which singles out "
    "gamma = 1/2; a balance of seeking or of errors is not claimed",
)


@GEN_HALF.symbolic(Scope("every law, outcome by outcome", whole=True))
def _(moment: Any) -> Answer:
    """Exchanging pi and mu turns gamma into 1 - gamma, and the slope at 1/2 is w^(1/2)."""
    term = moment([A], [P], T, Exact)
    half = sympy.Rational(1, 2)
    # d/dtheta of 2 sqrt(a p) is sqrt(a p) dlog p/dtheta: the integrand of g at gamma = 1/2.
    slope = P * sympy.diff(2 * moment([A], [P], half, Exact), P)
    return all_of(
        [
            symbolic.equal(term, moment([P], [A], 1 - T, Exact)),
            symbolic.equal(slope, A * sympy.sqrt(P / A)),
        ]
    )


@GEN_HALF.certified(Scope("two laws"))
def _(moment: Any) -> Answer:
    """At 1/2 the sum of sqrt(mu pi) in balls, which is also the squared Hellinger distance."""
    found, expected, witnesses = [], [], []
    for law in (THREE_ARMS, RARE_ARM):
        mu, pi, _ = law.numbers(Ball)
        gaps = [Ball.sqrt(a) - Ball.sqrt(b) for a, b in zip(mu, pi, strict=True)]
        found.append(moment(mu, pi, Ball.number("1/2"), Ball))
        expected.append(1 - sum((gap * gap for gap in gaps), flint.arb(0)) / 2)
        witnesses.append(witness_of(law, gamma=Fraction(1, 2)))
    return certified.agree(found, expected, witnesses=witnesses)


@GEN_HALF.neural(Scope("three arms, r = 1"))
def _(moment: Any) -> Answer:
    """The gradient of twice the moment at 1/2 against the enumerated gradient."""
    law = Finite(THREE_ARMS.mu, THREE_ARMS.pi, (Fraction(1),) * 3)
    mu = neural.tensor(law.mu)
    slope = neural.gradient(
        lambda z: 2 * moment(mu, neural.torch().softmax(z, -1), neural.tensor(0.5), Tensor),
        logits(law),
    )
    expected = enumerated_gradient(law, Fraction(1, 2))
    return neural.close(slope, expected, witness=witness_of(law, gamma=Fraction(1, 2)))


@GEN_HALF.wrong("exponents exchanged and doubled")
def _(mu: Any, pi: Any, t: Any, m: Any) -> Any:
    return sum(m.power(a, 2 - 2 * t) * m.power(b, 2 * t) for a, b in zip(mu, pi, strict=True))


@GEN_HALF.wrong("the exponent of mu unchanged")
def _(mu: Any, pi: Any, t: Any, m: Any) -> Any:
    return sum(m.power(a, t / 2) * m.power(b, t) for a, b in zip(mu, pi, strict=True))


@GEN_HALF.wrong("the exponent squared")
def _(mu: Any, pi: Any, t: Any, m: Any) -> Any:
    return formulas.moment(mu, pi, t * t, m)


@GEN_HALF.without(UNIT_REWARD)
def _(moment: Any, law: Finite) -> Answer:
    mu, pi, _ = law.numbers(Ball)
    half = Ball.number("1/2")
    climbed = along_logits(lambda policy: 2 * moment(mu, policy, half, Jet), pi)
    witnesses = [witness_of(law, gamma=Fraction(1, 2))] * len(mu)
    return certified.agree(climbed, enumerated_balls(law, Fraction(1, 2)), witnesses=witnesses)


GEN_RL = Draft(
    "GEN13.2.3",
    section="13.2",
    kind=Kind.IDENTITY,
    title=Text("The end gamma = 1 is reverse KL", "γ=1 端：反向 KL"),
    finding=Text(
        "False: at pi = p* the reverse KL is at rest, while g_1 goes on to the best outcome.",
        "不成立：在 π = p* 处反向 KL 已驻定，而 g_1 仍向最优结果移动。",
    ),
    statement=r"g_1 \propto -\nabla D_{KL}(\pi_\theta\|p^*)",
    subject=formulas.reshaped_gradient,
    expect=Verdict.REFUTED,
    uses=("T2.2", "D4.1"),
)
# r = (log 4, 0) and tau = 1 make p* = (4/5, 1/5), an exact law.
AT_REST = Witness.at(mu="(2/3, 1/3)", pi="(4/5, 1/5)", reward="(log 4, 0)", tau=1, gamma=1)
BEHAVIOUR, OPTIMUM = fractions("2/3 1/3"), fractions("4/5 1/5")


@GEN_RL.symbolic(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """Exact algebra at pi = p*, where the divergence has no slope, so g must be 0."""
    mu, pi = ([Exact.number(x) for x in law] for law in (BEHAVIOUR, OPTIMUM))
    slope = gradient(mu, pi, [sympy.log(4), sympy.Integer(0)], sympy.Integer(1), Exact)[0]
    return symbolic.compare(slope, "==", 0, witness=AT_REST)


@GEN_RL.neural(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """The reverse KL's slope by autograd, which any multiple of g would have to equal."""
    mu, pi = neural.tensor(BEHAVIOUR), neural.tensor(OPTIMUM)
    reward = neural.tensor([4, 1]).log()
    slope = neural.torch().stack(list(gradient(mu, pi, reward, neural.tensor(1), Tensor)))

    def divergence(z: Any) -> Any:
        policy = neural.torch().softmax(z, -1)
        return (policy * (policy.log() - reward)).sum()

    # Up to log Z; a nonzero multiple of a nonzero gradient is not this gradient, which is 0.
    return neural.close(slope, -neural.gradient(divergence, pi.log()), witness=AT_REST)


@GEN_RL.right("with the entropy's gradient")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    level = [r - m.log(b) for r, b in zip(reward, pi, strict=True)]
    mean = sum(b * x for b, x in zip(pi, level, strict=True))
    return [b * (x - mean) for b, x in zip(pi, level, strict=True)]


def variance_rises(at_zero: Any, at_one: Any) -> tuple[Any, str, Any]:
    """The printed relation between the variances at the two ends."""
    return at_zero, "<", at_one


GEN_VARIANCE = Draft(
    "GEN13.2.4",
    section="13.2",
    kind=Kind.INEQUALITY,
    title=Text("Low variance at gamma = 0, high at gamma = 1", "γ=0 低方差，γ=1 高方差"),
    finding=Text(
        "False in general: 1/4 against 81/2500 on two arms; true of the Gaussian location model.",
        "一般不成立：两臂例中为 1/4 对 81/2500；高斯平移模型中成立。",
    ),
    statement=r"\mathrm{Var}(\hat g_0) < \mathrm{Var}(\hat g_1)",
    subject=variance_rises,
    expect=Verdict.REFUTED,
    uses=("TAB2.3.5",),
)


@GEN_VARIANCE.symbolic(Scope("the witness"))
def _(relation: Any) -> Answer:
    """Exact rationals at the two ends."""
    ends = (one_logit_variance(TWO_ARMS, gamma, Exact) for gamma in (0, 1))
    return symbolic.compare(*relation(*ends), witness=ENDS)


@GEN_VARIANCE.certified(Scope("the witness"))
def _(relation: Any) -> Answer:
    """Balls at the two ends."""
    ends = (one_logit_variance(TWO_ARMS, gamma, Ball) for gamma in (0, 1))
    return certified.compare(*relation(*ends), witness=ENDS)


GEN_VARIANCE.right_value("the other order", lambda at_zero, at_one: (at_one, "<", at_zero))


GEN_BIAS = Draft(
    "GEN13.2.5",
    section="13.2",
    kind=Kind.IDENTITY,
    title=Text("Zero bias at gamma = 1", "γ=1 零偏差"),
    finding=Text(
        "True of the plain estimator of grad E_pi[r]; not of the self-normalised one in the code.",
        "对 ∇E_π[r] 的普通估计量成立；对代码中的自归一化估计量不成立。",
    ),
    statement=r"g_1 = \nabla_\theta \mathbb{E}_{\pi_\theta}[r]",
    subject=formulas.reshaped_gradient,
    expect=Verdict.VERIFIED,
    assumes=(PI_IN_MU,),
    uses=("EQ2.2",),
    reading="the bias of the sample mean of w^gamma r s as an estimator of grad E_pi[r]",
)


@GEN_BIAS.symbolic(REST)
def _(gradient: Any) -> Answer:
    """One outcome's logit: pi_1 (r_1 - E_pi[r]), the derivative of E_pi[r]."""
    logit = sympy.symbols("z", real=True)
    policy = sympy.exp(logit) / (sympy.exp(logit) + Q)
    expected = sympy.diff(policy * R + (1 - policy) * S, logit)
    at = [policy, 1 - policy]
    slope = gradient([A, 1 - A], at, [R, S], sympy.Integer(1), Exact)[0]
    return symbolic.equal(slope, expected)


@GEN_BIAS.neural(Scope("three arms"))
def _(gradient: Any) -> Answer:
    """Autograd of the expected reward under softmax."""
    mu, pi, reward = (neural.tensor(r) for r in (THREE_ARMS.mu, THREE_ARMS.pi, THREE_ARMS.reward))
    slope = neural.torch().stack(list(gradient(mu, pi, reward, neural.tensor(1), Tensor)))
    expected = neural.gradient(
        lambda z: (neural.torch().softmax(z, -1) * reward).sum(), logits(THREE_ARMS)
    )
    return neural.close(slope, expected, witness=witness_of(THREE_ARMS, gamma=1))


@GEN_BIAS.without(PI_IN_MU)
def _(gradient: Any, law: Finite) -> Answer:
    mu, pi, reward = law.numbers(Ball)
    # The mean under mu does not see an outcome that mu never takes, as if it earned nothing.
    seen = [r if a > 0 else flint.arb(0) for a, r in zip(mu, reward, strict=True)]
    mean = sum(b * r for b, r in zip(pi, reward, strict=True))
    return certified.agree(
        gradient(mu, pi, seen, flint.arb(1), Ball),
        [b * (r - mean) for b, r in zip(pi, reward, strict=True)],
        witnesses=[witness_of(law, gamma=1)] * len(mu),
    )


@GEN_BIAS.wrong("without the weights")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.reshaped_gradient(mu, pi, reward, 0 * gamma, m)


@GEN_BIAS.wrong("square-root weights")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.reshaped_gradient(mu, pi, reward, gamma / 2, m)


@GEN_BIAS.wrong("self-normalised and not centred")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return [b * r for b, r in zip(pi, reward, strict=True)]


GEN_MODES = Draft(
    "GEN13.2.6",
    section="13.2",
    kind=Kind.HEURISTIC,
    title=Text(
        "From mean-seeking to mode-seeking, for r = 1", "从 mean-seeking 到 mode-seeking（r≡1）"
    ),
    finding=Text(
        "False for r = 1: at gamma = 1 a policy with half its mass in the valley does not move.",
        "r≡1 时不成立：γ=1 时一半概率质量位于谷中的策略原地不动。",
    ),
    statement=r"\langle g_1, \mu - \pi\rangle \ge \tfrac1{100}\langle g_0, \mu - \pi\rangle",
    subject=formulas.reshaped_gradient,
    expect=Verdict.REFUTED,
    uses=("ABS.3",),
    reading="of the passage that 9.2 describes, r = 1, where the target is mu: the RL end moves a "
    "policy off the modes of mu towards them, were it a hundred times slower than SFT does, whose "
    "gradient in the logits is mu - pi; ABS.3 has the case of a reward, TAB2.3.4 its two ends",
)
VALLEY = Finite.of("49/100 1/50 49/100", "1/4 1/2 1/4")
IN_VALLEY = witness_of(VALLEY, gamma=1)


@GEN_MODES.symbolic(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """Exact rationals: the components along mu - pi."""
    mu, pi, reward = VALLEY.numbers(Exact)
    slope = gradient(mu, pi, reward, sympy.Integer(1), Exact)
    along = sum(x * (a - b) for x, a, b in zip(slope, mu, pi, strict=True))
    by_sft = sum((a - b) ** 2 for a, b in zip(mu, pi, strict=True))
    return symbolic.compare(along, ">=", by_sft / 100, witness=IN_VALLEY)


@GEN_MODES.certified(Scope("the witness"))
def _(gradient: Any) -> Answer:
    """The formula in balls, given that it is the enumerated gradient."""
    mu, pi, reward = VALLEY.numbers(Ball)
    formula = gradient(mu, pi, reward, flint.arb(1), Ball)
    enumerated = enumerated_balls(VALLEY, Fraction(1))
    step = [a - b for a, b in zip(mu, pi, strict=True)]
    along = sum((x * d for x, d in zip(formula, step, strict=True)), flint.arb(0))
    by_sft = sum((d * d for d in step), flint.arb(0))
    return given(
        certified.agree(formula, enumerated, witnesses=[IN_VALLEY] * len(step)),
        certified.compare(along, ">=", by_sft / 100, witness=IN_VALLEY),
    )


@GEN_MODES.right("gamma = 0")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.reshaped_gradient(mu, pi, reward, 0 * gamma, m)


CLAIMS = frozen(GEN_SFT, GEN_HALF, GEN_RL, GEN_VARIANCE, GEN_BIAS, GEN_MODES)
