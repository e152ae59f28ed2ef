"""Imports run one way, and help does not wait for the heavy ones."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TRAIN

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "autoregressive": {"autoregressive"},
    "meta_learning": {"autoregressive", "meta_learning"},
    "analysis": {"autoregressive", "meta_learning", "analysis"},
}
# Floors of ``analysis``, from the ground up: a file imports from its own floor or from below.
FLOORS = (
    {"intervals", "arviz_versions", "contracts", "extensions", "interrupts", "progress", "workers"},
    {"forecast", "report"},
    {"comparison", "audit", "hidden", "all_histories", "images", "sweep", "coursework", "papers"},
    {"console", "output", "training_progress"},
    {"commands"},
    {"cli"},
    {"__main__"},
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# Rooms that a room may look into beside itself.
NEIGHBOURS = {
    "comparison": set(),
    "hidden": {"comparison"},
    "images": set(),
    "audit": {"comparison", "hidden"},
    "all_histories": {"comparison", "audit", "hidden"},
    "sweep": {"comparison"},
    "coursework": {"comparison", "audit", "hidden", "images"},
    "papers": {"comparison", "audit", "hidden", "all_histories", "sweep"},
}
HEAVY = (
    "jax",
    "jaxtyping",
    "numpyro",
    "matplotlib",
    "xarray",
    "arviz",
    "scipy",
    "optax",
    "numpy",
    "rich",
)


# What only some commands need: longer to import than a comparison takes to score.
NOT_FOR_COMPARE = ("xarray", "pandas", "dask", "distributed", "arviz", "scipy.stats", "pooch")


def imported(path: Path) -> set[str]:
    """The modules of every import statement of a file, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports here are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        tops = {name.split(".")[0] for name in imported(path)}
        wrong = tops & MAY_IMPORT.keys() - MAY_IMPORT[package]
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(wrong)}"


def test_floors_of_analysis_are_built_upon_from_above_only():
    seen = set()
    for path in sorted((ROOT / "analysis").rglob("*.py")):
        inside = path.relative_to(ROOT / "analysis")
        room = inside.parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        seen.add(room)
        for name in imported(path):
            top, _, rest = name.partition(".")
            other = rest.split(".")[0]
            if top != "analysis" or not other:
                continue
            assert FLOOR[other] <= FLOOR[room], f"{inside} imports {name} from a floor above"
            if room in NEIGHBOURS and other in NEIGHBOURS and other != room:
                assert other in NEIGHBOURS[room], f"{inside} looks into {name}"
    assert seen == FLOOR.keys()


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


def test_a_report_of_compare_needs_no_more_than_it_uses(filled_cache, tmp_path):
    arguments = [*map(str, TRAIN), "--out", str(tmp_path / "out"), "--quiet"]
    code = (
        "import sys\n"
        "from analysis.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        f"print([name for name in {NOT_FOR_COMPARE!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "out" / "comparison.nc").exists()
