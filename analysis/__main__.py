"""``python -m analysis`` and ``meta-learn``: the command, with Ctrl-C in hand before it is imported."""

import os
import signal
import sys

# Python puts the working folder first where it looks for modules: a user's file there that is called
# as one of ours, or of what we import, would be taken for it.
if __name__ == "__main__" and not sys.flags.safe_path and sys.path:
    _OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.abspath(sys.path[0]) != _OURS:
        del sys.path[0]

from analysis.interrupts import handled, stop


def main() -> None:
    """The ``meta-learn`` command of this process's arguments; never returns."""
    with handled(program=True):
        try:
            from analysis.cli import main as command
        except KeyboardInterrupt:
            stop()
        try:
            command(prog_name="meta-learn")
        finally:
            # Everything is written: nothing is left that could be stopped.
            signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()
