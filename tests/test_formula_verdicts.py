"""Every claim about a formula gets the verdict that it is expected to get, without sampling.

Sampling has a resolution, so it may miss a small change of a formula; the other routes may not.
`scripts/mutants.py` runs this on changed formulas, so it takes seconds and reads no source text.
"""

from __future__ import annotations

import inspect

import pytest

from isr_theory import formulas
from isr_theory.arithmetic import Real
from isr_theory.claim import Finding, Outcome, Route
from isr_theory.claims import ledger
from isr_theory.combine import combine
from isr_theory.judge import Judge, Options

WITHOUT_SAMPLING = Options(routes=frozenset(Route) - {Route.SAMPLED})
FORMULAS = [f for _, f in inspect.getmembers(formulas, inspect.isfunction)]


def _about_a_formula(claim):
    """Say whether the subject is a formula, or a named tuple that holds one."""
    parts = claim.subject if hasattr(claim.subject, "_fields") else (claim.subject,)
    return any(part is formula for part in parts for formula in FORMULAS)


CLAIMS = [claim for claim in ledger() if claim.wrong and _about_a_formula(claim)]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_verdict_without_sampling(claim):
    judge, findings = Judge(claim, WITHOUT_SAMPLING), []
    for check in claim.checks:
        said = judge.answer(check, claim.subject)
        stamped = (said.outcome, said.strength, check.scope, said.witness)
        findings.append(Finding(check.route, check.name, *stamped))
        assert said.outcome not in (Outcome.FAILS, Outcome.ERROR), said
    assert combine(findings) is claim.expect


LAWS, LONGER = ((0.5, 0.5), (0.25, 0.75), (1.0, 2.0)), (0.25, 0.25, 0.5)
OVER_LAWS = [
    (formulas.kl, 2, ()),
    (formulas.moment, 2, (0.5,)),
    (formulas.tilted, 2, ()),
    (formulas.effective_target, 3, (0.5,)),
    (formulas.reshaped_gradient, 3, (0.5,)),
    (formulas.fixed_point, 2, (0.5,)),
    (formulas.geometric_path, 2, (0.5,)),
    (formulas.fisher_rao_path, 2, (0.5,)),
    (formulas.equalising_reward, 2, (0.5,)),
    (formulas.bias, 2, (0.5,)),
    (formulas.bias_slope, 2, (0.5,)),
]


@pytest.mark.parametrize(("formula", "laws", "rest"), OVER_LAWS)
def test_laws_have_one_length(formula, laws, rest):
    given = LAWS[:laws]
    formula(*given, *rest, Real)
    for longer in range(laws):
        with pytest.raises(ValueError, match="zip"):
            formula(*given[:longer], LONGER, *given[longer + 1 :], *rest, Real)
