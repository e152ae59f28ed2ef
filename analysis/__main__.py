"""``python -m analysis`` and ``meta-learn``: signals are handled before the command is imported."""

import os
import signal
import sys

# Python looks for modules in the working folder first: a user's file there with the name of one of
# ours, or of a module that we import, would be imported in its place.
if __name__ == "__main__" and not sys.flags.safe_path and sys.path:
    _OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.abspath(sys.path[0]) != _OURS:
        del sys.path[0]

from analysis.interrupts import handle_signals, leave, stop


def main() -> None:
    """The ``meta-learn`` command of this process's arguments; never returns."""
    code: str | int | None = None
    with handle_signals(program=True):
        try:
            from analysis.cli import main as command
        except KeyboardInterrupt:
            stop()
        try:
            command(prog_name="meta-learn")
        except SystemExit as end:
            code = end.code
        finally:
            # Everything is written: there is nothing left to stop.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave(code)


if __name__ == "__main__":
    main()
