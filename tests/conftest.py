"""Hypothesis profiles, derandomised here and in CI; and Ctrl-C as a person at a terminal has it."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

settings.register_profile("ci", max_examples=1_000, derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=100_000, deadline=None)
# For mutation testing, which runs the tests a thousand times over.
settings.register_profile("light", max_examples=25, derandomize=True, deadline=None)
settings.load_profile(os.environ.get("ISR_PROFILE", "ci"))

# A shell that runs something in the background has it ignore SIGINT, and all that it starts; the
# tests of Ctrl-C would then wait for an answer that cannot come.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def one_thread():
    """Have torch sum on one thread, which is quicker for small tensors and the same every time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
