"""``python -m analysis`` is the ``meta-learn`` command."""

import os
import sys

# Python puts the working folder first where it looks for modules: a user's file there that is called
# as one of ours, or of what we import, would be taken for it.
if not sys.flags.safe_path and sys.path:
    _OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if os.path.abspath(sys.path[0]) != _OURS:
        del sys.path[0]

from analysis.cli import main

main(prog_name="meta-learn")
