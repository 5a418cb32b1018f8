"""Changing any one operator or constant of `formulas.py` turns some verdict.

Every arithmetic operator, sign, integer and called function of every formula is changed, one at a
time, and the claims whose subject is that formula, or one built on it, are judged on the mutant. A
mutant is caught when one of them no longer gets the verdict that it is expected to get.
"""

from __future__ import annotations

import ast
import copy
import types
from pathlib import Path

import pytest

from isr_theory import formulas
from isr_theory.claim import Finding, Outcome, Route
from isr_theory.claims import ledger
from isr_theory.combine import combine
from isr_theory.judge import Judge, Options

SOURCE = Path(formulas.__file__).read_text(encoding="utf-8")
TREE = ast.parse(SOURCE)
SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
CALLS = {"exp": "log", "log": "exp", "sqrt": "exp", "sin": "exp", "minimum": "power"}
# Sampling has a resolution, so it may miss a small change; the other routes may not.
WITHOUT_SAMPLING = Options(routes=frozenset(Route) - {Route.SAMPLED})
FUNCTIONS = [node for node in TREE.body if isinstance(node, ast.FunctionDef)]


def _places(function):
    """Yield (path, description) of what can be changed inside one function."""
    for index, node in enumerate(ast.walk(function)):
        if isinstance(node, ast.BinOp) and type(node.op) in SWAPS:
            yield index, f"{ast.unparse(node)}: {SWAPS[type(node.op)].__name__}"
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield index, f"{ast.unparse(node)}: without its sign"
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            yield index, f"{node.value} on line {node.lineno}: one more"
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in CALLS:
            yield index, f"{ast.unparse(node)}: {CALLS[node.func.attr]}"


def _mutated(name, index):
    """Return the formulas as a module in which one place of one function is changed."""
    tree = copy.deepcopy(TREE)
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    node = list(ast.walk(function))[index]
    if isinstance(node, ast.BinOp):
        node.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd()
    elif isinstance(node, ast.Constant):
        node.value += 1
    else:
        node.func.attr = CALLS[node.func.attr]
    module = types.ModuleType("mutated_formulas")
    exec(compile(ast.fix_missing_locations(tree), "mutated", "exec"), module.__dict__)
    return module


def _callers(name):
    """Return the names of the formulas that use a formula, itself included."""
    found = {name}
    while True:
        more = {
            function.name
            for function in FUNCTIONS
            for call in ast.walk(function)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in found
        }
        if more <= found:
            return found
        found |= more


NAMES = {getattr(formulas, function.name): function.name for function in FUNCTIONS}


def _parts(subject):
    """Return the formulas that a subject is, or holds in the fields of a named tuple."""
    candidates = subject if hasattr(subject, "_fields") else (subject,)
    return {NAMES[part] for part in candidates if callable(part) and part in NAMES}


def _from(module, subject):
    """Return the subject with each of its formulas taken from another module."""
    if hasattr(subject, "_fields"):
        return type(subject)(*(_from(module, part) for part in subject))
    known = callable(subject) and subject in NAMES
    return getattr(module, NAMES[subject]) if known else subject


@pytest.fixture(scope="module")
def judges():
    """Claims that are said to hold, by the formulas in their subject."""
    by_name = {}
    for claim in ledger():
        if claim.wrong:
            for name in _parts(claim.subject):
                by_name.setdefault(name, []).append(Judge(claim, WITHOUT_SAMPLING))
    return by_name


def _verdict(judge, subject):
    """Return the verdict on another subject; what fails or breaks decides at once."""
    findings = []
    for check in judge.claim.checks:
        said = judge.answer(check, subject)
        stamped = (said.outcome, said.strength, check.scope, said.witness)
        findings.append(Finding(check.route, check.name, *stamped))
        if said.outcome in (Outcome.FAILS, Outcome.ERROR):
            break
    return combine(findings)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_change_turns_a_verdict(function, judges):
    users = [judge for name in sorted(_callers(function.name)) for judge in judges.get(name, [])]
    assert users, f"{function.name} is the subject of no claim"
    assert all(_verdict(judge, judge.claim.subject) is judge.claim.expect for judge in users)
    survivors = []
    for index, description in _places(function):
        module = _mutated(function.name, index)
        if all(
            _verdict(judge, _from(module, judge.claim.subject)) is judge.claim.expect
            for judge in users
        ):
            survivors.append(description)
    assert not survivors
