"""The program for a GPU, rehearsed on the CPU as on a machine that lacks much."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
# Python imports it at its start, in every process of the rehearsal.
LACKING = """
from importlib.machinery import PathFinder

found = PathFinder.find_spec

# Nothing is found, as where it is not there: a library that only asks hears no error.
def find_spec(name, path=None, target=None):
    return None if name.split(".")[0] in {lacking!r} else found(name, path, target)

PathFinder.find_spec = staticmethod(find_spec)
"""
NOT_THERE = (
    "arviz",
    "xarray",
    "h5netcdf",
    "h5py",
    "pooch",
    "platformdirs",
    "requests",
    "jinja2",
    "matplotlib",
)


@pytest.fixture
def gpu(monkeypatch):
    """The program as a module: it needs nothing but Python's own."""
    monkeypatch.syspath_prepend(PROGRAM.parent)
    spec = importlib.util.spec_from_file_location("gpu", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def worker(gpu, tmp_path, monkeypatch):
    """Makes workers whose program is the given one instead of the steps."""
    made = []

    def make(program: str):
        (tmp_path / "gpu_steps.py").write_text(f"import json, os, sys, time\n{program}\n")
        made.append(gpu.Worker(tmp_path / "log", dict(os.environ)))
        return made[-1]

    monkeypatch.setattr(sys.modules["gpu_worker"], "HERE", tmp_path)
    yield make
    for one in made:
        one.end()


def start(folder, *arguments, lacking=()):
    """The program, writing to ``folder``, without the packages that its machine lacks."""
    (folder / "lacking").mkdir(parents=True)
    (folder / "lacking" / "sitecustomize.py").write_text(LACKING.format(lacking=lacking))
    environment = os.environ | {
        "PYTHONPATH": str(folder / "lacking"),
        "PYTHONWARNINGS": "default",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    }
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), "--out", str(folder), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def steps_of(folder, program):
    """What the program found, and its steps by kind."""
    _, said = program.communicate()
    assert program.returncode == 0, said
    found = json.loads((folder / "gpu.json").read_text())
    steps = {}
    for step in found["steps"]:
        steps.setdefault(step["step"], []).append(step)
    return found, steps


def test_the_whole_program_on_a_machine_that_lacks_much(tmp_path):
    # Two at once, each with some of the steps: half the time.
    rest = ("kernels", "agreement", "step_time", "gap", "epoch", "posteriors")
    shares = {"command": ["compare"], "rest": rest}
    programs = {
        name: start(
            tmp_path / name, "--smallest", *(f"--only={kind}" for kind in kinds), lacking=NOT_THERE
        )
        for name, kinds in shares.items()
    }
    found, steps = steps_of(tmp_path / "command", programs["command"])
    fresh, again = (step["found"] for step in steps["compare"])
    assert fresh["gap"] == again["gap"] > 0
    assert found["seconds"] < found["budget_seconds"]

    found, steps = steps_of(tmp_path / "rest", programs["rest"])
    assert found["platform"] == "cpu" and found["versions"]["jax"]
    assert steps.keys() == {"about", *rest}
    (tried,) = steps["kernels"]
    assert tried["found"] == {"against": "kernels do not compile here (ValueError)"}
    scan, kernels, places = steps.pop("agreement")
    assert kernels["state"] == "failed" and "interpret mode" in kernels["reason"]
    for step in (scan, places):
        for what in ("values", "gradients"):
            assert step["found"][what]["relative"] < 1e-6
    # Float32 is not float64: something was compared.
    assert scan["found"]["values"]["absolute"] > 0
    others = [step for kind in steps.values() for step in kind]
    assert {step["state"] for step in others} == {"done"}, others
    assert steps["step_time"][-1]["found"]["form"] == "spans"
    (gap,) = steps["gap"]
    assert gap["found"]["gap"]["mean"] > 0 and gap["found"]["T"] == 3


def test_what_needs_a_package_that_is_missing_is_left_out(tmp_path):
    folder = tmp_path / "out"
    arguments = ("--smallest", "--budget", "0.001")
    _, said = start(folder, *arguments, lacking=("numpyro", "optax", "torch")).communicate()
    # Nothing fits into a millisecond: nothing is run, all of it is told.
    first, *_, last = said.splitlines()
    assert first == "not installed: numpyro, optax"
    assert last == f"0 done, 0 failed, 11 left out: {folder / 'gpu.json'}"
    steps = json.loads((folder / "gpu.json").read_text())["steps"]
    assert {step["state"] for step in steps} == {"left out"}
    reasons = {step["step"]: step["reason"] for step in steps}
    assert reasons["compare"] == reasons["gap"] == "not installed: optax, numpyro"
    assert reasons["agreement"] == "takes some 6 s, and 0 s are left"


def test_without_a_gpu_there_is_nothing_to_measure(tmp_path):
    program = start(tmp_path / "out")
    _, said = program.communicate()
    assert program.returncode == 1
    assert said.splitlines()[-1] == (
        "gpu.py: no GPU (JAX finds none); --smallest rehearses on any device"
    )


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (
            "sys.stdin.readline(); sys.exit('out of memory')",
            "the process ended (exit code 1): out of memory",
        ),
        (
            "sys.stdin.readline(); print('bad', file=sys.stderr, flush=True); os.abort()",
            "the process ended (SIGABRT): bad",
        ),
        ("time.sleep(60)", "took longer than 1 s"),
    ],
)
def test_a_step_that_crashes_or_hangs_costs_one_line(worker, program, reason):
    one = worker(program)
    start = time.monotonic()
    assert one.run({"step": "about", "with": {}}, 1.0)["failed"] == reason
    assert time.monotonic() - start < 20
    assert one.process is None  # the next step gets a new one


def test_a_device_that_no_longer_answers_gets_a_new_process(worker):
    one = worker(
        "for line in sys.stdin:\n"
        "    print(json.dumps({'failed': 'x', 'goes_on': json.loads(line)}), flush=True)"
    )
    assert one.run(True, 20.0) == {"failed": "x"} and one.process is not None
    assert one.run(False, 20.0) == {"failed": "x"} and one.process is None


def test_time_that_is_over_goes_to_what_was_left_out(gpu, tmp_path):
    class Told:
        """Takes no time."""

        def run(self, step, seconds):
            return {"found": {"platform": "gpu"}, "seconds": 0.0}

        def end(self):
            pass

    steps = gpu.plan(smallest=False, data="glyphs", torch=True)
    # compare is thought to take 40 s, and its share of the budget ends after 35.
    program = gpu.Program(tmp_path / "gpu.json", 45.0, Told(), steps)
    told = []
    program.write = lambda: told.append([step["state"] for step in steps])
    program.run(anywhere=False)
    kinds = [step["step"] for step in steps]
    first = told[len(steps) - 1]
    assert first[kinds.index("compare")] == "left out"
    assert first[kinds.index("gap")] == "done"
    assert told[-1][kinds.index("compare")] == "done"


def test_ratios_are_to_pytorch_or_else_to_jax(gpu):
    def step(cell, side, median):
        return {
            "step": "step_time",
            "state": "done",
            "with": {"cell": cell, "job": "streams-8", "side": side},
            "found": {"milliseconds": {"median": median}},
        }

    steps = [step("lstm", "pytorch", 4.0), step("lstm", "ours", 1.0), step("gru", "ours", 3.0)]
    assert gpu.ratios(steps) == {"lstm streams-8": {"ratio to pytorch": {"ours": 0.25}}}
    steps[0] = step("lstm", "cudnn", 2.0)
    assert gpu.ratios(steps) == {"lstm streams-8": {"ratio to cudnn": {"ours": 0.5}}}


def test_the_plan_names_what_exists(gpu):
    import forms
    import gpu_steps

    from autoregressive.pixels.training import PIXEL_RECIPES

    steps = gpu.plan(smallest=False, data="mnist", torch=True)
    assert gpu.KINDS.keys() == gpu_steps.STEPS.keys() == {step["step"] for step in steps}
    sides = {"ours", "pytorch"}
    for step in steps:
        given = step["with"]
        assert given.get("form", "scan") in forms.FORMS
        assert given.get("side", "ours") in sides | forms.FORMS.keys()
        assert given.get("recipe", "best") in PIXEL_RECIPES
    assert len({gpu.name(step) for step in steps}) == len(steps)
