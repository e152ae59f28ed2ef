"""A GPU in one call: are the unroll's forms right there, and how fast is everything.

    python benchmarks/gpu.py --out FOLDER [--budget 480] [--data FOLDER] [--only STEP] [--smallest]

For a machine with an NVIDIA GPU, from a checkout of the repository; nothing needs to be installed but
JAX with CUDA. What other packages are missing is said in one line, and what needs them is left out.
In this order: whether the kernels are used; every form of the unroll against the plain scan;
milliseconds a training step of each, beside PyTorch's cuDNN where PyTorch is there; ``compare`` from
nothing and again; the exact gap at T=20; one epoch of MNIST; 1,000 posteriors of in-painting.
FOLDER/gpu.json is written again after every step. Steps run in a process beside this one: one that
fails, crashes or hangs costs its own numbers and one line that says why. A step that would not end
within --budget seconds is left out; each kind of step has its share of them, and what is over at the end
goes to what was left out. --smallest rehearses all of it in seconds, on any device, at sizes that mean
nothing. --only takes one kind of step, and can be given again: kernels, agreement, step_time, compare,
gap, epoch, posteriors.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from gpu_worker import Worker

HERE = Path(__file__).parent
MNIST = "mnist/train-images-idx3-ubyte.gz"
# No step may take longer, in seconds.
LONGEST = 120.0


class Kind(NamedTuple):
    """Of steps. until: the part of the budget by whose end they have to be done. seconds: what one is
    thought to take until one has been measured. needs: packages."""

    until: float
    seconds: float
    needs: tuple[str, ...] = ()


_TRAINING = ("optax", "click")
_COMMAND = (*_TRAINING, "numpyro", "safetensors", "rich")
KINDS = {
    "about": Kind(1.0, 10),
    "kernels": Kind(0.1, 10),
    "agreement": Kind(0.28, 6),
    "step_time": Kind(0.6, 8, _TRAINING),
    "compare": Kind(0.77, 40, _COMMAND),
    "gap": Kind(0.84, 20, _COMMAND),
    "epoch": Kind(0.95, 20, (*_TRAINING, "numpyro")),
    "posteriors": Kind(1.0, 15, ("numpyro", "safetensors")),
}
# Kinds that want the device to themselves.
ALONE = ("compare",)
SMALL = (
    "--recipe",
    "coursework",
    "--iterations",
    "2",
    "--batch-size",
    "2",
    "--unroll",
    "8",
    "--hidden",
    "2",
    "--streams",
    "20",
)
# Of a rehearsal: the others compile for seconds and go the same way.
REHEARSED = {
    "kernels": (("lstm", None),),
    "agreement": (("lstm", "scan"), ("lstm", "kernels"), ("gru", "places")),
    "step_time": (("lstm", "pytorch"), ("gru", "ours")),
    "epoch": ((None, "coursework"),),
}
FORMS = ("scan", "kernels", "cudnn", "spans", "places")


def plan(smallest: bool, data: str, torch: bool) -> list[dict[str, Any]]:
    """All steps, the most wanted first: the kind and the arguments (``gpu_steps``) of each."""
    cells = ("lstm", "gru")
    sizes = [(64, 100), (256, 783), (8, 100), (64, 783), (256, 100), (8, 783)]
    jobs = ["pixels-256", "streams-64", "pixels-64", "streams-8"]
    sides = [*(["pytorch"] if torch else []), "ours", "places", "cudnn", "spans", "scan"]
    small: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    if smallest:
        sizes, jobs = [(2, 3)], ["streams-8"]
        small |= {
            "agreement": {"hidden": 2},
            "step_time": {"repeats": 1, "sizes": (2, 3, 2)},
            "compare": {"device": "auto", "more": SMALL},
            "gap": {"tasks": 4, "packaged": "M1"},
            "epoch": {"images": 8},
        }
    steps: list[tuple[str, dict[str, Any]]] = [("about", {})]
    steps += [("kernels", {"cell": cell}) for cell in cells]
    steps += [
        ("agreement", {"cell": cell, "batch": batch, "places": places, "form": form})
        for batch, places in sizes
        for cell in cells
        for form in FORMS
        if (cell, form) != ("gru", "cudnn")
    ]
    steps += [
        ("step_time", {"cell": cell, "job": job, "side": side})
        for job in jobs
        for cell in cells
        for side in sides
        if (cell, side) != ("gru", "cudnn")
    ]
    steps += [("compare", {"again": again}) for again in (False, True)]
    steps += [("gap", {"T": 3 if smallest else 20})]
    steps += [("epoch", {"recipe": r, "data": data}) for r in ("coursework", "best")]
    steps += [("posteriors", {"images": 1 if smallest else 1000})]
    if smallest:
        steps = [step for step in steps if _rehearsed(*step)]
    return [
        {"step": kind, "with": arguments | small[kind], "state": "waits"}
        for kind, arguments in steps
    ]


def _rehearsed(kind: str, arguments: dict[str, Any]) -> bool:
    which = next((arguments[k] for k in ("form", "side", "recipe") if k in arguments), None)
    return kind not in REHEARSED or (arguments.get("cell"), which) in REHEARSED[kind]


def name(step: dict[str, Any]) -> str:
    """A step in words."""
    return " ".join(
        [step["step"], *(str(v) for k, v in step["with"].items() if k not in ("more", "sizes"))]
    )


class NoGPU(Exception):
    """Why there is nothing to measure."""


class Program:
    """All steps within the budget. document: what is written after each."""

    def __init__(self, file: Path, budget: float, worker: Worker, steps: list[dict[str, Any]]):
        self.file, self.budget, self.worker, self.steps = file, budget, worker, steps
        self.start = time.monotonic()
        self.longest: dict[str, float] = {}
        needed = sorted({package for kind in KINDS.values() for package in kind.needs})
        self.missing = [package for package in needed if not installed(package)]
        self.about: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    def run(self, anywhere: bool) -> None:
        """Every step, and then those that were left out for want of time, in what is over. Nothing
        where there is no GPU, but ``anywhere``."""
        for step in self.steps:
            self._take(step, KINDS[step["step"]].until * self.budget)
            if step["step"] == "about":
                self.about = step.get("found", {})
                if not anywhere and self.about.get("platform") != "gpu":
                    raise NoGPU(step.get("reason", "JAX finds none"))
        for step in self.steps:
            if step["state"] == "left out" and not step.get("missing"):
                self._take(step, self.budget)

    def _take(self, step: dict[str, Any], until: float) -> None:
        kind = KINDS[step["step"]]
        missing = [package for package in kind.needs if package in self.missing]
        expected = self.longest.get(step["step"], kind.seconds)
        if missing:
            step |= {
                "state": "left out",
                "missing": missing,
                "reason": f"not installed: {', '.join(missing)}",
            }
        elif self.seconds + expected > until:
            reason = (
                f"takes some {expected:.0f} s, and {max(0, until - self.seconds):.0f} s are left"
            )
            step |= {"state": "left out", "reason": reason}
        else:
            if step["step"] in ALONE:
                self.worker.end()
            answer = self.worker.run(
                {key: step[key] for key in ("step", "with")}, min(LONGEST, until - self.seconds)
            )
            step.pop("reason", None)
            if "failed" in answer:
                step |= {"state": "failed", "reason": answer["failed"]}
            else:
                step |= {"state": "done", "found": answer["found"]}
                taken = max(answer["seconds"], self.longest.get(step["step"], 0))
                self.longest[step["step"]] = taken
            step["seconds"] = answer["seconds"]
        print(f"{self.seconds:6.1f} s  {name(step)}: {_told(step)}", file=sys.stderr, flush=True)
        self.write()

    def write(self) -> None:
        """The document, into a file beside and renamed."""
        document = {
            "command": " ".join(["python", "benchmarks/gpu.py", *sys.argv[1:]]),
            **self.about,
            "missing": self.missing,
            "budget_seconds": self.budget,
            "seconds": round(self.seconds, 1),
            "ratios": ratios(self.steps),
            "steps": self.steps,
        }
        beside = self.file.with_suffix(".part")
        beside.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
        os.replace(beside, self.file)


def ratios(steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Each side's median time a step over that of PyTorch's cuDNN or, without it, of JAX's."""
    medians: dict[str, dict[str, float]] = {}
    for step in steps:
        if step["step"] == "step_time" and step["state"] == "done":
            job = f"{step['with']['cell']} {step['with']['job']}"
            median = step["found"]["milliseconds"]["median"]
            medians.setdefault(job, {})[step["with"]["side"]] = median
    found = {}
    for job, sides in medians.items():
        base = next((side for side in ("pytorch", "cudnn") if side in sides), None)
        if base is not None:
            found[job] = {
                f"ratio to {base}": {s: v / sides[base] for s, v in sides.items() if s != base}
            }
    return found


def _told(step: dict[str, Any]) -> str:
    if step["state"] != "done":
        return f"{step['state']}, {step['reason']}"
    found = step["found"]
    if "milliseconds" in found:
        return f"{found['milliseconds']['median']:.3f} ms"
    if "values" in found:
        return "relative " + ", ".join(f"{k} {v['relative']:.1e}" for k, v in found.items())
    seconds = found.get("seconds", step["seconds"])
    return f"{seconds['whole'] if isinstance(seconds, dict) else seconds:.2f} s"


def installed(package: str) -> bool:
    """Whether it can be found, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def find_data(given: Path | None) -> Path | None:
    """The folder with MNIST: the one given, META_LEARN_DATA, or a folder called data one below the
    checkout or its parent."""
    chosen = given or os.environ.get("META_LEARN_DATA")
    root = HERE.parent
    beside = [*sorted(root.glob("*/data")), *sorted(root.parent.glob("*/data"))]
    folders = [Path(chosen)] if chosen else beside
    return next((folder.resolve() for folder in folders if (folder / MNIST).is_file()), None)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder, or a file *.json")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds (480)")
    parser.add_argument("--data", type=Path, help="folder with mnist/ (META_LEARN_DATA)")
    parser.add_argument("--only", action="append", choices=list(KINDS)[1:], help="such steps")
    parser.add_argument("--smallest", action="store_true", help="a rehearsal")
    arguments = parser.parse_args()
    if not installed("jax"):
        parser.exit(1, "gpu.py: JAX is not installed; nothing here runs without it\n")
    file: Path = arguments.out
    if file.suffix != ".json":
        file = file / "gpu.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    data = find_data(arguments.data)
    steps = plan(arguments.smallest, "glyphs" if data is None else "mnist", installed("torch"))
    steps = [s for s in steps if s["step"] in ("about", *(arguments.only or KINDS))]
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {
            "META_LEARN_CACHE": str(Path(folder) / "cache"),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        if data is not None:
            environment["META_LEARN_DATA"] = str(data)
        worker = Worker(file.with_suffix(".log"), environment)
        program = Program(file, arguments.budget, worker, steps)
        if program.missing:
            print(f"not installed: {', '.join(program.missing)}", file=sys.stderr)
        try:
            program.run(anywhere=arguments.smallest)
        except NoGPU as reason:
            parser.exit(1, f"gpu.py: no GPU ({reason}); --smallest rehearses on any device\n")
        finally:
            worker.end()
    states = [step["state"] for step in steps]
    counts = [f"{states.count(state)} {state}" for state in ("done", "failed", "left out")]
    print(f"{', '.join(counts)}: {file}", file=sys.stderr)
    return 0 if states.count("done") > 1 else 1


if __name__ == "__main__":
    sys.exit(main())
