"""Section 13.3: the table of practical advice, row by row.

The first two rows are facts about the closed form. The third contradicts the rule that the paper
gives, which returns gamma = 1 near mu, where for r = 1 nothing is learned. The fourth trusts the
ESS of w^gamma, while the update uses w^gamma r.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Number, Tensor
from isr_theory.claim import Answer, Assumption, Kind, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NO_RULE, UNIT_REWARD, VALID_RULE
from isr_theory.claims.enumerated import witness_of
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.engines.montecarlo import Trial
from isr_theory.models import THREE_ARMS, Finite

A, P, C, D, E, F, H = sympy.symbols("a p c d e f h", positive=True)
ALL_RULES = Scope("every 0 < rho_min < 1 and sigma2 > 0", whole=True)


def rule_wrong_variants(draft: Draft) -> None:
    """Plant three wrong closed forms for gamma in a claim about how it varies."""

    @draft.wrong("the ratio upside down")
    def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
        return m.minimum(m.number(1), m.sqrt(-sigma2 / m.log(rho_min)))

    @draft.wrong("no clip at 1")
    def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
        return m.sqrt(-m.log(rho_min) / sigma2)

    @draft.wrong("no square root")
    def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
        return m.minimum(m.number(1), -m.log(rho_min) / sigma2)


NEAR = Draft(
    "TAB13.3.1",
    section="13.3",
    kind=Kind.REMARK,
    title=Text("Near mu the rule allows a large gamma", "π≈μ 时 γ 可取大"),
    finding=Text(
        "True of the formula: gamma* falls in sigma2, and is 1 exactly while sigma2 <= -log rho.",
        "对公式成立：γ* 随 σ² 下降，且当 σ² ≤ −log ρ 时恰为 1。",
    ),
    statement=r"\gamma^*(\sigma^2) = 1 \iff \sigma^2 \le -\log\rho_{\min}",
    subject=formulas.gamma_lognormal,
    expect=Verdict.VERIFIED,
    assumes=(VALID_RULE,),
    uses=("T8.3.a",),
    reading="gamma* as a function of sigma2 at a fixed rho_min",
)


@NEAR.symbolic(ALL_RULES)
def _(rule: Any) -> Answer:
    """With sigma2 = d^2 and rho_min = e^(-c^2) the rule is min(1, c/d), which is 1 iff d <= c."""
    found = rule(D**2, sympy.exp(-(C**2)), Exact)
    both_sides = [{C: 2, D: 1}, {C: 1, D: 3}]
    # Past d = c the value c/d falls: with d = c + h its distance from 1 is h/(c + h) > 0.
    beyond = 1 - C / (C + H)
    return all_of(
        [
            symbolic.equal(found, sympy.Min(1, C / D), points=both_sides),
            symbolic.positive(beyond),
            symbolic.positive(-sympy.diff(C / D, D)),
        ]
    )


@NEAR.certified(Scope("rho_min = 3/10, sigma2 on both sides of 1.2039..."))
def _(rule: Any) -> Answer:
    """Balls: the normal ESS e^(-sigma2) at gamma = 1 is above rho_min just where the rule is 1."""
    rho_min = Ball.number("3/10")
    answers = []
    for sigma2, below in ((Fraction(6, 5), True), (Fraction(121, 100), False)):
        s, witness = Ball.number(sigma2), Witness.at(sigma2=sigma2, rho_min="3/10")
        gamma = rule(s, rho_min, Ball)
        answers.append(
            certified.compare((-s).exp(), ">" if below else "<", rho_min, witness=witness)
        )
        if below:
            answers.append(certified.agree([gamma], [flint.arb(1)], witnesses=[witness]))
        else:
            answers.append(certified.compare(gamma, "<", flint.arb(1), witness=witness))
    return all_of(answers)


NEAR.meaningless_without(VALID_RULE, NO_RULE)
rule_wrong_variants(NEAR)


@NEAR.number("-log rho_min at rho_min = 3/10")
def _() -> str:
    return certified.digits(-Ball.log(Ball.number("3/10")))


FAR = Draft(
    "TAB13.3.2",
    section="13.3",
    kind=Kind.LIMIT,
    title=Text("Far from mu the rule needs a small gamma", "π 远离 μ 时 γ 须小"),
    finding=Text(
        "True of the formula: gamma* tends to 0 like 1/sigma as sigma2 grows.",
        "对公式成立：σ² 增大时 γ* 以 1/σ 的速度趋于 0。",
    ),
    statement=r"\sigma\,\gamma^* \to \sqrt{-\log\rho_{\min}},\quad \sigma^2 \to \infty",
    subject=formulas.gamma_lognormal,
    expect=Verdict.VERIFIED,
    assumes=(VALID_RULE,),
    uses=("T8.3.a",),
    reading="gamma* as a function of sigma2 at a fixed rho_min",
)


@FAR.symbolic(ALL_RULES)
def _(rule: Any) -> Answer:
    """Past the clip sigma gamma* is constant, so gamma* falls to 0 like 1/sigma."""
    # sigma2 = (c (1 + h))^2 lies past the clip of rho_min = e^(-c^2).
    sigma = C * (1 + H)
    found = rule(sigma**2, sympy.exp(-(C**2)), Exact)
    return all_of(
        [
            symbolic.equal(found, sympy.Min(1, 1 / (1 + H)), points=[{C: 2, H: 1}, {C: 1, H: 7}]),
            symbolic.positive(1 - 1 / (1 + H)),
            symbolic.limit(sigma / (1 + H), H, sympy.oo, C, direction="-"),
            symbolic.limit(1 / (1 + H), H, sympy.oo, 0, direction="-"),
        ]
    )


@FAR.certified(Scope("rho_min = 3/10, sigma2 from 4 to 10^8"))
def _(rule: Any) -> Answer:
    """Balls: sigma gamma* at four sigma2, whose squares are the root of e^(-x) = rho_min."""
    rho_min = Ball.number("3/10")
    root = certified.root(lambda x: rho_min - (-x).exp(), Fraction(1), Fraction(2))
    sizes = [Fraction(4), Fraction(25), Fraction(10**4), Fraction(10**8)]
    return certified.agree(
        [Ball.number(s) * rule(Ball.number(s), rho_min, Ball) ** 2 for s in sizes],
        [root] * len(sizes),
        witnesses=[Witness.at(sigma2=s, rho_min="3/10") for s in sizes],
    )


FAR.meaningless_without(VALID_RULE, NO_RULE)


@FAR.wrong("the ratio upside down")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), m.sqrt(-sigma2 / m.log(rho_min)))


@FAR.wrong("no square root")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), -m.log(rho_min) / sigma2)


@FAR.wrong("1 + sigma2 for sigma2")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.minimum(m.number(1), m.sqrt(-m.log(rho_min) / (1 + sigma2)))


SFT_ADVICE = Draft(
    "TAB13.3.3.a",
    section="13.3",
    kind=Kind.REMARK,
    title=Text("For pure SFT gamma = 0 needs no correction", "纯 SFT：γ=0，无需 IS 校正"),
    finding=Text(
        "Sound advice: for r = 1 and gamma = 0 the gradient vanishes at pi = mu and nowhere else.",
        "建议正确：r≡1、γ=0 时梯度当且仅当 π=μ 时为零。",
    ),
    statement=r"g_0 = 0 \iff \pi_\theta = \mu,\quad r \equiv 1",
    subject=formulas.reshaped_gradient,
    expect=Verdict.VERIFIED,
    assumes=(UNIT_REWARD,),
    uses=("SPEC2.1",),
    reading="'no correction is needed' means that gamma = 0 alone finds mu; one logit an outcome",
)


@SFT_ADVICE.symbolic(Scope("every law: one outcome against the rest", whole=True))
def _(gradient: Any) -> Answer:
    """Each logit's slope is mu - pi, zero only where the outcome's masses agree."""
    slope = gradient([A, 1 - A], [P, 1 - P], [1, 1], sympy.Integer(0), Exact)[0]
    (root,) = sympy.solve(A - P, P)
    return all_of([symbolic.equal(slope, A - P), symbolic.equal(root, A)])


@SFT_ADVICE.neural(Scope("three arms"))
def _(gradient: Any) -> Answer:
    """Autograd of the mean log-likelihood, which is maximal where the policy is mu."""
    mu = neural.tensor(THREE_ARMS.mu)
    ones = neural.torch().ones_like(mu)
    answers = []
    for law in (THREE_ARMS.pi, THREE_ARMS.mu):
        pi = neural.tensor(law)
        slope = neural.torch().stack(list(gradient(mu, pi, ones, neural.tensor(0), Tensor)))
        expected = neural.gradient(
            lambda z: (mu * neural.torch().log_softmax(z, -1)).sum(), pi.log()
        )
        witness = Witness.at(mu=THREE_ARMS.mu, pi=law, gamma=0)
        answers.append(neural.close(slope, expected, witness=witness))
    return all_of(answers)


@SFT_ADVICE.without(UNIT_REWARD)
def _(gradient: Any, law: Finite) -> Answer:
    mu, pi, reward = law.numbers(Ball)
    zero = flint.arb(0)
    witness = witness_of(law, gamma=0)
    at_mu, elsewhere = (gradient(mu, policy, reward, zero, Ball) for policy in (mu, pi))
    size = sum((x * x for x in elsewhere), zero)
    return all_of(
        [
            certified.agree(at_mu, [zero] * len(mu), witnesses=[witness] * len(mu)),
            certified.compare(size, ">", zero, witness=witness),
        ]
    )


@SFT_ADVICE.wrong("the other end, where every policy is stationary")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.reshaped_gradient(mu, pi, reward, 1 + gamma, m)


@SFT_ADVICE.wrong("square-root weights")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.reshaped_gradient(mu, pi, reward, m.number("1/2") + gamma, m)


@SFT_ADVICE.wrong("mu and pi exchanged")
def _(mu: Any, pi: Any, reward: Any, gamma: Any, m: Any) -> Any:
    return formulas.reshaped_gradient(pi, mu, reward, gamma, m)


SFT_RULE = Draft(
    "TAB13.3.3.b",
    section="13.3",
    kind=Kind.REMARK,
    title=Text("The row for SFT agrees with the rule of 9.2", "纯 SFT 一行与 9.2 的规则一致"),
    finding=Text(
        "False: 9.2 and 12.1 apply the rule to r = 1, and close to mu it returns 1, not a small "
        "gamma.",
        "不成立：9.2 与 12.1 在 r≡1 时使用该规则，而接近 μ 时它返回 1 而非很小的 γ。",
    ),
    statement=r"\gamma^* \le \tfrac12 \text{ on an SFT task}",
    subject=formulas.gamma_lognormal,
    expect=Verdict.REFUTED,
    uses=("T8.3.a", "S9.2.b"),
    reading="the row recommends '0 or very small', at most 1/2 if words mean anything; where r = 1 "
    "the paper's own 9.2 and 12.1 use gamma*, so the two have to agree",
)
CLOSE = Finite.of("3/5 3/10 1/10", "3/10 2/5 3/10")
RECOMMENDED = Witness.at(mu=CLOSE.mu, pi=CLOSE.pi, reward=1, rho_min=Fraction(3, 10))


@SFT_RULE.symbolic(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Var(log w) by exact enumeration, then the rule."""
    mu, pi, _ = CLOSE.numbers(Exact)
    level = [sympy.log(b / a) for a, b in zip(mu, pi, strict=True)]
    mean = sum(a * x for a, x in zip(mu, level, strict=True))
    sigma2 = sum(a * (x - mean) ** 2 for a, x in zip(mu, level, strict=True))
    gamma = rule(sigma2, sympy.Rational(3, 10), Exact)
    return symbolic.compare(gamma, "<=", sympy.Rational(1, 2), witness=RECOMMENDED)


@SFT_RULE.certified(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Var(log w) over pairs of outcomes, in balls, then the rule."""
    mu, pi, _ = CLOSE.numbers(Ball)
    level = [Ball.log(b / a) for a, b in zip(mu, pi, strict=True)]
    rows = list(zip(mu, level, strict=True))
    sigma2 = sum((a * b * (x - y) * (x - y) for a, x in rows for b, y in rows), flint.arb(0)) / 2
    gamma = rule(sigma2, Ball.number("3/10"), Ball)
    return certified.compare(gamma, "<=", Ball.number("1/2"), witness=RECOMMENDED)


@SFT_RULE.right("gamma = 0, as the row advises")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.number(0)


RL_RULE = Draft(
    "TAB13.3.4",
    section="13.3",
    kind=Kind.REMARK,
    title=Text("For pure RL the ESS constraint decides", "纯 RL：ESS 约束自动决定 γ"),
    finding=Text(
        "False of the weights that the update uses, w^gamma r: at gamma* they miss a target that "
        "gamma = 0 meets.",
        "对更新实际使用的权重 w^γ r 不成立：γ=0 本可达到的目标，在 γ* 处却达不到。",
    ),
    statement=r"\mathrm{ESS}(w^{\gamma^*} r)/n \ge \rho_{\min}",
    subject=formulas.gamma_lognormal,
    expect=Verdict.REFUTED,
    uses=("T8.3.a", "D4.1"),
    reading="the constraint is on the weights that form the update of Definition 4.1; of w^gamma "
    "alone it is T8.3.a",
)
PREFERRED = Finite.of("1/2 1/2", "1/5 4/5", "1 4")
AT_PREFERRED = Witness.at(
    mu=PREFERRED.mu, pi=PREFERRED.pi, reward=PREFERRED.reward, rho_min=Fraction(3, 5)
)
RARE_REWARD = Finite.of("1/10 9/10", "1/5 4/5", "1 0")


def _rule_at(rule: Any, m: Any, rho_min: Number) -> Number:
    """The rule's gamma, from Var(log w) of two outcomes."""
    mu, pi, _ = PREFERRED.numbers(m)
    gap = m.log(pi[0] / mu[0]) - m.log(pi[1] / mu[1])
    return rule(mu[0] * mu[1] * gap * gap, rho_min, m)


def _used_ess(gamma: Number, m: Any) -> Number:
    """ESS/n of w^gamma r, enumerated."""
    mu, pi, reward = PREFERRED.numbers(m)
    used = [m.power(b / a, gamma) * r for a, b, r in zip(mu, pi, reward, strict=True)]
    first = sum(a * u for a, u in zip(mu, used, strict=True))
    return first * first / sum(a * u * u for a, u in zip(mu, used, strict=True))


@RL_RULE.symbolic(Scope("the witness"))
def _(rule: Any) -> Answer:
    """Exact enumeration: gamma = 0 meets the target, and the rule's gamma does not."""
    rho_min = sympy.Rational(3, 5)
    unweighted = _used_ess(sympy.Integer(0), Exact)
    chosen = _used_ess(_rule_at(rule, Exact, rho_min), Exact)
    return given(
        symbolic.compare(unweighted, ">=", rho_min, witness=AT_PREFERRED),
        symbolic.compare(chosen, ">=", rho_min, witness=AT_PREFERRED),
    )


@RL_RULE.certified(Scope("the witness"))
def _(rule: Any) -> Answer:
    """The same enumeration in balls."""
    rho_min = Ball.number("3/5")
    unweighted = _used_ess(flint.arb(0), Ball)
    chosen = _used_ess(_rule_at(rule, Ball, rho_min), Ball)
    return given(
        certified.compare(unweighted, ">=", rho_min, witness=AT_PREFERRED),
        certified.compare(chosen, ">=", rho_min, witness=AT_PREFERRED),
    )


@RL_RULE.right("gamma = 0")
def _(sigma2: Any, rho_min: Any, m: Any) -> Any:
    return m.number(0)


def _zero_one(law: Finite) -> Finite:
    return Finite(law.mu, law.pi, (Fraction(0), *(Fraction(1) for _ in law.mu[1:])))


ZERO_ONE_REWARD = Assumption(
    "zero_one_reward",
    Text("r is 0 or 1, and 1 somewhere.", "r 只取 0 或 1，且不恒为 0。"),
    lambda law: set(law.reward) <= {0, 1} and max(law.reward) == 1,
    examples=(RARE_REWARD, Finite.of("1/2 1/2", "9/10 1/10")),
    violations=(THREE_ARMS, PREFERRED),
    draw=lambda rng: _zero_one(Finite.drawn(rng)),
)


def rewarded_ess(share: Number, ess_given_reward: Number) -> Number:
    """ESS/n of w^gamma r for a 0/1 reward: the rewarded share times the ESS/n among them."""
    return share * ess_given_reward


RL_FIX = Draft(
    "TAB13.3.4.fix",
    section="13.3",
    kind=Kind.IDENTITY,
    title=Text("A 0/1 reward caps the ESS at its own share", "0/1 奖励使 ESS 以其占比为上限"),
    finding=Text(
        "ESS/n of w^gamma r is mu(r=1) times the ESS/n among the rewarded, so it never passes "
        "mu(r=1), whatever gamma.",
        "w^γ r 的 ESS/n 等于 μ(r=1) 乘以奖励为 1 的样本内的 ESS/n，故无论 γ 为何都不超过 μ(r=1)。",
    ),
    statement=r"\mathrm{ESS}(w^\gamma \mathbf 1_A)/n = \mu(A)\,\mathrm{ESS}_A(w^\gamma)/n_A",
    subject=rewarded_ess,
    expect=Verdict.VERIFIED,
    assumes=(ZERO_ONE_REWARD,),
    uses=("D8.1",),
    amends=("TAB13.3.4",),
)


@RL_FIX.symbolic(Scope("every law: a share and two conditional moments", whole=True))
def _(ess: Any) -> Answer:
    """Moments over the rewarded set are its share times conditional ones; Jensen caps them."""
    # E[w^g 1_A] = a e, E[w^2g 1_A] = a (e^2 + f), f the conditional variance of w^gamma.
    actual = (A * E) ** 2 / (A * (E**2 + F))
    conditional = E**2 / (E**2 + F)
    return all_of(
        [
            symbolic.equal(actual, ess(A, conditional)),
            symbolic.positive(sympy.factor(A - actual)),
        ]
    )


@RL_FIX.certified(Scope("three arms, the last two rewarded, gamma = 1/3"))
def _(ess: Any) -> Answer:
    """Enumeration with and without the condition, in balls."""
    law = Finite(THREE_ARMS.mu, THREE_ARMS.pi, (Fraction(0), Fraction(1), Fraction(1)))
    mu, pi, reward = law.numbers(Ball)
    power = [Ball.power(b / a, Ball.number("1/3")) for a, b in zip(mu, pi, strict=True)]
    used = [u * r for u, r in zip(power, reward, strict=True)]
    first = sum((a * u for a, u in zip(mu, used, strict=True)), flint.arb(0))
    second = sum((a * u * u for a, u in zip(mu, used, strict=True)), flint.arb(0))
    share = mu[1] + mu[2]
    inner = [mu[1] / share, mu[2] / share]
    mean = inner[0] * power[1] + inner[1] * power[2]
    square = inner[0] * power[1] * power[1] + inner[1] * power[2] * power[2]
    witness = Witness.at(mu=law.mu, pi=law.pi, reward=law.reward, gamma=Fraction(1, 3))
    return certified.agree(
        [first * first / second], [ess(share, mean * mean / square)], witnesses=[witness]
    )


@RL_FIX.sampled(Scope("the rare reward, gamma = 1"), resolution=0.02, looks=2)
def _(ess: Any, trial: Trial) -> Answer:
    """Both moments of w r under mu; among the rewarded w is constant, so their ESS/n is 1."""
    law = RARE_REWARD
    used = np.exp(law.log_w()) * np.array([float(r) for r in law.reward])
    first = trial.mean("w r", lambda rng, n: used[law.sample(rng, n)], 0, 2, resolution=0.004)
    second = trial.mean(
        "(w r)^2", lambda rng, n: used[law.sample(rng, n)] ** 2, 0, 4, resolution=0.008
    )
    witness = Witness.at(mu=law.mu, pi=law.pi, reward=law.reward, gamma=1)
    return trial.agrees(first * first / second, ess(0.1, 1.0), witness=witness)


@RL_FIX.without(ZERO_ONE_REWARD)
def _(ess: Any, law: Finite) -> Answer:
    mu, pi, reward = law.numbers(Ball)
    power = [Ball.power(b / a, Ball.number("1/3")) for a, b in zip(mu, pi, strict=True)]

    def kish(masses: Any, weights: Any) -> Any:
        first = sum(a * u for a, u in zip(masses, weights, strict=True))
        return first * first / sum(a * u * u for a, u in zip(masses, weights, strict=True))

    # What is rewarded, as a law of its own.
    rewarded = [a if r > 0 else flint.arb(0) for a, r in zip(mu, reward, strict=True)]
    share = sum(rewarded)
    used = [u * r for u, r in zip(power, reward, strict=True)]
    return certified.agree(
        [kish(mu, used)],
        [ess(share, kish([a / share for a in rewarded], power))],
        witnesses=[witness_of(law, gamma=Fraction(1, 3))],
    )


@RL_FIX.wrong("the share squared")
def _(share: Any, ess_given_reward: Any) -> Any:
    return share * share * ess_given_reward


@RL_FIX.wrong("the share left out")
def _(share: Any, ess_given_reward: Any) -> Any:
    return ess_given_reward


@RL_FIX.wrong("divided by the share")
def _(share: Any, ess_given_reward: Any) -> Any:
    return ess_given_reward / share


CLAIMS = frozen(NEAR, FAR, SFT_ADVICE, SFT_RULE, RL_RULE, RL_FIX)
