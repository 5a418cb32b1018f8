"""How near to normal log w is, by task and by the length of a prefix.

    skewness = kappa3/kappa2^(3/2),   excess kurtosis = kappa4/kappa2^2,   2 KL(mu || pi)/Var(log w)

For independent, equal tokens they are a token's own times T^(-1/2), T^(-1) and 1 (SEQ.normality);
E_mu[w] = 1 makes the third 1 + kappa3/(3 kappa2) + kappa4/(12 kappa2) + ..., whatever the tokens.
"""

from __future__ import annotations

import numpy as np

from experiments.lm import _resample as resample
from experiments.lm._scored import Scored, exponents, prefix_lengths, prefixes
from experiments.runs import Json


def whole(log: Scored, counts: resample.Array) -> Json:
    """Return what the sequences of one scope are like, each number with its interval."""
    found = resample.cumulants(log.log_w, counts)
    _, variance, third, fourth = found.T
    kl = resample.divergence(log.log_w, counts)
    skewness, kurtosis = resample.shape(found)
    series = 1 + third / (3 * variance) + fourth / (12 * variance)
    return {
        "sequences": len(log.task),
        "length": float(log.length.mean()),
        "kl": resample.interval(kl),
        "sigma2": resample.interval(variance),
        "skewness": resample.interval(skewness),
        "kurtosis": resample.interval(kurtosis),
        "ratio": resample.interval(2 * kl / variance),
        "series": resample.interval(series),
        # log E_mu[w], which is 0: how far the log is from having seen what it should.
        "log_mass": resample.interval(resample.log_means(log.log_w, counts, [1.0])[:, 0]),
        "mixture": mixture(log),
    }


def mixture(log: Scored) -> Json:
    """Return how much of the shape of log w is that of a mixture of prompts.

    `between` is the share of the variance that lies between prompts; `kurtosis` what normal laws of
    the prompts' own variances have together, 3 (E v^2/(E v)^2 - 1), which no length takes away.
    From the variance s^2 of a prompt's k responses, E s^4 = v^2 (k + 1)/(k - 1) for normal ones.
    Only prompts with at least 3 responses, all of the same number, say so: else nothing.
    """
    _, of, each = np.unique(log.prompt, return_inverse=True, return_counts=True)
    k = int(each.min())
    if k < 3 or k < each.max() or len(each) < 2:
        return {}
    rows = log.log_w[np.argsort(of, kind="stable")].reshape(-1, k)
    within = rows.var(-1, ddof=1)
    between = max(0.0, float(rows.mean(-1).var(ddof=1) - within.mean() / k))
    fourth = float((within**2).mean()) * (k - 1) / (k + 1)
    return {
        "between": between / (between + float(within.mean())),
        "kurtosis": 3 * (fourth / float(within.mean()) ** 2 - 1),
    }


def by_length(log: Scored, counts: resample.Array) -> Json:
    """Return skewness, kurtosis and the ratio by prefix, and the exponents of T."""
    lengths = prefix_lengths(log.length)
    columns = prefixes(log.tokens, lengths).T
    found = np.stack([resample.cumulants(column, counts) for column in columns], axis=1)
    skewness = found[:, :, 2] / found[:, :, 1] ** 1.5
    kurtosis = found[:, :, 3] / found[:, :, 1] ** 2
    kl = np.stack([resample.divergence(column, counts) for column in columns], axis=1)
    ratio = 2 * kl / found[:, :, 1]
    return {
        "lengths": lengths,
        "sigma2": [resample.interval(row) for row in found[:, :, 1].T],
        "skewness": [resample.interval(row) for row in skewness.T],
        "kurtosis": [resample.interval(row) for row in kurtosis.T],
        "ratio": [resample.interval(row) for row in ratio.T],
        "exponents": {
            "skewness": exponents(lengths, skewness),
            "kurtosis": exponents(lengths, kurtosis),
        },
    }
