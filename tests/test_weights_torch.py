"""The weights as tensors: as exact as arrays, compiled whole, and nothing asked of the device."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from isr_theory import testing, weights

levels = st.floats(-1e4, 1e4) | st.floats(-5, 5) | st.just(-math.inf)
batches = (
    st.lists(levels, min_size=1, max_size=30)
    .map(np.array)
    .filter(lambda log_w: bool(np.isfinite(log_w).any()))
)
gammas = st.floats(0, 1)

FUNCTIONS = {
    "ess": functools.partial(weights.ess_ratio, gamma=0.5),
    "max weight": functools.partial(weights.max_weight_ratio, gamma=0.5),
    "perplexity": functools.partial(weights.perplexity_ratio, gamma=0.5),
    "weights": functools.partial(weights.normalized_weights, gamma=0.5),
    "moment": functools.partial(weights.log_moment, alpha=0.5),
    **{
        f"renyi {order}": functools.partial(weights.renyi_divergence, alpha=order)
        for order in (0.0, 0.5, 1.0, 2.0, math.inf)
    },
    **{
        method: functools.partial(weights.gamma_star, rho_min=0.3, method=method)
        for method in weights.METHODS
    },
}
ROWS = np.random.default_rng(1).standard_normal((8, 64)) * np.linspace(0.1, 20, 8)[:, None]
ROWS[2, 3] = -np.inf
NOT_FINITE = ROWS.copy()
NOT_FINITE[4, 0], NOT_FINITE[5, 1], NOT_FINITE[6] = np.nan, np.inf, -np.inf


class NoWaiting(TorchDispatchMode):
    """Refuses what copies a number from a device to the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert "_local_scalar_dense" not in str(func), f"{func} waits for the device"
        assert "is_nonzero" not in str(func), f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_tensor_gives_what_an_array_gives(name):
    array = FUNCTIONS[name](ROWS)
    tensor = FUNCTIONS[name](torch.tensor(ROWS))
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.float64
    # exp of two libraries may differ by an ulp, and the order of 64 additions does; the root is as
    # well conditioned as log ESS, whose slope in log gamma is about 2 here.
    np.testing.assert_allclose(tensor.numpy(), array, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_it_compiles_whole(name, backend):
    function = functools.partial(FUNCTIONS[name], validate=False)
    rows = torch.tensor(ROWS)
    # What was compiled before must not decide what is compiled now.
    torch.compiler.reset()
    compiled = torch.compile(lambda log_w: function(log_w), fullgraph=True, backend=backend)
    np.testing.assert_allclose(compiled(rows), function(rows), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_is_asked_of_the_device(name):
    function = functools.partial(FUNCTIONS[name], validate=False)
    with NoWaiting():
        function(torch.tensor(ROWS))
    # A tensor without data can be asked nothing at all.
    found = function(torch.empty(8, 64, device="meta"))
    assert found.device.type == "meta"
    assert found.shape[0] == 8


@pytest.mark.parametrize(
    "function",
    [
        weights.ess_ratio,
        weights.max_weight_ratio,
        weights.perplexity_ratio,
        weights.normalized_weights,
    ],
)
@pytest.mark.parametrize("gamma", [0.5, [0.1 * k for k in range(8)]])
def test_a_gamma_may_be_a_tensor_that_nobody_looks_at(function, gamma):
    rows, gammas = torch.tensor(ROWS), torch.tensor(gamma)
    expected = function(ROWS, np.float64(gamma) if np.ndim(gamma) == 0 else np.array(gamma))
    unwatched = functools.partial(function, validate=False)
    with NoWaiting():
        unwatched(rows, gammas)
    torch.compiler.reset()
    compiled = torch.compile(unwatched, fullgraph=True, backend="eager")
    # Gammas of single precision, at log-weights of up to 60.
    np.testing.assert_allclose(compiled(rows, gammas), expected, rtol=1e-4, atol=1e-12)
    exact = function(rows, gammas.double() * 0 + torch.tensor(gamma, dtype=torch.float64))
    np.testing.assert_allclose(exact, expected, rtol=1e-12, atol=1e-300)


def test_the_watch_for_waiting_works():
    with NoWaiting(), pytest.raises(AssertionError, match="waits for the device"):
        weights.ess_ratio(torch.tensor(ROWS))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bad_rows_are_flagged_where_nobody_looks(name):
    found = FUNCTIONS[name](torch.tensor(NOT_FINITE), validate=False)
    flagged = torch.isnan(found).reshape(8, -1).any(-1)
    assert flagged.tolist() == [False] * 4 + [True] * 3 + [False]
    good = [0, 1, 2, 3, 7]
    np.testing.assert_allclose(
        found[good], FUNCTIONS[name](torch.tensor(ROWS[good])), rtol=1e-12, atol=1e-300
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_validation_names_the_place_in_a_tensor(name):
    with pytest.raises(ValueError, match=r"log_w\[\(4, 0\)\] is nan"):
        FUNCTIONS[name](torch.tensor(NOT_FINITE))
    with pytest.raises(ValueError, match="some weight must be positive"):
        FUNCTIONS[name](torch.full((2, 3), -math.inf))


def test_precision_is_kept_or_widened():
    rows = torch.tensor(ROWS[:2])
    for dtype, kept in (
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.int64, torch.float64),
    ):
        assert weights.ess_ratio(rows.to(dtype)).dtype == kept
    for dtype in (torch.complex64, torch.bool):
        with pytest.raises(TypeError, match="real numbers"):
            weights.ess_ratio(torch.zeros(3, dtype=dtype))


def test_no_gradient_flows_through_a_weight():
    rows = torch.tensor(ROWS, requires_grad=True)
    for function in FUNCTIONS.values():
        assert not function(rows).requires_grad


def test_the_input_is_not_written_to():
    rows = torch.tensor(ROWS)
    before = rows.clone()
    for function in FUNCTIONS.values():
        function(rows)
    assert torch.equal(rows, before)


@given(batches, gammas)
def test_single_precision_is_right_up_to_its_rounding(log_w, gamma):
    single = torch.tensor(log_w, dtype=torch.float32)
    truth = weights.ess_ratio(single.double().numpy(), gamma)
    found = float(weights.ess_ratio(single, gamma))
    # The exponent gamma * log w is rounded at its size, up to 2e4 below the largest, where w^gamma
    # is 0; terms that count are within 90 of it, so their relative rounding is 200 of 2^-24.
    assert found == pytest.approx(truth, rel=4 * 200 * 2.0**-24 * 4)


@given(batches, st.floats(0.05, 0.95))
def test_a_single_precision_root_meets_the_target_up_to_its_rounding(log_w, share):
    rho_min = share * testing.positive_share(log_w)
    single = torch.tensor(log_w, dtype=torch.float32)
    gamma = float(weights.gamma_star(single, rho_min, method="exact"))
    double = single.double().numpy()
    reached = weights.ess_ratio(double, gamma)
    # As above, and a last step of 1e-4 leaves its square.
    slack = 4 * 200 * 2.0**-24 * 8
    assert reached >= rho_min * (1 - slack)
    if gamma < 1:
        larger = min(1.0, gamma * (1 + 1e-3))
        assert weights.ess_ratio(double, larger) <= rho_min * (1 + slack)
