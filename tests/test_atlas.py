"""The atlas: each entry against what the field maximises, its slope, its bound, and its limits."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from fields import OBJECTIVES

from isr_theory.training.atlas import ATLAS, ENTRIES, Branch, View
from isr_theory.training.entries.shrunk import log_power_mean

LENGTH = 3.0
KEYS = list(ATLAS)
TOKENS = [key for key in KEYS if ATLAS[key].level == "token"]
# Where a function changes its branch, in log w, at the length above.
KINKS = {
    "tis": [math.log(2)],
    "mis": [math.log(0.5), math.log(2)],
    "topr": [0.0],
    "cispo": [math.log(5)],
    "ppo": [math.log(0.8), math.log(1.2)],
    "gspo": [LENGTH * math.log1p(-3e-4), LENGTH * math.log1p(4e-4)],
    "gmpo": [-0.4 * LENGTH, 0.4, -0.4],
    "iw_sft": [LENGTH * math.log(16)],
}
# Generic: no kink, no w = 1, not symmetric about it.
SPREAD = np.linspace(-4.1, 4.7, 23)
SIGNS = pytest.mark.parametrize("sign", [1.0, -1.0])


pytestmark = pytest.mark.usefixtures("one_thread")


def levels(key):
    """Generic log-weights and both sides of every kink."""
    near = [kink + side for kink in KINKS.get(key, []) for side in (-1e-4, 1e-4)]
    return torch.tensor(np.concatenate([SPREAD, near]))


def view_of(log_w, reward=1.0, log_mu=-5.3, length=LENGTH, dtype=torch.float64):
    """Rows with these log-weights; log_pi is a leaf."""
    log_w = torch.as_tensor(log_w, dtype=dtype)
    log_mu = torch.full_like(log_w, log_mu) if isinstance(log_mu, float) else log_mu
    reward = torch.as_tensor(reward, dtype=dtype).expand(log_w.shape)
    log_pi = (log_w + log_mu).detach().requires_grad_()
    return View(log_pi, log_mu, reward, torch.full_like(log_w, length))


def weights(key, view, **changes):
    entry = ATLAS[key]
    return entry.weight(view, entry.settings(**changes)).detach()


def gradient(total, view):
    return torch.autograd.grad(total, view.log_pi)[0]


def check_gradient(entry, view):
    """The stated weight times r is the gradient of the surrogate and of the field's objective."""
    p = entry.parameters
    stated = entry.weight(view, p).detach() * view.reward
    ours = gradient((entry.differentiated(view, p) * view.reward).sum(), view)
    theirs = gradient(OBJECTIVES[entry.key](view), view)
    # About 20 operations, each rounding by 2^-53, an exponent of at most 16 (l w r, l (1 - w))
    # that multiplies its error: 20 * 16 * 1.1e-16 = 4e-14. The field's forms cancel: 1 - sigmoid,
    # times 4 w of at most 4 e^4.7, is off by 440 * 1.1e-16 * 2.
    torch.testing.assert_close(ours, stated, rtol=1e-12, atol=1e-300)
    torch.testing.assert_close(theirs, stated, rtol=1e-12, atol=1e-13)


def check_exponent(entry, sign):
    """Autograd of log f in log w is the stated exponent, which is nan exactly where f is 0."""
    branch = entry.negative if sign < 0 and entry.negative else entry
    view = view_of(levels(entry.key), sign)
    f = entry.weight(view, entry.parameters) + 0 * view.log_pi
    slope = gradient(f.log().where(f > 0, 0.0).sum(), view)
    stated = branch.exponent(view.log_w.detach(), entry.parameters)
    assert torch.equal(stated.isnan(), f == 0)
    # As above; the exponents themselves are up to 3 e^4.7 = 330.
    torch.testing.assert_close(stated[f > 0], slope[f > 0], rtol=1e-12, atol=1e-13)


def bound_grid(entry, sign):
    """A fine grid of log w at length 1, with every kink there is; or pi <= 1 for many mu."""
    high = entry.parameters.get("high", 1.0)
    # MIS keeps up to high, the clipped ratios up to 1 + high.
    top = [math.log(high), math.log(1 + high)] if high < math.inf else []
    kinks = [*top, 0.0, math.log(2), 0.4, math.log(16)]
    if "mu" in entry.needs:
        log_pi = torch.linspace(-30, 0, 3001, dtype=torch.float64)[:, None]
        log_mu = torch.linspace(-60, 0, 61, dtype=torch.float64).expand(3001, 61)
        kinked = torch.cat([log_pi, log_pi.new_full((1, 1), math.log(0.5))])
        log_mu = torch.cat([log_mu, log_mu[:1]])
        return view_of(kinked - log_mu, sign, log_mu=log_mu, length=1.0)
    if "batch" in entry.needs:
        # One row moves, the others rest at w = 1.
        log_w = torch.zeros(201, 2000, dtype=torch.float64)
        log_w[:, 0] = torch.linspace(-30, 30, 201)
        return view_of(log_w, sign, length=1.0)
    grid = torch.cat(
        [torch.arange(-30_000, 30_000).double() / 1000, torch.tensor(kinks, dtype=torch.float64)]
    )
    # mu = 1, so that a kink in log pi is one in log w to the last bit.
    return view_of(grid, sign, log_mu=0.0, length=1.0)


def check_bound(entry, sign):
    """The bound is passed nowhere, and reached; without one f grows past 10^6."""
    branch = entry.negative if sign < 0 and entry.negative else entry
    bound = branch.bound(entry.parameters)
    largest = float(entry.weight(bound_grid(entry, sign), entry.parameters).detach().max())
    if math.isinf(bound):
        assert largest > 1e6
        return
    assert largest <= bound * (1 + 1e-12)
    # A smooth summit lies within half a step h = 1e-3 of a point; with a curvature of log f of at
    # most 4 there (3 for VESPO) the grid misses it by 4 (h/2)^2 / 2.
    assert largest >= bound * (1 - 5e-7)


# Batches in which a function without a bound that looks at the batch is large.
GROWING = {
    # One row of a million carries all.
    "self_normalised": view_of(np.r_[80.0, np.zeros(1_000_001)]),
    # The threshold moves with the mean, and the mean with the row.
    "ionides": view_of(np.r_[30.0, np.zeros(99)]),
    # f -> M/|r| for a large w.
    "log_smoothing": view_of([30.0, 0.0], reward=1e-9),
    # The others' large rewards make their shares vanish.
    "log_sum_exp": view_of(np.r_[2.0, np.full(999_999, 5.0)]),
}


def test_every_row_of_the_zoo_is_there():
    assert set(OBJECTIVES) == set(ATLAS)
    assert len(ENTRIES) == len(ATLAS) == 29
    for entry in ENTRIES:
        assert entry.formula
        assert entry.source
        assert entry.title
        # Where only an abstract could be read, the entry says so.
        assert ("(abstract)" in entry.source) == entry.note.startswith("Unconfirmed")


@pytest.mark.parametrize("key", KEYS)
@SIGNS
def test_the_gradient_is_what_is_stated(key, sign):
    rng = np.random.default_rng(5)
    log_w = levels(key)
    reward = torch.tensor(sign * rng.uniform(0.2, 1.7, len(log_w)))
    check_gradient(ATLAS[key], view_of(log_w, reward))


@pytest.mark.parametrize("key", KEYS)
def test_the_gradient_is_what_is_stated_for_rewards_of_both_signs(key):
    rng = np.random.default_rng(6)
    log_w = levels(key)
    # log-sum-exp cancels between the signs as far as its terms are large; e^-4.1 to e^1 are not.
    log_w = log_w[log_w < 1] if key == "log_sum_exp" else log_w
    check_gradient(ATLAS[key], view_of(log_w, torch.tensor(rng.normal(0, 1, len(log_w)))))


@pytest.mark.parametrize("key", [k for k in KEYS if ATLAS[k].exponent is not None])
@SIGNS
def test_the_exponent_is_the_slope(key, sign):
    if ATLAS[key].negative and ATLAS[key].negative.exponent is None:
        assert ATLAS[key].exponent is None
    check_exponent(ATLAS[key], sign)


def test_where_no_exponent_is_stated_f_looks_at_more_than_w():
    without = [entry for entry in ENTRIES if entry.exponent is None]
    assert {entry.key for entry in without if not entry.needs} == set()
    for entry in without:
        steps = [
            changed_slopes(entry, need)
            for need in entry.needs
            if need not in ("batch", "reward", "row")
        ]
        assert any(steps) or "batch" in entry.needs


def changed_slopes(entry, need):
    """Whether the slope of log f moves when what it needs does."""
    slopes = []
    for step in (0.0, 0.4):
        view = view_of(
            [1e-4, 2e-4], log_mu=-0.5 - step * (need == "mu"), length=3 + step * (need == "length")
        )
        slopes.append(gradient(entry.weight(view, entry.parameters).log().sum(), view))
    return not torch.equal(*slopes)


@pytest.mark.parametrize("key", [k for k in KEYS if ATLAS[k].gamma is not None])
@pytest.mark.parametrize("length", [1.0, 7.0, 1000.0])
def test_gamma_is_the_slope_by_length(key, length):
    entry = ATLAS[key]
    # Inside every clip.
    view = view_of([-1e-4, 2e-4], length=length)
    slope = gradient(entry.weight(view, entry.parameters).log().sum(), view)
    torch.testing.assert_close(
        slope, entry.gamma(view.length, entry.parameters), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("key", [k for k in KEYS if k not in GROWING])
@SIGNS
def test_the_bound_is_reached_and_not_passed(key, sign):
    check_bound(ATLAS[key], sign)


@pytest.mark.parametrize("key", GROWING)
def test_what_has_no_bound_grows(key):
    assert ATLAS[key].bound(ATLAS[key].parameters) == math.inf
    assert float(weights(key, GROWING[key]).max()) > 1e6


def test_what_looks_at_the_batch_keeps_to_its_own_bound():
    view = view_of(np.random.default_rng(1).normal(0, 3, 50), reward=0.7)
    mean = float(view.log_w.detach().exp().mean())
    assert float(weights("self_normalised", view).max()) <= 50
    assert float(weights("ionides", view).max()) <= math.sqrt(50) * mean * (1 + 1e-12)
    assert float(weights("log_smoothing", view).max()) <= math.sqrt(50) / 0.7


@pytest.mark.parametrize("key", TOKENS)
def test_a_token_looks_at_its_row_where_it_says_so(key):
    entry, found = ATLAS[key], []
    for moved in (0.0, 0.1):
        view = token_view(0.0)
        log_pi = view.log_pi.detach().clone()
        log_pi[1, 2] += moved
        view = dataclasses.replace(view, log_pi=log_pi)
        found.append(entry.weight(view.cleaned(), entry.parameters))
    other_row = torch.equal(found[0][0], found[1][0])
    same_row = torch.equal(found[0][1, :2], found[1][1, :2])
    assert other_row == ("batch" not in entry.needs)
    assert same_row == (not {"batch", "row"} & set(entry.needs))


@pytest.mark.parametrize(
    ("key", "need"), [*itertools.product(KEYS, ["batch", "length", "mu", "reward"])]
)
def test_f_looks_at_what_it_says(key, need):
    # In and out of every clip; f(first rows) while something else moves.
    log_w = np.r_[-1.5, -0.3, -1e-4, 1e-4, 0.3, 1.5, 2.0]
    one = view_of(log_w, 0.8, log_mu=-2.5)
    other = {
        "batch": view_of(np.r_[log_w[:-1], -6.0, -6.0], 0.8, log_mu=-2.5),
        "length": view_of(log_w, 0.8, log_mu=-2.5, length=11.0),
        "mu": view_of(log_w, 0.8, log_mu=-3.1),
        "reward": view_of(log_w, -0.6, log_mu=-2.5),
    }[need]
    # P-GSPO has its clip off, and with it its eye for the sign.
    clip = {"low": 3e-4, "high": 4e-4} if key == "p_gspo" else {}
    before, after = (weights(key, v, **clip)[:6] for v in (one, other))
    # log pi - log mu of a shifted pair differs by a rounding.
    same = torch.allclose(before, after, rtol=1e-13, atol=0)
    assert same == (need not in ATLAS[key].needs)


# fmt: off
WRONG = {
    "a ratio for its own weight": ("luffy", {"weight": ATLAS["luffy"].surrogate}),
    "a gate for its own weight": ("sapo", {"weight": ATLAS["sapo"].surrogate}),
    "no clip": ("ppo", {"weight": lambda v, p: v.log_w.exp()}),
    "a truncated weight for a clip": ("ppo", {"weight": lambda v, p: v.log_w.exp().clamp(max=1.2)}),
    "no 1/L": ("gspo", {"weight": lambda v, p: (v.log_w / v.length).exp()}),
    "no 1/L in the slope": ("gmpo", {"weight": lambda v, p: v.length * ATLAS["gmpo"].weight(v, p)}),
    "the probability itself": ("beyond_ll", {"weight": lambda v, p: torch.ones_like(v.log_w)}),
    "the signs swapped": ("vespo", {"weight": lambda v, p: ATLAS["vespo"].weight(
        dataclasses.replace(v, reward=-v.reward), p)}),
    "the differentiated power": ("power", {"weight": lambda v, p: 0.5 * (0.5 * v.log_w).exp()}),
    "the product undone": ("log_smoothing", {"weight": lambda v, p: v.log_w.exp()}),
}
# fmt: on


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_weight_is_caught(name):
    key, changes = WRONG[name]
    rng = np.random.default_rng(5)
    view = view_of(levels(key), torch.tensor(rng.normal(0, 1, len(levels(key)))))
    check_gradient(ATLAS[key], view)
    with pytest.raises(AssertionError):
        check_gradient(dataclasses.replace(ATLAS[key], **changes), view)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("power", {"exponent": lambda x, p: torch.ones_like(x)}),
        ("ppo", {"exponent": lambda x, p: torch.ones_like(x)}),
        ("vespo", {"exponent": lambda x, p: p["k_positive"] - p["l_positive"] * x}),
        ("dros", {"exponent": lambda x, p: 1 - x.exp()}),
    ],
)
def test_a_wrong_exponent_is_caught(key, change):
    check_exponent(ATLAS[key], 1.0)
    with pytest.raises(AssertionError):
        check_exponent(dataclasses.replace(ATLAS[key], **change), 1.0)


@pytest.mark.parametrize("factor", [0.999, 1.001, math.inf])
@pytest.mark.parametrize("key", ["tis", "vespo", "sapo", "ppo", "ix", "power_mean", "gspo"])
def test_a_wrong_bound_is_caught(key, factor):
    entry = ATLAS[key]
    check_bound(entry, 1.0)
    wrong = dataclasses.replace(entry, bound=lambda p: factor * entry.bound(p))
    with pytest.raises(AssertionError):
        check_bound(wrong, 1.0)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("reward", [1.0, -1.0, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_breaks_far_out(key, reward, dtype):
    log_w = torch.linspace(-1000, 1000, 81, dtype=dtype)
    log_pi = log_w.clamp(max=0.0)
    view = view_of(log_w, reward, log_mu=log_pi - log_w, dtype=dtype)
    entry = ATLAS[key]
    f = entry.weight(view, entry.parameters)
    assert f.dtype == dtype
    assert torch.isfinite(f).all()
    assert (f >= 0).all()
    assert torch.isfinite(f.detach() ** 2).all()
    value = entry.differentiated(view, entry.parameters)
    assert torch.isfinite(value).all()
    slopes = gradient((value * view.reward).sum(), view)
    assert torch.isfinite(slopes).all()
    if entry.penalty is not None:
        penalty = entry.penalty(view, entry.parameters)
        assert torch.isfinite(penalty).all()
        assert torch.isfinite(gradient(penalty.sum(), view)).all()


def test_a_weight_that_rests_still_has_its_gradient():
    view = view_of([999.0, -3.0], reward=-1.0)
    p = ATLAS["ppo"].settings(low=1.0)
    slope = gradient(ATLAS["ppo"].differentiated(view, p).sum(), view)
    largest = math.sqrt(torch.finfo(torch.float64).max)
    # exp of a number of size 355 is right to 355 roundings of it.
    assert slope.tolist() == pytest.approx([largest, math.exp(-3)], rel=1e-13)


@pytest.mark.parametrize("key", KEYS)
def test_single_precision_is_double_precision_rounded(key):
    log_w = torch.linspace(-15, 15, 41)
    single, double = (
        weights(key, view_of(log_w, -0.5, dtype=t)) for t in (torch.float32, torch.float64)
    )
    # log w = log pi - log mu rounds at 20 by 2^-24 20 twice; VESPO triples it, and l w r at
    # w = e^15 is beyond every f that is not 0. Below 1e-30 single precision runs out.
    off = (single.double() - double).abs()
    assert (off <= 3e-5 * double + 1e-30).all() or key == "log_sum_exp"


@pytest.mark.parametrize("key", KEYS)
def test_batches_are_rows_of_their_own(key):
    rng = np.random.default_rng(8)
    log_w, reward = rng.normal(0, 1.5, (3, 6)), rng.normal(0, 1, (3, 6))
    whole = weights(key, view_of(log_w, reward))
    rows = [weights(key, view_of(a, b)) for a, b in zip(log_w, reward, strict=True)]
    # Sums of six terms in another order.
    torch.testing.assert_close(whole, torch.stack(rows), rtol=1e-13, atol=1e-300)


def token_view(rubbish, kept=(2, 4)):
    """Two rows of four tokens of which some count; rubbish elsewhere."""
    rng = np.random.default_rng(9)
    log_pi, log_mu = (torch.tensor(rng.normal(-2, 0.3, (2, 4))) for _ in range(2))
    mask = torch.arange(4) < torch.tensor(kept)[:, None]
    log_pi, log_mu = (torch.where(mask, x, rubbish) for x in (log_pi, log_mu))
    length = mask.sum(-1, keepdim=True).double()
    reward = torch.tensor([[0.7], [-1.3]], dtype=torch.float64)
    return View(log_pi.requires_grad_(), log_mu, reward, length, mask)


@pytest.mark.parametrize("key", TOKENS)
@pytest.mark.parametrize("rubbish", [math.nan, math.inf, -math.inf, 7.0])
def test_masked_tokens_do_not_speak(key, rubbish):
    entry, found = ATLAS[key], []
    for inside in (rubbish, 0.0):
        view = token_view(inside)
        value = entry.differentiated(view, entry.parameters)
        found.append((value.detach(), gradient((value * view.reward).sum(), view)))
        assert (value[~view.mask] == 0).all()
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
        assert (one[~view.mask] == 0).all()


@pytest.mark.parametrize("key", TOKENS)
def test_tokens_have_the_stated_gradient(key):
    view = token_view(0.0, kept=(4, 4))
    if key == "p3o":
        w = view.log_w.detach().exp().flatten()
        cap = float(w.sum() ** 2 / (w**2).sum() / 8)
        torch.testing.assert_close(weights(key, view), view.log_w.detach().exp().clamp(max=cap))
    check_gradient(ATLAS[key], view)
    # And with tokens that do not count, by the mask as 0 and 1 too.
    masked = token_view(0.0)
    masked = dataclasses.replace(masked, mask=masked.mask.double())
    entry = ATLAS[key]
    value = entry.differentiated(masked, entry.parameters) * masked.reward
    stated = entry.weight(masked, entry.parameters).detach() * masked.reward * masked.mask
    torch.testing.assert_close(gradient(value.sum(), masked), stated, rtol=1e-12, atol=1e-14)


def test_the_shares_of_gmpo_add_up_to_its_ratio():
    view = token_view(0.0)
    shares = ATLAS["gmpo"].differentiated(view, ATLAS["gmpo"].parameters)
    levels = torch.where(view.reward >= 0, view.log_w.clamp(max=0.4), view.log_w.clamp(min=-0.4))
    ratio = ((levels * view.mask).sum(-1) / view.mask.sum(-1)).exp()
    torch.testing.assert_close(shares.sum(-1), ratio)


def test_batch_statistics_count_what_counts():
    view = token_view(math.nan).cleaned()
    w = view.log_w.detach().exp()[view.mask]
    assert float(view.log_count().exp()) == pytest.approx(6)
    ess = float(w.sum() ** 2 / (w**2).sum() / 6)
    torch.testing.assert_close(weights("p3o", view)[view.mask], w.clamp(max=ess))


LOG_W = torch.linspace(-6, 6, 49, dtype=torch.float64)


def test_the_power_mean_has_its_limits():
    share = 0.3
    w = LOG_W.exp()
    p = {"l": share}
    zero = (1 - share) * LOG_W
    assert torch.equal(log_power_mean(LOG_W, 0.0, share), zero)
    # The next term of the expansion in s is s l (1 - l) (log w)^2 / 2 < 4 s.
    for s in (1e-6, -1e-6, 1e-12, 1e-15):
        assert (log_power_mean(LOG_W, s, share) - zero).abs().max() <= 4 * abs(s) + 1e-14
    view = view_of(LOG_W)
    mixing = weights("power_mean", view, s=1.0, **p)
    torch.testing.assert_close(mixing, (1 - share) * w + share, rtol=1e-13, atol=0)
    one, other = weights("power_mean", view, s=-1.0, **p), weights("sub_gaussian", view, **p)
    torch.testing.assert_close(one, other, rtol=1e-13, atol=0)
    clip = weights("power_mean", view, s=-math.inf, **p)
    torch.testing.assert_close(clip, w.clamp(max=1.0), rtol=1e-13, atol=0)
    # For s < 0 the mean is min(w, 1) times between 1 and min(l, 1 - l)^(1/s).
    ratio = weights("power_mean", view, s=-1e4, **p) / clip
    assert (ratio >= 1 - 1e-12).all()
    assert (ratio <= share ** (-1e-4)).all()


@pytest.mark.parametrize("s", [-50.0, -1.0, -1e-3, 0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_the_power_mean_is_right_for_every_s(s, share):
    entry = dataclasses.replace(ATLAS["power_mean"], parameters={"s": s, "l": share})
    view = view_of(LOG_W)
    slope = gradient(entry.weight(view, entry.parameters).log().sum(), view)
    torch.testing.assert_close(
        slope, entry.exponent(LOG_W, entry.parameters), rtol=1e-11, atol=1e-12
    )
    if 0 < share < 1:
        check_bound(entry, 1.0)


def test_vespo_without_its_exponential_is_a_power():
    p = {"l_positive": 0.0, "l_negative": 0.0, "k_positive": 0.4, "k_negative": 0.7}
    for sign, key in ((1.0, "k_positive"), (-1.0, "k_negative")):
        found = weights("vespo", view_of(LOG_W, sign), **p)
        torch.testing.assert_close(found, weights("power", view_of(LOG_W), gamma=p[key]))
    entry = dataclasses.replace(ATLAS["vespo"], parameters=p)
    check_exponent(entry, 1.0)
    check_bound(entry, -1.0)


def test_dros_is_v11():
    w = LOG_W.exp()
    for scale in (0.2, 1.0, 5.0):
        found = weights("dros", view_of(LOG_W), l=scale)
        torch.testing.assert_close(found, w / (1 + w * w / scale), rtol=1e-13, atol=0)


def test_named_functions_meet_where_they_should():
    view = view_of(LOG_W)
    same = [
        ("power", {"gamma": 0.0}, "sft", {}),
        ("power", {"gamma": 1.0}, "is", {}),
        ("sub_gaussian", {"l": 0.0}, "is", {}),
        ("exponential_smoothing", {"a": 1.0}, "is", {}),
        ("exponential_smoothing", {"a": 0.0}, "dft", {}),
        ("ix", {"c": 0.0}, "is", {}),
        ("beyond_ll", {"a": 0.0}, "sft", {}),
        ("beyond_ll", {"a": 1.0}, "dft", {}),
        ("p_gspo", {"a": 1.0, "low": 3e-4, "high": 4e-4}, "gspo", {}),
        ("p_gspo", {"a": 0.0}, "is", {}),
        ("tis", {"C": math.inf}, "is", {}),
        ("tis", {"C": 5.0}, "cispo", {}),
        ("mis", {"low": 0.0, "high": math.inf}, "is", {}),
        ("ppo", {"high": math.inf}, "is", {}),
        ("log_sum_exp", {"l": 0.0}, "is", {}),
    ]
    for one, p, other, q in same:
        torch.testing.assert_close(
            weights(one, view, **p), weights(other, view, **q), rtol=1e-12, atol=0
        )
    zero = view_of(LOG_W, reward=0.0)
    torch.testing.assert_close(weights("log_smoothing", zero), weights("is", zero))


def test_iw_sft_is_gspo_without_its_clip_and_its_factor():
    view = view_of(LOG_W)
    gspo = weights("p_gspo", view, a=1.0)
    torch.testing.assert_close(weights("iw_sft", view), LENGTH * gspo, rtol=1e-13, atol=0)


def test_gspo_clips_the_ratio_and_drops_by_sign():
    low, high = math.log1p(-3e-4), math.log1p(4e-4)
    log_w = [LENGTH * x for x in (low - 1e-6, low + 1e-6, 0.0, high - 1e-6, high + 1e-6)]
    good, bad = (weights("gspo", view_of(log_w, sign)) for sign in (1.0, -1.0))
    assert (good > 0).tolist() == [True, True, True, True, False]
    assert (bad > 0).tolist() == [False, True, True, True, True]
    assert float(good[2]) == 1 / LENGTH


def test_p3o_adds_its_penalty():
    # Over a whole finite law the mean under mu is chi^2(mu || pi) - KL(mu || pi).
    mu = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    pi = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    rows = torch.repeat_interleave(torch.arange(3), torch.tensor([5, 3, 2]))
    view = view_of((pi / mu).log()[rows], log_mu=mu.log()[rows])
    entry = ATLAS["p3o"]
    w = pi / mu
    ess = float(1 / (mu * w * w).sum())
    chi2, kl = float((mu / w).sum() - 1), -float((mu * w.log()).sum())
    penalty = entry.penalty(view, entry.parameters)
    assert float(penalty.detach().mean()) == pytest.approx((1 - ess) * (chi2 - kl), rel=1e-12)
    slope = gradient(penalty.sum(), view)
    torch.testing.assert_close(slope, (1 - ess) * (1 - 1 / w[rows]), rtol=1e-12, atol=1e-15)
    assert [e.key for e in ENTRIES if e.added(view, e.parameters) is not None] == ["p3o"]
    tokens = token_view(math.nan)
    slope = gradient(entry.added(tokens, {}).sum(), tokens)
    w = tokens.log_w.detach().exp()[tokens.mask]
    lost = 1 - float(w.sum() ** 2 / (w**2).sum() / 6)
    torch.testing.assert_close(slope[tokens.mask], lost * (1 - 1 / w), rtol=1e-12, atol=1e-15)
    assert (slope[~tokens.mask] == 0).all()
    same = view_of([0.2, 0.2, 0.2])
    assert (entry.penalty(same, entry.parameters).abs() <= 1e-15).all()


def test_asymre_moves_the_baseline_and_nothing_else():
    entry, view = ATLAS["asymre"], view_of(LOG_W, reward=0.4)
    moved = entry.rewarded(view, entry.settings(V=0.7))
    assert moved.tolist() == pytest.approx([-0.3] * len(LOG_W))
    assert ATLAS["ppo"].rewarded(view, ATLAS["ppo"].parameters) is view.reward
    assert [e.key for e in ENTRIES if e.advantage is not None] == ["asymre"]


def test_settings_know_their_names():
    assert ATLAS["power"].settings(gamma=0.2) == {"gamma": 0.2}
    with pytest.raises(ValueError, match="power has no parameter 'gama'; it has: gamma"):
        ATLAS["power"].settings(gama=0.2)
    with pytest.raises(ValueError, match="sft has no parameter 'gamma'; it has: none"):
        ATLAS["sft"].settings(gamma=0.2)
    with pytest.raises(ValueError, match=r"tis: C must be in \[0, inf\], not -1.0"):
        ATLAS["tis"].settings(C=-1.0)
    for entry in ENTRIES:
        assert set(entry.ranges) <= set(entry.parameters)
        entry.check(entry.parameters)


def test_branches_differ_where_they_are_stated():
    for entry, sign in itertools.product(ENTRIES, (1.0, -1.0)):
        if entry.negative is not None and entry.key != "p_gspo":
            assert isinstance(entry.negative, Branch)
            view, other = view_of(levels(entry.key), sign), view_of(levels(entry.key), -sign)
            assert not torch.equal(weights(entry.key, view), weights(entry.key, other))
