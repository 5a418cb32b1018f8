"""Install the peers, each into an environment of its own under .peers: `make peers [PEERS=...]`.

Every environment has its full list of pinned packages beside this file, so that no peer is a
dependency of this project and a figure can be made again. `--lock` installs the packages of the
list's first line alone and writes the list anew. A peer that cannot be installed is reported and
does not stop the others.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

LOCKS = Path(__file__).parent
ENVIRONMENTS = LOCKS.parent.parent / ".peers"
PEERS = sorted(path.stem for path in LOCKS.glob("*.txt"))


def python_of(name: str) -> Path:
    """Return the interpreter of a peer's environment."""
    return ENVIRONMENTS / name / "bin" / "python"


def installed(name: str) -> bool:
    """Return whether a peer's environment is there and holds what its list says."""
    stamp = ENVIRONMENTS / name / ".current"
    return stamp.exists() and stamp.read_text(encoding="utf-8") == _digest(name)


def _digest(name: str) -> str:
    return hashlib.sha256((LOCKS / f"{name}.txt").read_bytes()).hexdigest()


def install(name: str, *, lock: bool) -> bool:
    """Make a peer's environment; return whether that worked."""
    if installed(name) and not lock:
        print(f"{name}: already there")
        return True
    print(f"{name}: installing", flush=True)
    venv.create(ENVIRONMENTS / name, with_pip=True, clear=True)
    pip = [str(python_of(name)), "-m", "pip", "--disable-pip-version-check"]
    listed = LOCKS / f"{name}.txt"
    asked = listed.read_text(encoding="utf-8").splitlines()[0].removeprefix("# asked for: ")
    wanted = asked.split() if lock else ["-r", str(listed)]
    done = subprocess.run([*pip, "install", "-q", *wanted], check=False)
    if done.returncode:
        print(f"{name}: could not be installed: see pip's message above", file=sys.stderr)
        return False
    if lock:
        frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
        listed.write_text(f"# asked for: {asked}\n{frozen.stdout}", encoding="utf-8")
    (ENVIRONMENTS / name / ".current").write_text(_digest(name), encoding="utf-8")
    return True


def main() -> int:
    """Install the peers that are named, all if none is; return 1 if one could not be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--lock", action="store_true", help="write the lists of packages anew")
    arguments = parser.parse_args()
    unknown = set(arguments.peers) - set(PEERS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(PEERS)}")
    done = [install(name, lock=arguments.lock) for name in arguments.peers or PEERS]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
