"""The command `python -m experiments.lm`."""

import sys

from experiments.lm import _command

if __name__ == "__main__":
    _command.with_room()
    sys.exit(_command.main())
