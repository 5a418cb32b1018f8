"""Every closed form of the theory, written once, over an arithmetic.

A formula takes its numbers and, last, an arithmetic `m` (see `isr_theory.arithmetic`); a law on
finitely many outcomes is a sequence of probabilities. Formulas stand in the paper's order of
subjects: finite laws, Renyi divergence and moments, the log-normal model, the reward-adjusted
rule, tails. Whatever is here is the subject of at least one claim, which tests it against
something that never calls it.
"""

from __future__ import annotations

from collections.abc import Sequence

from isr_theory.arithmetic import Arithmetic, Number

Law = Sequence[Number]


def normalised(masses: Law) -> list[Number]:
    """Return masses divided by their sum."""
    total = sum(masses)
    return [mass / total for mass in masses]


def entropy(p: Law, m: Arithmetic) -> Number:
    """H(p) = -sum p log p, in nats."""
    return -sum(a * m.log(a) for a in p)


def kl(p: Law, q: Law, m: Arithmetic) -> Number:
    """KL(p || q) = sum p log(p / q), in nats."""
    return sum(a * m.log(a / b) for a, b in zip(p, q, strict=True))


def moment(mu: Law, pi: Law, t: Number, m: Arithmetic) -> Number:
    """M(t) = E_mu[w^t] = sum mu^(1-t) pi^t, section 6."""
    return sum(m.power(a, 1 - t) * m.power(b, t) for a, b in zip(mu, pi, strict=True))


def tilted(mu: Law, reward: Law, m: Arithmetic) -> list[Number]:
    """The reward-tilted law mu r / E_mu[r] of Theorem 2.1."""
    return normalised([a * r for a, r in zip(mu, reward, strict=True)])


def soft_optimum(reward: Law, tau: Number, m: Arithmetic) -> list[Number]:
    """p* = exp(r / tau) / Z of Theorem 2.2."""
    return normalised([m.exp(r / tau) for r in reward])


def effective_target(mu: Law, pi: Law, reward: Law, gamma: Number, m: Arithmetic) -> list[Number]:
    """pi_eff, proportional to mu^(1-gamma) pi^gamma r, Theorem 4.2."""
    rows = zip(mu, pi, reward, strict=True)
    return normalised([m.power(a, 1 - gamma) * m.power(b, gamma) * r for a, b, r in rows])


def reshaped_gradient(mu: Law, pi: Law, reward: Law, gamma: Number, m: Arithmetic) -> list[Number]:
    """g_gamma for one free logit per outcome: c (pi_eff - pi), c = E_mu[w^gamma r]."""
    rows = zip(mu, pi, reward, strict=True)
    masses = [m.power(a, 1 - gamma) * m.power(b, gamma) * r for a, b, r in rows]
    total = sum(masses)
    return [mass - total * b for mass, b in zip(masses, pi, strict=True)]


def fixed_point(mu: Law, reward: Law, gamma: Number, m: Arithmetic) -> list[Number]:
    """q_gamma, proportional to mu r^(1/(1-gamma)): where g_gamma vanishes, gamma < 1, r > 0."""
    return normalised([a * m.power(r, 1 / (1 - gamma)) for a, r in zip(mu, reward, strict=True)])


def geometric_path(mu: Law, target: Law, gamma: Number, m: Arithmetic) -> list[Number]:
    """p_gamma, proportional to mu^(1-gamma) p*^gamma, Definition 5.1."""
    rows = zip(mu, target, strict=True)
    return normalised([m.power(a, 1 - gamma) * m.power(b, gamma) for a, b in rows])


def fisher_rao_path(mu: Law, target: Law, t: Number, m: Arithmetic) -> list[Number]:
    """The Fisher-Rao geodesic: the great circle through sqrt(mu) and sqrt(p*), squared."""
    rows = list(zip(mu, target, strict=True))
    angle = m.arccos(sum(m.sqrt(a * b) for a, b in rows))
    start, end = m.sin((1 - t) * angle) / m.sin(angle), m.sin(t * angle) / m.sin(angle)
    roots = [start * m.sqrt(a) + end * m.sqrt(b) for a, b in rows]
    return [root * root for root in roots]


def equalising_reward(mu: Law, target: Law, gamma: Number, m: Arithmetic) -> list[Number]:
    """The reward (p*/mu)^(gamma (1-gamma)) whose fixed point is p_gamma."""
    rows = zip(mu, target, strict=True)
    return [m.power(b / a, gamma * (1 - gamma)) for a, b in rows]


def bias(mu: Law, target: Law, gamma: Number, m: Arithmetic) -> Number:
    """Bias(gamma) = (1-gamma) KL(p* || mu) + log Z_gamma, Theorem 7.2."""
    return (1 - gamma) * kl(target, mu, m) + m.log(moment(mu, target, gamma, m))


def bias_slope(mu: Law, target: Law, gamma: Number, m: Arithmetic) -> Number:
    """Bias'(gamma) = E_{p_gamma}[log p*/mu] - KL(p* || mu)."""
    path = geometric_path(mu, target, gamma, m)
    rows = zip(path, mu, target, strict=True)
    return sum(p * m.log(b / a) for p, a, b in rows) - kl(target, mu, m)


def renyi(moment: Number, alpha: Number, m: Arithmetic) -> Number:
    """D_alpha = log M(alpha) / (alpha - 1) of Definition 6.1, in nats."""
    return m.log(moment) / (alpha - 1)


def moment_from_renyi(divergence: Number, alpha: Number, m: Arithmetic) -> Number:
    """E_mu[w^alpha] = exp((alpha - 1) D_alpha), Theorem 6.2."""
    return m.exp((alpha - 1) * divergence)


def second_moment_from_renyi(divergence: Number, gamma: Number, m: Arithmetic) -> Number:
    """E_mu[w^(2 gamma)] = exp((2 gamma - 1) D_{2 gamma}), the right side of Theorem 6.3."""
    return m.exp((2 * gamma - 1) * divergence)


def ess_from_moments(first: Number, second: Number) -> Number:
    """ESS/n = E[w^gamma]^2 / E[w^(2 gamma)]."""
    return first * first / second


def weight_variance(first: Number, second: Number) -> Number:
    """Var(w^gamma) = E[w^(2 gamma)] - E[w^gamma]^2."""
    return second - first * first


def lognormal_moment(sigma2: Number, t: Number, m: Arithmetic) -> Number:
    """E[w^t] = exp(sigma2 t (t-1) / 2) for log w ~ N(-sigma2/2, sigma2)."""
    return m.exp(sigma2 * t * (t - 1) / 2)


def second_moment_lognormal(sigma2: Number, gamma: Number, m: Arithmetic) -> Number:
    """V(gamma) = E[w^(2 gamma)] = exp(sigma2 gamma (2 gamma - 1)), Theorem 7.4."""
    return lognormal_moment(sigma2, 2 * gamma, m)


def weight_variance_lognormal(sigma2: Number, gamma: Number, m: Arithmetic) -> Number:
    """Var(w^gamma) = exp(sigma2 gamma (gamma-1)) (exp(sigma2 gamma^2) - 1)."""
    return m.exp(sigma2 * gamma * (gamma - 1)) * (m.exp(sigma2 * gamma * gamma) - 1)


def ess_lognormal(sigma2: Number, gamma: Number, m: Arithmetic) -> Number:
    """ESS/n = exp(-sigma2 gamma^2), Theorem 8.2."""
    return m.exp(-sigma2 * gamma * gamma)


def gamma_lognormal(sigma2: Number, rho_min: Number, m: Arithmetic) -> Number:
    """gamma* = min(1, sqrt(-log rho_min / sigma2)), Theorem 8.3."""
    return m.minimum(m.number(1), m.sqrt(-m.log(rho_min) / sigma2))


def gradient_mean_gaussian(theta: Number, gamma: Number, m: Arithmetic) -> Number:
    """g_gamma along theta for mu=N(0,I), pi=N(theta,I), r=1.

    It is (gamma-1) theta e^(gamma (gamma-1) theta^2 / 2).
    """
    return (gamma - 1) * theta * m.exp(gamma * (gamma - 1) * theta * theta / 2)


def gradient_variance_gaussian(sigma2: Number, gamma: Number, d: Number, m: Arithmetic) -> Number:
    """Return n tr Cov of the plain estimator of g_gamma for mu=N(0,I_d), pi=N(theta,I_d), r=1."""
    raw = m.exp(gamma * (2 * gamma - 1) * sigma2) * (d + (2 * gamma - 1) * (2 * gamma - 1) * sigma2)
    mean = gradient_mean_gaussian(m.sqrt(sigma2), gamma, m)
    return raw - mean * mean


def ess_reward(
    sigma2: Number, gamma: Number, cov: Number, reward2: Number, m: Arithmetic
) -> Number:
    """ESS/n of w^gamma e^(R/tau), jointly normal: exp(-(gamma^2 sigma2 + 2 gamma cov + reward2)).

    `cov` is Cov(log w, R/tau) and `reward2` is Var(R/tau).
    """
    return m.exp(-(gamma * gamma * sigma2 + 2 * gamma * cov + reward2))


def gamma_reward_printed(sigma2: Number, reward2: Number, rho_min: Number, m: Arithmetic) -> Number:
    """Theorem 9.1 as printed: min(1, sqrt(-log rho_min / (sigma2 + reward2)))."""
    return m.minimum(m.number(1), m.sqrt(-m.log(rho_min) / (sigma2 + reward2)))


def gamma_reward(
    sigma2: Number, cov: Number, reward2: Number, rho_min: Number, m: Arithmetic
) -> Number:
    """Theorem 9.1 as amended: the larger root of `ess_reward` = rho_min, at most 1."""
    slack = -m.log(rho_min) - reward2
    return m.minimum(m.number(1), (m.sqrt(cov * cov + sigma2 * slack) - cov) / sigma2)


def gamma_multiplicative(sigma2: Number, cv2: Number, rho_min: Number, m: Arithmetic) -> Number:
    """The rule for weights w^gamma r, r independent of w with squared variation cv2."""
    return m.minimum(m.number(1), m.sqrt((-m.log(rho_min) - m.log(1 + cv2)) / sigma2))


def kish_ess(weights: Law) -> Number:
    """Kish's effective sample size (sum w)^2 / sum w^2, Definition 8.1."""
    total = sum(weights)
    return total * total / sum(w * w for w in weights)


def tail_index(k: Number, gamma: Number) -> Number:
    """The Pareto index of w^gamma, where that of w is k: gamma k, Theorem 11.1."""
    return gamma * k


def finite_variance_limit(k: Number) -> Number:
    """w^gamma has finite variance exactly for gamma below 1/(2k), k > 0."""
    return 1 / (2 * k)
