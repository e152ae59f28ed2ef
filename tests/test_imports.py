"""Imports run one way, and help does not wait for the heavy ones."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "autoregressive": {"autoregressive"},
    "meta_learning": {"autoregressive", "meta_learning"},
    "analysis": {"autoregressive", "meta_learning", "analysis"},
}
HEAVY = ("jax", "numpyro", "matplotlib", "xarray", "arviz", "scipy", "optax", "numpy", "rich")


def imported(path: Path) -> set[str]:
    """The top-level packages of every import statement of a file, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports here are absolute"
            names.add(node.module or "")
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        wrong = imported(path) & MAY_IMPORT.keys() - MAY_IMPORT[package]
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(wrong)}"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["compare", "--help"]], ids=str)
def test_help_imports_nothing_heavy(arguments):
    program = (
        "import sys\nfrom analysis.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert run.stderr == "[]\n"
