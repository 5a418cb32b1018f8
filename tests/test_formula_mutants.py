"""Changing any one operator or constant of `formulas.py` turns some verdict.

Every arithmetic operator, sign, integer and called function of every formula is changed, one at a
time, and the claims whose subject is that formula, or one built on it, are judged on the mutant. A
mutant is caught when a check that holds on the true formula no longer does.
"""

from __future__ import annotations

import ast
import copy
import types
from pathlib import Path

import pytest

from isr_theory import formulas, runner
from isr_theory.claim import Outcome, Route
from isr_theory.claims import ledger

SOURCE = Path(formulas.__file__).read_text(encoding="utf-8")
TREE = ast.parse(SOURCE)
SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
CALLS = {"exp": "log", "log": "exp", "sqrt": "exp", "sin": "exp", "minimum": "power"}
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
    """Claims by the formulas in their subject, with the checks that hold on it."""
    by_name = {}
    for claim in ledger():
        if not claim.wrong or not _parts(claim.subject):
            continue
        judge = runner._Judge(claim, runner.Options())
        sound = [
            check
            for check in claim.checks
            if check.route in (Route.SYMBOLIC, Route.CERTIFIED)
            and judge.answer(check, claim.subject).outcome is Outcome.HOLDS
        ]
        for name in _parts(claim.subject):
            by_name.setdefault(name, []).append((judge, sound))
    return by_name


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_change_is_caught(function, judges):
    survivors = []
    users = [name for name in sorted(_callers(function.name)) if name in judges]
    assert users, f"{function.name} is the subject of no claim"
    for index, description in _places(function):
        module = _mutated(function.name, index)
        caught = any(
            judge.answer(check, _from(module, judge.claim.subject)).outcome is not Outcome.HOLDS
            for name in users
            for judge, checks in judges[name]
            for check in checks
        )
        if not caught:
            survivors.append(description)
    assert not survivors
