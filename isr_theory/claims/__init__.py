"""The ledger: one module per section of the paper, each ending in a tuple `CLAIMS`.

A module belongs to the ledger by its name, `sNN_...` for a section of the paper, `xNN_...` for what
goes past it and `yNN_...` for predictions about training; adding a claim touches one file here and
one line of `ids.txt`, the committed list of all ids, against which a test holds the ledger both
ways.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from importlib.resources import files

from isr_theory.claim import Claim


@cache
def ledger() -> tuple[Claim, ...]:
    """Return every claim, in the paper's order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    modules = [import_module(f"{__name__}.{name}") for name in names if name[1:3].isdigit()]
    return tuple(claim for module in modules for claim in module.CLAIMS)


@cache
def listed_ids() -> tuple[str, ...]:
    """Return the ids that `ids.txt` lists; a # starts a comment."""
    lines = files(__name__).joinpath("ids.txt").read_text(encoding="utf-8").splitlines()
    words = (line.split("#", 1)[0].strip() for line in lines)
    return tuple(word for word in words if word)
