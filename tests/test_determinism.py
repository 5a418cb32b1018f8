"""The same seed gives the same findings, bit for bit, whatever else runs, in any order."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from isr_theory import runner
from isr_theory.claims import ledger
from isr_theory.judge import Options, judge

FINDINGS_ONLY = Options(falsify=False)


@pytest.fixture(scope="module")
def alone():
    """Every claim judged in the ledger's order, in this process."""
    return {claim.id: judge(claim, FINDINGS_ONLY) for claim in ledger()}


def digits(results):
    """Everything that results say; equality alone would leave out what witnesses show."""
    return {result.id: repr(result) for result in results}


def test_processes_change_nothing(alone):
    together = runner.run(ledger(), FINDINGS_ONLY, load=ledger, jobs=2)
    assert digits(together) == digits(alone.values())


def test_order_and_subset_change_nothing(alone):
    some = random.Random(1).sample(ledger(), 60)
    again = digits(judge(claim, FINDINGS_ONLY) for claim in some)
    assert again == digits(alone[claim.id] for claim in some)


PROGRAM = """
from isr_theory.claims import ledger
from isr_theory.judge import Options, judge
for claim in ledger()[::10]:
    print(repr(judge(claim, Options())))
"""


def test_the_hash_seed_changes_nothing():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_another_seed_changes_samples_and_no_verdict(alone):
    others = [judge(claim, Options(seed=7, falsify=False)) for claim in ledger()]
    assert [other.verdict for other in others] == [result.verdict for result in alone.values()]
    assert digits(others) != digits(alone.values())
