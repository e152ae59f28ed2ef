"""Where a command's time goes, stage by stage: run by start_up.py as a process of its own.

    python benchmarks/stages.py ARGUMENT.. > FILE

Runs ``meta-learn ARGUMENT..`` once with what it imports first, each stage's function timed around, and
prints JSON: stage -> seconds of wall clock and of this process's CPUs, without the stages within it.
Threads and processes beside a stage add to its CPU time; a figure drawn in the second process shows only
as the wait for it.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

# What compare imports, in the order in which it is loaded: what one brings, the next finds.
IMPORTS = (
    "numpy",
    "jax",
    "optax",
    "numpyro",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "h5netcdf",
    "analysis.cli",
    "analysis.comparison.figures",
    "analysis.comparison.page",
    "analysis.comparison.learners",
    "analysis.report.publish",
)
# stage -> (module, what it calls by that name)
STAGES = {
    "find networks": ("analysis.commands.networks", "train_with_progress"),
    "score: rest": ("analysis.comparison.compare", "score"),
    "score: each predictor": ("analysis.comparison.compare", "score_part"),
    "score: Bayes and its like": ("meta_learning.processes.base", "Process.log_predictive"),
    "score: oracle": ("meta_learning.processes.base", "Process.log_predictive_given_latent"),
    "intervals": ("analysis.comparison.estimates", "estimate_all"),
    "figures: made": ("analysis.comparison.page", "panels_of"),
    "figures: drawn": ("analysis.report.drawers", "draw_all"),
    "arrays": ("analysis.report.publish", "netcdf_bytes"),
    "page": ("analysis.report.publish", "_page"),
    "terminal": ("analysis.output", "print_tables"),
}

spent: dict[str, dict[str, float]] = {}
_inner: list[list[float]] = []


def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, its own seconds added to its stage."""

    def run(*arguments: Any, **named: Any) -> Any:
        begun = (time.perf_counter(), time.process_time())
        _inner.append([0.0, 0.0])
        try:
            return function(*arguments, **named)
        finally:
            took = (time.perf_counter() - begun[0], time.process_time() - begun[1])
            within = _inner.pop()
            own = spent.setdefault(stage, {"wall": 0.0, "cpu": 0.0})
            for name, whole, inside in zip(("wall", "cpu"), took, within, strict=True):
                own[name] += whole - inside
            if _inner:
                _inner[-1] = [a + b for a, b in zip(_inner[-1], took, strict=True)]

    return run


def main() -> None:
    for name in IMPORTS:
        timed(f"import {name.split('.')[0]}", importlib.import_module)(name)
    for stage, (module, path) in STAGES.items():
        *outer, name = path.split(".")
        owner = importlib.import_module(module)
        for part in outer:
            owner = getattr(owner, part)
        setattr(owner, name, timed(stage, getattr(owner, name)))
    from analysis.cli import main as command

    quiet = contextlib.redirect_stdout(io.StringIO())
    with quiet, contextlib.suppress(SystemExit):
        timed("rest", command)(sys.argv[1:])
    print(json.dumps(spent))


if __name__ == "__main__":
    main()
