"""``python -m analysis`` is the ``meta-learn`` command."""

from analysis.cli import main

main(prog_name="meta-learn")
