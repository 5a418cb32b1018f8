"""Make or mend the virtual environment of this repository: `python scripts/make_env.py .venv`.

Standard library only, since it runs before anything is installed. The last thing that it does is
to write the stamp that tells make that the environment is current; whatever fails before leaves
no stamp, and the next call begins again.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def pinned_torch() -> str:
    """Return the torch requirement that the constraints pin."""
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def warn_if_large(python: Path) -> None:
    """Say so before the download where the pinned torch would be a build with GPU libraries."""
    command = [python, "-m", "pip", "install", "-q", "--dry-run", "--no-deps", "--report", "-"]
    asked = subprocess.run([*command, pinned_torch()], capture_output=True, text=True)
    try:
        url = json.loads(asked.stdout)["install"][0]["download_info"]["url"]
    except (ValueError, LookupError):
        return  # already installed, or pip cannot tell; the installation will say what is wrong
    if platform.system() == "Linux" and "cpu" not in url.rsplit("/", 1)[-1]:
        print(
            f"note: pip would take {pinned_torch()} with GPU libraries here, about 2.5 GB. "
            "To avoid that, stop now (Ctrl-C) and let pip see PyTorch's index of CPU builds "
            "(PIP_EXTRA_INDEX_URL), or go without the neural route: pip install -e '.[dev]'.",
            flush=True,
        )


def main() -> None:
    """Create the environment if need be, install what is pinned, leave the stamp."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the Python at hand may be any
        sys.exit(f"Python 3.11 or newer is needed, this is {platform.python_version()}")
    target = Path(sys.argv[1])
    python = target / "bin" / "python"
    if not python.exists():
        print(f"making {target} with Python {platform.python_version()}", flush=True)
        venv.create(target, with_pip=True)
    warn_if_large(python)
    print("installing isr_theory with the extras neural and dev", flush=True)
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    extras = [*install, "-c", "constraints.txt", "-e", ".[neural,dev]"]
    if subprocess.run(extras, cwd=REPOSITORY).returncode:
        sys.exit("the environment could not be made: see pip's message above")
    (target / ".current").touch()


if __name__ == "__main__":
    main()
