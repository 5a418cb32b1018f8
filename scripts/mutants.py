"""Change the code that judges and the code that weighs in one place; see whether a test notices.

    scripts/mutants.py                   all modules below
    scripts/mutants.py weights recorded  these two alone

mutmut makes and runs the mutants, in a scratch copy of the repository, so that nothing here is
touched. Every group of modules is tried with the tests that concern it, and no others. A mutant
counts as a message, and is left out, where it differs from the original in nothing but string
literals, f-strings and what a `raise` says. What no test notices must be listed in
tests/mutants.toml with its reason: as equivalent, where no test could tell, or as left. Exit code 1
where a survivor is not listed, where a listed one is noticed or gone, or where less than 95% of a
module's mutants that are not equivalent are noticed.

mutmut passes over decorated functions. In the copy a decorator is therefore written as what it
stands for, `name = decorator(name)` after the definition. Class-level defaults, module constants
and the default values of arguments that are not plain literals are not mutated.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
LISTED = REPOSITORY / "tests" / "mutants.toml"
NEEDED = 0.95


class Group(NamedTuple):
    """Modules, as paths in the package without their ending, and the tests that concern them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


GROUPS = (
    Group(
        (
            "claim",
            "combine",
            "draft",
            "arithmetic",
            "formulas",
            "engines/answers",
            "engines/certified",
            "engines/montecarlo",
            "engines/neural",
            "engines/recorded",
            "engines/symbolic",
        ),
        (
            "test_arithmetic",
            "test_combine",
            "test_engines",
            "test_engine_edges",
            "test_ball_edges",
            "test_sampling_edges",
            "test_formula_verdicts",
            "test_vocabulary",
            "test_recorded",
        ),
    ),
    Group(
        ("weights",),
        (
            "test_weights",
            "test_weights_edges",
            "test_weights_values",
            "test_weights_torch",
            "test_sweep",
        ),
    ),
    Group(
        ("logspace",),
        ("test_logspace", "test_weights", "test_weights_edges", "test_weights_torch"),
    ),
    Group(("pareto",), ("test_pareto", "test_pareto_edges")),
    Group(("sweep",), ("test_sweep",)),
    Group(
        ("rule", "vector", "solver", "quick"),
        (
            "test_solver",
            "test_weights",
            "test_weights_edges",
            "test_weights_torch",
            "test_gamma_methods",
        ),
    ),
)
# torch compiles what mutmut has wrapped around a function, or gives up on it.
DESELECTED = (
    "tests/test_weights_torch.py::test_it_compiles_whole",
    "tests/test_weights_torch.py::test_a_gamma_may_be_a_tensor_that_nobody_looks_at",
    # One block of a hundred vectors is enough for a test that is run a thousand times.
    *(
        f"tests/test_gamma_methods.py::test_a_thousand_adversarial_vectors_have_their_root[{block}]"
        for block in range(1, 10)
    ),
)
# mutmut's exit codes of a mutant that no test noticed: the tests passed, or none calls it.
UNNOTICED = (0, 5, 33)
# Those of a mutant that was not tried to the end.
UNTRIED = (None, 2)
SEPARATOR = "ǁ"


class Change(NamedTuple):
    """One mutant, named by what it does rather than by a number that shifts with every edit."""

    function: str
    was: str
    now: str


class Mutant(NamedTuple):
    """One mutant as judged: its change, whether only a message changed, whether a test noticed."""

    module: str
    change: Change
    message: bool
    noticed: bool


def undecorated(source: str) -> str:
    """Write every decorator of a function as the assignment that it stands for."""
    lines = source.splitlines(keepends=True)
    bodies = [ast.parse(source).body]
    bodies += [node.body for node in bodies[0] if isinstance(node, ast.ClassDef)]
    functions = [node for body in bodies for node in body if isinstance(node, ast.FunctionDef)]
    for node in sorted(functions, key=lambda node: node.lineno, reverse=True):
        names = [ast.unparse(decorator) for decorator in node.decorator_list]
        # mutmut knows these two.
        if not names or names in (["classmethod"], ["staticmethod"]):
            continue
        value = node.name
        for name in reversed(names):
            value = f"{name}({value})"
        lines.insert(node.end_lineno, f"{' ' * node.col_offset}{node.name} = {value}\n")
        del lines[node.decorator_list[0].lineno - 1 : node.lineno - 1]
    return "".join(lines)


def configuration(group: Group) -> str:
    """Return the table that mutmut reads; a JSON array of strings is one of TOML."""
    options = ["-p", "no:cacheprovider", *(f"--deselect={test}" for test in DESELECTED)]
    settings = {
        "source_paths": ["isr_theory"],
        "only_mutate": [f"isr_theory/{module}.py" for module in group.modules],
        "also_copy": ["benchmarks"],
        "pytest_add_cli_args": options,
        "pytest_add_cli_args_test_selection": [f"tests/{name}.py" for name in group.tests],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    return "\n".join(["", "[tool.mutmut]", *lines, ""])


def copied(scratch: Path, group: Group) -> None:
    """Copy what the tests need, with the decorators of what is mutated written out."""
    for name in ("isr_theory", "tests", "benchmarks"):
        shutil.copytree(
            REPOSITORY / name, scratch / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    (scratch / "pyproject.toml").write_text(project + configuration(group), encoding="utf-8")
    for module in group.modules:
        path = scratch / "isr_theory" / f"{module}.py"
        path.write_text(undecorated(path.read_text(encoding="utf-8")), encoding="utf-8")


def run_mutmut(scratch: Path, jobs: int) -> None:
    """Let mutmut make and run all mutants; its progress goes to the terminal if there is one."""
    # Mutants run in forks of a process that has run the tests: threads would not survive that.
    environment = os.environ | {"ISR_PROFILE": "light", "OMP_NUM_THREADS": "1"}
    mutmut = Path(sys.executable).with_name("mutmut")
    if not mutmut.exists():
        sys.exit("mutmut is not installed: pip install -e '.[dev,mutants]'")
    command = [str(mutmut), "run", "--max-children", str(jobs)]
    log = scratch / "mutmut.log"
    with log.open("w", encoding="utf-8") as file:
        output = None if sys.stdout.isatty() else file
        done = subprocess.run(
            command, cwd=scratch, env=environment, stdout=output, stderr=output, check=False
        )
    if done.returncode:
        sys.exit(f"mutmut stopped\n{log.read_text(encoding='utf-8')[-4000:]}")


class _Blank(ast.NodeTransformer):
    """Take out what is only said: strings, f-strings, what is raised with which words."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return ast.Constant("")

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            return ast.Raise(node.exc.func)
        return node


def _without_words(function: ast.FunctionDef) -> str:
    blank = _Blank().visit(ast.parse(ast.unparse(function)))
    return ast.unparse(blank).split("(", 1)[1]


def _difference(before: str, after: str) -> tuple[str, str]:
    """Return the lines that differ between two versions of one function, each as one line."""
    old, new = ([line.strip() for line in text.splitlines()[1:]] for text in (before, after))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    parts = [part for part in matcher.get_opcodes() if part[0] != "equal"]
    was = [" ".join(old[low:high]) for _, low, high, _, _ in parts]
    now = [" ".join(new[low:high]) for _, _, _, low, high in parts]
    return " ... ".join(was), " ... ".join(now)


def _signed(text: str, name: str) -> str:
    """Put the signature on a line of its own, under the function's true name."""
    return "\n" + text.replace(name, "def", 1)


def judged(scratch: Path) -> Iterator[Mutant]:
    """Read what mutmut found, mutant by mutant."""
    for meta in sorted((scratch / "mutants").rglob("*.meta")):
        codes = json.loads(meta.read_text(encoding="utf-8"))["exit_code_by_key"]
        path = meta.with_suffix("")
        source = path.read_text(encoding="utf-8")
        functions = {
            node.name: node
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef)
        }
        # ast.get_source_segment would split the whole file anew for each of its functions.
        lines = source.splitlines(keepends=True)
        texts = {
            name: _signed("".join(lines[node.lineno - 1 : node.end_lineno]).strip(), name)
            for name, node in functions.items()
            if "__mutmut_" in name
        }
        for key, code in codes.items():
            if code in UNTRIED:
                sys.exit(f"{key} was not tried")
            module, name = key.rsplit(".", 1)
            original = name.rsplit("_", 1)[0] + "_orig"
            function = name.split("__mutmut_")[0].removeprefix("x").removeprefix("_")
            function = function.strip(SEPARATOR).replace(SEPARATOR, ".")
            change = Change(f"{module}.{function}", *_difference(texts[original], texts[name]))
            yield Mutant(
                module=module,
                change=change,
                message=_without_words(functions[original]) == _without_words(functions[name]),
                noticed=code not in UNNOTICED,
            )


def listed() -> tuple[set[Change], set[Change]]:
    """Return what tests/mutants.toml lists as equivalent and as left."""
    table = tomllib.loads(LISTED.read_text(encoding="utf-8")) if LISTED.exists() else {}
    for entry in (*table.get("equivalent", ()), *table.get("left", ())):
        if not entry["why"].strip():
            sys.exit(f"{LISTED.name}: no reason is given for {entry}")
    equivalent, left = (
        {Change(entry["function"], entry["was"], entry["now"]) for entry in table.get(kind, ())}
        for kind in ("equivalent", "left")
    )
    return equivalent, left


def report(mutants: list[Mutant]) -> int:
    """Print the share noticed by module and what the list gets wrong; return the exit code."""
    modules = {mutant.module for mutant in mutants}
    equivalent, left = (
        {change for change in changes if module_of(change) in modules} for changes in listed()
    )
    judged_ones = [mutant for mutant in mutants if not mutant.message]
    survivors = {mutant.change for mutant in judged_ones if not mutant.noticed}
    counted = [m for m in judged_ones if m.noticed or m.change not in equivalent]
    total, noticed = (
        Counter(mutant.module for mutant in some)
        for some in (counted, [m for m in counted if m.noticed])
    )
    print(f"{len(mutants) - len(judged_ones)} mutants change messages alone and are left out")
    shares = {module: noticed[module] / total[module] for module in sorted(total)}
    for module, share in shares.items():
        print(f"{module:<36} {noticed[module]:>5} of {total[module]:>5} noticed, {share:.1%}")
    share = noticed.total() / max(1, total.total())
    print(f"{'all':<36} {noticed.total():>5} of {total.total():>5} noticed, {share:.1%}")
    wrong = {
        "survives and is not listed": survivors - equivalent - left,
        "is listed and does not survive": (equivalent | left) - survivors,
    }
    for problem, changes in wrong.items():
        for change in sorted(changes):
            print(f"\n{change.function} {problem}\n  - {change.was}\n  + {change.now}")
    return 1 if any(wrong.values()) or min(shares.values(), default=1) < NEEDED else 0


def module_of(change: Change) -> str:
    """Return the module that a change is in: what stands before a function, or class and method."""
    parts = change.function.split(".")
    return ".".join(parts[: -2 if parts[-2][0].isupper() else -1])


def chosen(names: list[str]) -> list[Group]:
    """Return the groups to run: all that are measured, or what any hold of the modules named."""
    if not names:
        return list(GROUPS)
    known = {module.rpartition("/")[-1]: module for group in GROUPS for module in group.modules}
    if unknown := set(names) - set(known):
        sys.exit(f"not mutated: {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    wanted = {known[name] for name in names}
    groups = (Group(tuple(m for m in g.modules if m in wanted), g.tests) for g in GROUPS)
    return [group for group in groups if group.modules]


def main() -> int:
    """Copy, mutate, run, compare; remove the copies whatever happens."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="which modules, by their last name; all if none")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    given = parser.parse_args()
    mutants: list[Mutant] = []
    for group in chosen(given.modules):
        print(f"changing {', '.join(group.modules)}", flush=True)
        with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
            scratch = Path(folder)
            copied(scratch, group)
            try:
                run_mutmut(scratch, given.jobs)
            except KeyboardInterrupt:
                print("\nstopped; nothing was left behind", file=sys.stderr)
                return 130
            mutants += judged(scratch)
    return report(mutants)


if __name__ == "__main__":
    sys.exit(main())
