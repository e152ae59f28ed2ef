"""What every benchmark writes: a JSON document that says how it came to be."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from autoregressive.versions import environment, versions


def machine() -> dict[str, Any]:
    """Processor, cores, memory (None where Linux's own files do not say) and the load of the last
    minute."""
    name = [line.split(":", 1)[1].strip() for line in _lines("cpuinfo") if "model name" in line]
    memory = [int(line.split()[1]) for line in _lines("meminfo") if "MemTotal" in line]
    return {
        "processor": name[0] if name else None,
        "cores": os.cpu_count(),
        "memory_gib": round(memory[0] / 2**20) if memory else None,
        "load": round(os.getloadavg()[0], 1),
    }


def _lines(name: str) -> list[str]:
    file = Path("/proc") / name
    return file.read_text().splitlines() if file.exists() else []


def write(found: dict[str, Any], out: Path | None) -> None:
    """``found`` with the command, versions and machine, to ``out`` or printed."""
    document = {
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "versions": versions(),
        **environment(),
        "machine": machine(),
        **found,
    }
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    if out is None:
        print(text, end="")
    else:
        out.write_text(text)
