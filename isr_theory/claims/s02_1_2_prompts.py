"""Section 2.1, Theorem 2.1 over prompts that share parameters.

Z = E_mu[r] depends on the prompt, so f(w) = 1 minimises the mean over prompts of Z(x) KL(pt || pi);
the plain mean of the divergences has another minimiser.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import flint
import sympy

from isr_theory import formulas
from isr_theory.arithmetic import Ball, Exact, Jet, Tensor
from isr_theory.claim import Answer, Kind, PrintedProof, Scope, Text, Verdict, Witness
from isr_theory.claims.assumptions import NONNEGATIVE_REWARD
from isr_theory.claims.enumerated import witness_of
from isr_theory.claims.moving import MU, PI, R, along_logits
from isr_theory.claims.s02_1_1_tilted import FINITE_TARGET_ENTROPY, falls_with_distance
from isr_theory.draft import Draft, frozen
from isr_theory.engines import certified, neural, symbolic
from isr_theory.engines.answers import all_of, given
from isr_theory.models import THREE_ARMS, Finite, fractions

REST, REST_R, P = sympy.symbols("mu_rest r_rest p", positive=True)


def one_for_all(mu: Any, reward: Any, m: Any) -> Any:
    """The weight 1 of every prompt, as in the printed theorem."""
    return m.number(1)


def mean_reward(mu: Any, reward: Any, m: Any) -> Any:
    """The weight Z(x) = E_mu[r] of a prompt."""
    return sum(a * r for a, r in zip(mu, reward, strict=True))


HALVES = fractions("1/2 1/2")
# Two prompts with one behaviour and two rewards; both use the policy (p, 1-p).
EVEN_PROMPTS = ((HALVES, fractions("1 1")), (HALVES, fractions("1 9")))
LEANING = fractions("2/3 1/3")
OTHER_PROMPTS = (
    (LEANING, fractions("1 4")),
    (fractions("1/5 4/5"), fractions("3 1/2")),
    (LEANING, fractions("0 7")),
)


def at_prompts(prompts: Any) -> Witness:
    """Name the behaviour and the rewards of some prompts."""
    return Witness.at(mu=[mu for mu, _ in prompts], reward=[reward for _, reward in prompts])


def in_arithmetic(prompts: Any, m: Any) -> list[tuple[list[Any], list[Any]]]:
    """Return the prompts' numbers in an arithmetic."""
    return [([m.number(a) for a in mu], [m.number(r) for r in reward]) for mu, reward in prompts]


def shared_likelihood(prompts: Any, p: Any, m: Any) -> Any:
    """Sum E_mu[r log pi] over the prompts, all with the policy (p, 1-p)."""
    return sum(
        a * r * m.log(q)
        for mu, reward in in_arithmetic(prompts, m)
        for a, r, q in zip(mu, reward, (p, 1 - p), strict=True)
    )


def shared_divergence(weight: Any, prompts: Any, p: Any, m: Any) -> Any:
    """Sum weight KL(pt || pi) over the prompts, less the part without p."""
    total = 0
    for mu, reward in in_arithmetic(prompts, m):
        target = formulas.normalised([a * r for a, r in zip(mu, reward, strict=True)])
        logs = [m.log(q) for q in (p, 1 - p)]
        total -= weight(mu, reward, m) * sum(t * x for t, x in zip(target, logs, strict=True))
    return total


T2_1_B = Draft(
    "T2.1.b",
    section="2.1",
    kind=Kind.OPTIMUM,
    title=Text("The same over prompts with shared parameters", "多个提示共享参数时的同一等价性"),
    finding=Text(
        "False over prompts: for two prompts with r = (1, 1) and (1, 9) and one shared p the "
        "likelihood is best at p = 1/6, the mean KL at p = 3/10.",
        "对多个提示不成立：r=(1,1)、(1,9) 的两个提示共享 p，似然最优 p=1/6，平均 KL 最优 p=3/10。",
    ),
    statement=r"\arg\max_\theta \mathbb{E}_x\mathbb{E}_\mu[r\log\pi_\theta]"
    r" = \arg\min_\theta \mathbb{E}_x\,D_{KL}(\tilde\pi\,\|\,\pi_\theta)",
    subject=one_for_all,
    expect=Verdict.REFUTED,
    printed_proof=PrintedProof.GAP,
    proof_remark=Text(
        "The proof holds the prompt fixed; the step to a mean over prompts, where Z(x) comes "
        "along, is not made.",
        "证明固定了提示 x；没有做对提示取平均的一步，而此时 Z(x) 会随之出现。",
    ),
    uses=("T2.1.a",),
    reading="mu, r, pt and pi carry the prompt x as printed, the parameters serve all prompts, and "
    "both sides are plain means over x; the printed proof holds x fixed",
)
PROMPTS = at_prompts(EVEN_PROMPTS)


@T2_1_B.symbolic(Scope("the witness"))
def _(weight: Any) -> Answer:
    """Both slopes in p solved exactly: log p and log(1-p) are concave, so each root is the best."""
    value = shared_likelihood(EVEN_PROMPTS, P, Exact)
    divergence = shared_divergence(weight, EVEN_PROMPTS, P, Exact)
    (best,) = sympy.solve(sympy.diff(value, P), P)
    (closest,) = sympy.solve(sympy.diff(divergence, P), P)
    return symbolic.compare(best, "==", closest, witness=PROMPTS)


def stationary(objective: Any) -> Any:
    """Enclose the p in (1/1000, 999/1000) at which an objective has slope 0."""

    def slope(p: Any) -> Any:
        return certified.derivatives(objective, p, 1)[1]

    return certified.root(slope, Fraction(1, 1000), Fraction(999, 1000))


@cache
def best_likelihood(prompts: Any) -> Any:
    """Enclose the best shared p from the power series of the likelihood."""
    return stationary(lambda p: shared_likelihood(prompts, p, Jet))


@T2_1_B.certified(Scope("the witness"))
def _(weight: Any) -> Answer:
    """Both optima isolated in balls as the roots of their slopes."""
    closest = stationary(lambda p: shared_divergence(weight, EVEN_PROMPTS, p, Jet))
    return certified.compare(best_likelihood(EVEN_PROMPTS), "==", closest, witness=PROMPTS)


@T2_1_B.neural(Scope("the witness"))
def _(weight: Any) -> Answer:
    """Autograd at p = 1/6: the likelihood has slope 0, the mean divergence has not."""
    best = neural.tensor(Fraction(1, 6))
    flat = neural.gradient(lambda p: shared_likelihood(EVEN_PROMPTS, p, Tensor), best)
    steep = neural.gradient(lambda p: shared_divergence(weight, EVEN_PROMPTS, p, Tensor), best)
    return given(
        neural.close([flat], [0], witness=PROMPTS), neural.close([steep], [0], witness=PROMPTS)
    )


T2_1_B.right_value("the weight Z(x)", mean_reward)


@T2_1_B.number("the best p for the likelihood")
def _() -> str:
    return str(sympy.solve(sympy.diff(shared_likelihood(EVEN_PROMPTS, P, Exact), P), P)[0])


@T2_1_B.number("the best p for the mean KL")
def _() -> str:
    value = shared_divergence(one_for_all, EVEN_PROMPTS, P, Exact)
    return str(sympy.solve(sympy.diff(value, P), P)[0])


T2_1_B_FIX = Draft(
    "T2.1.b.fix",
    section="2.1",
    kind=Kind.OPTIMUM,
    title=Text("Over prompts the KL is weighted by Z(x)", "多个提示时 KL 须以 Z(x) 加权"),
    finding=Text(
        "Over prompts f(w) = 1 minimises the mean of Z(x) KL(pt || pi), Z(x) = E_mu[r | x]: prompts"
        " with high rewards count more.",
        "对多个提示，f(w)=1 最小化的是 Z(x)·KL(π̃‖π) 的均值，Z(x)=E_μ[r|x]：奖励高的提示权重更大。",
    ),
    statement=r"\mathbb{E}_x\mathbb{E}_\mu[r\log\pi_\theta] = -\mathbb{E}_x\bigl[Z(x)"
    r"\,D_{KL}(\tilde\pi\,\|\,\pi_\theta)\bigr] + \text{const},\quad Z(x) = \mathbb{E}_\mu[r|x]",
    subject=mean_reward,
    expect=Verdict.VERIFIED,
    assumes=(NONNEGATIVE_REWARD, FINITE_TARGET_ENTROPY),
    uses=("T2.1.a",),
    amends=("T2.1.b",),
    reading="the constant is -E_x[Z(x) H(pt)], supposed finite",
)


@T2_1_B_FIX.symbolic(
    Scope(
        "every law of prompts and outcomes: one outcome of one prompt against the rest, then by "
        "linearity of both means",
        whole=True,
    )
)
def _(weight: Any) -> Answer:
    """Adding the weighted integrand of KL to mu r log pi leaves what is free of pi."""
    # One outcome against the mass and the mean reward of all others gives Z any value.
    target = MU * R / (MU * R + REST * REST_R)
    weighted = weight([MU, REST], [R, REST_R], Exact) * target * sympy.log(target / PI)
    return symbolic.equal(sympy.diff(MU * R * sympy.log(PI) + weighted, PI), 0)


@T2_1_B_FIX.certified(Scope("two sets of prompts that share one p"))
def _(weight: Any) -> Answer:
    """The roots of both slopes in p, isolated in balls."""
    sets = (EVEN_PROMPTS, OTHER_PROMPTS)
    return certified.agree(
        [stationary(lambda p, s=prompts: shared_divergence(weight, s, p, Jet)) for prompts in sets],
        [best_likelihood(prompts) for prompts in sets],
        witnesses=[at_prompts(prompts) for prompts in sets],
    )


FEATURES = (((1, 0), (0, 1), (-1, 1)), ((2, 1), (0, -1), (1, 1)), ((0, 1), (1, 3), (-2, 0)))
"""Two features of each of three outcomes under each of three prompts."""
PROMPT_LAW = fractions("1/2 1/3 1/6")


@T2_1_B_FIX.neural(Scope("three prompts of unequal mass, a softmax policy with two parameters"))
def _(weight: Any) -> Answer:
    """Autograd of both sides in the shared parameters."""
    mu, reward = neural.tensor(THREE_ARMS.mu), neural.tensor(THREE_ARMS.reward)
    features, masses = neural.tensor(FEATURES), neural.tensor(PROMPT_LAW)
    # One behaviour for all prompts; each prompt scores the outcomes its own way.
    rewards = neural.torch().stack([reward, 3 * reward.flip(0), reward * reward])

    def log_policy(theta: Any) -> Any:
        return (features @ theta).log_softmax(-1)

    def left(theta: Any) -> Any:
        return (masses[:, None] * mu * rewards * log_policy(theta)).sum()

    def right(theta: Any) -> Any:
        targets = mu * rewards / (mu * rewards).sum(-1, keepdim=True)
        divergences = (targets * (targets.log() - log_policy(theta))).sum(-1)
        factors = [weight(list(mu), list(row), Tensor) for row in rewards]
        return -sum(m * f * d for m, f, d in zip(masses, factors, divergences, strict=True))

    answers = []
    for theta in ((0, 0), ("3/10", "-7/10")):
        at = neural.tensor([Fraction(x) for x in theta])
        witness = Witness.at(theta=theta, features=FEATURES)
        slopes = [neural.gradient(side, at) for side in (left, right)]
        answers.append(neural.close(*slopes, witness=witness))
    return all_of(answers)


@T2_1_B_FIX.without(NONNEGATIVE_REWARD)
def two_prompts(weight: Any, law: Finite) -> Answer:
    """Compare the slopes of both sides in every logit: one policy under the rewards r and 1."""
    mu, pi, reward = law.numbers(Ball)
    witness, left, right = witness_of(law), [], []
    answers = []
    for rewards in (reward, [flint.arb(1)] * len(mu)):
        masses = [a * r for a, r in zip(mu, rewards, strict=True)]
        factor, target = weight(mu, rewards, Ball), formulas.normalised(masses)

        def likelihood(policy: list[Any], masses: list[Any] = masses) -> Any:
            return sum(mass * Jet.log(p) for mass, p in zip(masses, policy, strict=True))

        def divergence(policy: list[Any], target: list[Any] = target) -> Any:
            # 0 log 0 is 0.
            rows = [(t, p) for t, p in zip(target, policy, strict=True) if not t.is_zero()]
            return sum(t * Jet.log(t / p) for t, p in rows)

        left.append(along_logits(likelihood, pi))
        right.append([-factor * slope for slope in along_logits(divergence, pi)])
        # A divergence from what is no law is none, and a weight below 0 would maximise it.
        answers.append(certified.compare(factor, ">", 0, witness=witness))
        answers += [certified.compare(t, ">=", 0, witness=witness) for t in target]
    sides = [[x + y for x, y in zip(*side, strict=True)] for side in (left, right)]
    return all_of([*answers, certified.agree(*sides, witnesses=[witness] * len(pi))])


@T2_1_B_FIX.without(FINITE_TARGET_ENTROPY)
def _(weight: Any, law: Any) -> Answer:
    if isinstance(law, Finite):
        return two_prompts(weight, law)
    # One prompt, r = 1: the weight is the mean of 1.
    return falls_with_distance(
        lambda p, q: weight([1], [1], Exact) * p * sympy.log(p / q),
        lambda p: -p * sympy.log(p),
        law,
    )


T2_1_B_FIX.wrong_value("no weight, as printed", one_for_all)


@T2_1_B_FIX.wrong("divided by Z")
def _(mu: Any, reward: Any, m: Any) -> Any:
    return 1 / mean_reward(mu, reward, m)


@T2_1_B_FIX.wrong("Z squared")
def _(mu: Any, reward: Any, m: Any) -> Any:
    return mean_reward(mu, reward, m) * mean_reward(mu, reward, m)


@T2_1_B_FIX.wrong("the mean squared reward")
def _(mu: Any, reward: Any, m: Any) -> Any:
    return sum(a * r * r for a, r in zip(mu, reward, strict=True))


CLAIMS = frozen(T2_1_B, T2_1_B_FIX)
