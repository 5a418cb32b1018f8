"""Hypothesis profiles: derandomised here and in CI, so that a failure is a failure every time."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("ci", max_examples=1_000, derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=100_000, deadline=None)
# For mutation testing, which runs the tests a thousand times over.
settings.register_profile("light", max_examples=25, derandomize=True, deadline=None)
settings.load_profile(os.environ.get("ISR_PROFILE", "ci"))
