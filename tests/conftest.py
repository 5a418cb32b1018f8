"""Hypothesis profiles: derandomised here and in CI, so that a failure is a failure every time."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("ci", max_examples=200, derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=100_000, deadline=None)
settings.load_profile(os.environ.get("ISR_PROFILE", "ci"))
