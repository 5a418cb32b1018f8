"""Draw the figures: python -m figures [NAME ...] [--check] [--out DIR].

Without a name all are drawn, as PDF, SVG and PNG with the caption beside them, into `figures/out`,
and the tables that they show are written to `figures/data`. With --check nothing is written: exit
code 1 says that a committed table is not what the code computes.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch

import figures
from figures import captions, style, tables
from isr_theory import files

HERE = Path(__file__).parent
DATA = HERE / "data"


def catalogue() -> dict[str, ModuleType]:
    """Return the figures by name: the modules here that have claims to illustrate."""
    names = [found.name for found in pkgutil.iter_modules(figures.__path__)]
    modules = {x: importlib.import_module(f"figures.{x}") for x in names if x != "__main__"}
    return {name: module for name, module in modules.items() if hasattr(module, "CLAIMS")}


def draw(module: ModuleType, data: tables.Tables, stem: Path) -> str:
    """Draw one figure and write its caption beside it; return the caption."""
    known = captions.verdicts()
    words = captions.caption(module.CAPTION, module.CLAIMS, known)
    stem.parent.mkdir(parents=True, exist_ok=True)
    with style.applied():
        sheet = style.sheet(module.SIZE, captions.foot(module.CLAIMS, known))
        module.draw(data, sheet)
        style.save(sheet, stem)
    files.write(stem.with_name(f"{stem.name}.txt"), words)
    return words


def stale(name: str, data: tables.Tables, folder: Path = DATA) -> list[str]:
    """Say how the committed tables of a figure differ from these."""
    found = []
    for table, rows in data.items():
        path = folder / f"{name}.{table}.csv"
        if not path.exists():
            found.append(f"{path.name} is not there")
            continue
        committed = path.read_text(encoding="utf-8")
        found += [f"{path.name}, {x}" for x in tables.differences(committed, tables.text(rows))]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw or check; return 0, 1 where a table is stale, 2 for an unknown name."""
    parser = argparse.ArgumentParser(prog="python -m figures", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="which figures; all without")
    parser.add_argument("--check", action="store_true", help="compare the committed tables only")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="folder for the drawings")
    options = parser.parse_args(arguments)
    known = catalogue()
    unknown = [name for name in options.names if name not in known]
    if unknown:
        print(f"no figure {unknown[0]!r}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    # The tensors are small: threads would only wait for each other.
    torch.set_num_threads(1)
    problems = []
    for name in options.names or known:
        data = known[name].data()
        if options.check:
            problems += stale(name, data)
            continue
        for table, rows in data.items():
            DATA.mkdir(exist_ok=True)
            files.write(DATA / f"{name}.{table}.csv", tables.text(rows))
        print(f"{name}\n{draw(known[name], data, options.out / name)}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
