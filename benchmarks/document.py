"""What every benchmark writes: a JSON document that says how it came to be."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from autoregressive.versions import environment, versions


def write(found: dict[str, Any], out: Path | None) -> None:
    """``found`` with the command, versions and machine, to ``out`` or printed."""
    document = {
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "versions": versions(),
        **environment(),
        **found,
    }
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    if out is None:
        print(text, end="")
    else:
        out.write_text(text)
