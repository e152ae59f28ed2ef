"""``python -m analysis`` and ``meta-learn``: the command, with Ctrl-C in hand before it is imported."""

import signal

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
