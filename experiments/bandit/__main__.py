"""The command `python -m experiments.bandit`."""

import sys

from experiments.command import main

if __name__ == "__main__":
    sys.exit(main("experiments.bandit"))
