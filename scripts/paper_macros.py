"""Write what the paper quotes: paper/out/ledger.tex of the verdicts, captions.tex of the figures.

It reads docs/verdicts.json and not a fresh run: that file is deterministic and committed, CI holds
it against a run, and the captions under the figures are made of it, so that all parts of the paper
say the same.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from isr_theory import files
from isr_theory.report import latex

ROOT = Path(__file__).parent.parent


def main(arguments: list[str]) -> int:
    """Write both files into a folder, paper/out without one."""
    out = Path(arguments[0]) if arguments else ROOT / "paper" / "out"
    out.mkdir(parents=True, exist_ok=True)
    verdicts = (ROOT / "docs" / "verdicts.json").read_text(encoding="utf-8")
    files.write(out / "ledger.tex", latex.macros(json.loads(verdicts)))
    captions = {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "figures" / "out").glob("*.txt"))
    }
    files.write(out / "captions.tex", latex.captions(captions))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
