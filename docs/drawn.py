"""Tables and figures of the results pages, computed while the site is built.

Networks are those that come with the package, seeds are fixed, and so the same versions draw the same
pages. Images are those of MNIST where they are at hand (in META_LEARN_DATA or the cache: nothing is
downloaded), else glyphs, and the captions say so. What takes longer than some seconds is read from
docs/results, where each document names the command that wrote it.

Every function returns pieces of Markdown by name; a page includes generated/NAME.md.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import audits
import beliefs
import board
import half_digits
import numpy as np
import published
import speeds

from analysis.audit import page as audit_pages
from analysis.comparison import page as compare_pages
from analysis.comparison.tables import summary_tables
from analysis.coursework import experiments_page as experiments_pages
from analysis.coursework import questions_page as questions_pages
from analysis.hidden import page as hidden_pages
from analysis.images import inpainting_page as inpaint_pages
from analysis.images import page as pixel_pages
from analysis.report import markdown
from analysis.report.report import Panel, Table
from analysis.sweep import page as sweep_pages
from autoregressive.errors import DataError
from meta_learning.experiments import EXPERIMENTS, TEST_STREAMS
from meta_learning.learner import TEST
from meta_learning.packaged import packaged_learner

DOCS = Path(__file__).parent
LINK = "generated"
GENERATED = DOCS / LINK
SEED = 0
# Enough for a figure; the tables say how many streams they are over.
STREAMS = 2_000


class Kind(NamedTuple):
    """A kind of figure in the gallery: its name in a report, what it shows, and the command that
    draws it."""

    stem: str
    name: str
    alt: str
    command: str


Pieces = dict[str, str]
_gallery: list[Kind] = []


def draw_all() -> None:
    """Writes every piece, unless those that lie there were drawn from the same sources."""
    stamp, digest = GENERATED / "stamp", _digest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    _gallery.clear()
    GENERATED.mkdir(exist_ok=True)
    processes = min(2, os.cpu_count() or 1)
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin) as pool:
        for pieces, kinds in pool.map(_draw, DRAWN):
            _write(pieces)
            _gallery.extend(kinds)
    _write(gallery())
    stamp.write_text(digest)


def _begin() -> None:
    """Of a process that draws."""
    from analysis.console import choose_device

    choose_device("cpu")


def _draw(draw: Callable[[], Pieces]) -> tuple[Pieces, list[Kind]]:
    """The pieces of one of ``DRAWN``, and the kinds of figures among them."""
    _gallery.clear()
    return draw(), list(_gallery)


def _write(pieces: Pieces) -> None:
    for name, text in pieces.items():
        (GENERATED / f"{name}.md").write_text(text)


def _digest() -> str:
    """Of everything that pieces are drawn from."""
    found = hashlib.sha256(images().digest.encode())
    for folder in ("analysis", "meta_learning", "autoregressive", "docs", "benchmarks/results"):
        for path in sorted((DOCS.parent / folder).rglob("*")):
            parts = set(path.relative_to(DOCS.parent).parts)
            if path.is_file() and not parts & {"_build", LINK, "jupyter_execute", "__pycache__"}:
                found.update(path.read_bytes() if path.suffix != ".md" else b"")
    return found.hexdigest()


@cache
def images() -> Any:
    """Test images: MNIST's where they are at hand, else glyphs."""
    from autoregressive.images.glyphs import load_glyphs
    from autoregressive.images.mnist import load_mnist

    try:
        return load_mnist("test", mirrors=())
    except DataError:
        return load_glyphs("test")


def drawn_on() -> str:
    """What a caption says of the images."""
    if images().name == "mnist":
        return "Drawn on test images of MNIST."
    return (
        "MNIST was not at hand when this page was built: the images are glyphs, digits drawn from "
        "fonts, and the network, trained on MNIST, has never seen any."
    )


def result(name: str) -> dict[str, Any]:
    """A document that is kept in docs/results."""
    return json.loads((DOCS / "results" / f"{name}.json").read_text())


def _figures(page: str, panels: Iterable[Panel], command: str, note: str = "") -> str:
    """Panels as figures, remembered for the gallery."""
    out = []
    for panel in panels:
        stem = f"{page}-{panel.name}"
        panel = panel._replace(caption=f"{panel.caption} {note}".strip())
        out.append(markdown.figure(panel, GENERATED, LINK, stem))
        _gallery.append(Kind(stem, panel.name, panel.alt, command))
    return "\n\n".join(out) + "\n"


def _tables(page: str, tables: Iterable[Table], words: bool = False) -> str:
    """Tables of numbers, whose cells stay on one line, or of words."""
    text = "\n\n".join(markdown.table(table, page) for table in tables) + "\n"
    return text.replace(":class: numbers\n", "") if words else text


def kept() -> Pieces:
    """The thought questions and the audits of M1 to M4, from docs/results."""
    document = result("questions")
    for answer in questions_pages.answers(document):
        _gallery.extend(
            Kind(p.name, p.name.removeprefix("questions-"), p.alt, "meta-learn questions")
            for p in answer.panels
        )
    return {
        "questions": questions_pages.as_markdown(document, GENERATED, LINK),
        "audits": audits.as_markdown(result("audits"), GENERATED, LINK),
    }


def architectures() -> Pieces:
    """The board of architectures, where it was measured."""
    if not board.KEPT.exists():
        return {"architectures": "Not measured yet.\n"}
    return {"architectures": board.as_markdown(board.load(), GENERATED, LINK)}


def models() -> Pieces:
    """M1 to M4 on the three test streams, and M2 at home."""
    from analysis.comparison.estimates import estimate_all
    from analysis.comparison.learners import compare_learners
    from analysis.comparison.results import document

    learners = {name: packaged_learner(name) for name in EXPERIMENTS}
    comparisons = {
        name: {
            key: compare_learners([learners[name]], p, p, stream.make(p.T), SEED, STREAMS)
            for key, stream in TEST_STREAMS.items()
        }
        for name, p in EXPERIMENTS.items()
    }
    found = {
        name: {key: document(c, estimate_all(c)) for key, c in streams.items()}
        for name, streams in comparisons.items()
    }
    at_home = comparisons["M2"]["1"]
    one = compare_pages.panels_of(at_home, [learners["M2"]])
    home = next(panel for panel in one if panel.name == "predictions")
    several = experiments_pages.panels(comparisons, {k: [v] for k, v in learners.items()})
    return {
        "home": _figures("home", [home], "meta-learn compare --experiment M2"),
        "models-tables": _tables("models", experiments_pages.tables(found)),
        "models-m2-tables": _tables("m2", summary_tables(at_home, found["M2"]["1"])),
        "models-m2": _figures(
            "m2", [p for p in one if p is not home], "meta-learn compare --experiment M2"
        ),
        "models-figures": _figures("models", several, "meta-learn experiments"),
    }


def audited() -> Pieces:
    """The audit's own figures, of M1: its 40 histories are walked at once."""
    import jax

    from analysis.audit.calibration import measure_calibration
    from analysis.audit.carry_over import carry_over
    from analysis.audit.exact_gap import exact_gap
    from analysis.audit.worst_histories import worst_histories
    from analysis.comparison.off_prior import off_prior

    learner, process = packaged_learner("M1"), EXPERIMENTS["M1"]
    key = jax.random.fold_in(jax.random.key(SEED), TEST)
    # Every task length and prior costs seconds of compilation: fewer than the command takes.
    elsewhere = [
        ("own", process),
        ("alpha", TEST_STREAMS["2"].make(5)),
        ("p", TEST_STREAMS["3"].make(5)),
        ("T", TEST_STREAMS["1"].make(20)),
    ]
    audit = audit_pages.Audit(
        exact_gap(learner, process),
        carry_over(learner, process, key=key, tasks=STREAMS),
        worst_histories(learner, process),
        off_prior([learner.log_predictive], process, key=key, streams=200, sources=elsewhere),
        measure_calibration(learner, process, key=key, tasks=500),
        None,
    )
    panels = audit_pages.panels(audit)
    return {"audit-figures": _figures("audit", panels, "meta-learn audit --experiment M1")}


def hidden_state() -> Pieces:
    """What M2's state holds, on fewer streams than the command takes."""
    import jax

    from analysis.hidden.examine import examine

    key = jax.random.fold_in(jax.random.key(SEED), TEST)
    hidden = examine(packaged_learner("M2"), EXPERIMENTS["M2"], key=key, streams=400)
    panels = hidden_pages.panels(hidden)
    return {
        "hidden-lead": hidden_pages.headline(hidden) + "\n",
        "hidden-tables": _tables("hidden", hidden_pages.tables(hidden)),
        "hidden-figures": _figures("hidden", panels, "meta-learn hidden --experiment M2"),
    }


def mnist() -> Pieces:
    """Scores of the packaged networks of images, and how they were trained."""
    from autoregressive.pixels.network import evaluate
    from autoregressive.pixels.packaged import packaged_pixels

    scored = result("mnist")
    network, test = packaged_pixels(), images()
    from analysis.images.figures import pixel_curves
    from autoregressive.images.image_set import ImageSet

    few = ImageSet(test.name, test.split, test.packed[:1_000], test.shape)
    curves = Panel(
        "curves",
        pixel_curves(
            {f"{n.upper()}": packaged_pixels(n).history for n in ("lstm-32", "gru-32")}, 55_000
        ),
        "Training and test loss of the packaged LSTM and GRU falling over five epochs.",
        "Learning curves of the packaged networks: the loss of the first 10,000 train and the first "
        "2,000 test images of MNIST, four points an epoch.",
    )
    panels = pixel_pages.evaluation_panels(evaluate(network, few), test.shape)
    return {
        "mnist-scores": _tables(
            "mnist", [pixel_pages.evaluation_table(scored["evaluate"]["document"])]
        ),
        "mnist-curves": _figures("mnist", [curves], "meta-learn pixels train --recipe best"),
        "mnist-figures": _figures(
            "mnist", panels, "meta-learn pixels evaluate", f"LSTM-32, the first 1,000. {drawn_on()}"
        ),
    }


def continued() -> Pieces:
    """Samples of the last 300 pixels: the three cross-entropies, and 48 pictures."""
    from analysis.images.runs import choose_images, continuations
    from autoregressive.pixels.packaged import packaged_stages

    kept_numbers = result("mnist")["continue"]["document"]
    truth = images().images(slice(0, 100))
    trained = {"trained": packaged_stages()["trained"]}
    _, run = continuations(trained, truth, seed=SEED, samples=10)
    panels = pixel_pages.continuation_panels(truth, run, choose_images(run), images().shape)
    command = "meta-learn pixels continue"
    return {
        "continued-lead": pixel_pages.continuation_lead(kept_numbers["networks"]) + "\n",
        "continued-tables": _tables(
            "continued", [pixel_pages.continuation_table(kept_numbers["networks"])]
        ),
        "continued-figures": _figures("continued", panels, command, drawn_on()),
    }


def inpainted() -> Pieces:
    """Exact posteriors over one missing pixel and over a 2 x 2 patch."""
    import mnist as kept_mnist

    from analysis.images.inpainting import inpaint
    from autoregressive.images.masked import MaskedImages
    from autoregressive.images.masks import draw_mask
    from autoregressive.pixels.packaged import packaged_pixels

    out = {}
    for kind, kept_file in result("mnist")["inpaint"].items():
        tables = inpaint_pages.truth_tables(kept_mnist.estimates(kept_file))
        page = "inpainted-" + "-".join(kind.split()[-2:])
        out[f"{page}-tables"] = _tables(page, tables)
    truth = images().images(slice(0, 1_000))
    for name, mask in (("one-pixel", "square:1"), ("2-patch", "square:2")):
        keep = draw_mask(mask, len(truth), images().shape, SEED)
        masked = MaskedImages(np.where(keep, truth.astype(np.int8), np.int8(-1)), truth)
        found = inpaint(packaged_pixels(), masked)
        panels = inpaint_pages.panels(found, masked.masked, images().shape)
        command = f"meta-learn inpaint --mask {mask} --images 1000"
        out[f"inpainted-{name}"] = _figures(f"inpainted-{name}", panels, command, drawn_on())
    return out


def belief_and_gap() -> Pieces:
    """What moves over training, from docs/results."""
    found = result("belief-and-gap")
    panel = markdown.figure(beliefs.panel(found), GENERATED, LINK, "belief-and-gap")
    table = _tables("belief-and-gap", [beliefs.table(found)])
    return {"belief-and-gap": f"{panel}\n\n{table}"}


def future_worth() -> Pieces:
    """What the pixels after a gap are worth, from docs/results."""
    out = {}
    for name in ("future-worth", "future-worth-glyphs"):
        found = result(name)
        panel = markdown.figure(half_digits.panel(found), GENERATED, LINK, name)
        out[name] = f"{panel}\n\n{_tables(name, [half_digits.table(found)])}"
    return out


def swept() -> Pieces:
    """A sweep's figures, from docs/results, where this command's sweep.nc is kept."""
    import xarray

    command = (
        "meta-learn sweep --alpha 10,1,1 --T 5 --T 20 --cell lstm --cell gru --hidden 4 --hidden 16 "
        "--iterations 1000 --iterations 4000 --streams 500"
    )
    with xarray.open_datatree(DOCS / "results" / "sweep.nc", engine="h5netcdf") as tree:
        return {"swept": _figures("sweep", sweep_pages.panels(tree.load()), command)}


def pools() -> Pieces:
    """Networks on pools of tasks, from docs/results, where this command's sweep.nc is kept."""
    import xarray

    sizes = " ".join(f"--param pool={size}" for size in (4, 16, 64, 256, 1024, 4096))
    command = (
        f"meta-learn sweep --process task-pool {sizes} --param alpha=1,1,1 --T 20 --budget 1600000 "
        "--seeds 3"
    )
    with xarray.open_datatree(DOCS / "results" / "pools.nc", engine="h5netcdf") as tree:
        panels = [p for p in sweep_pages.panels(tree.load()) if "between" in p.name]
    return {"pools": _figures("pools", panels, command)}


def papers() -> Pieces:
    """Published numbers beside ours, from docs/results/papers."""
    found = published.load()
    out = {f"paper-{name}": "Not measured yet.\n" for name in published.PAPERS}
    out |= {
        f"paper-{name}": published.as_markdown(entry, GENERATED, f"../{LINK}")
        for name, entry in found.items()
    }
    table = published.words(markdown.table(published.table_of_all(found), "papers"))
    return out | {"papers": f"{table}\n"}


def mistakes() -> Pieces:
    """What known mistakes do to the numbers, from docs/results."""
    rows = [
        [e["mistake"], f"{e['figure']}, {e['unit']}", f"{e['right']:.4f}", f"{e['wrong']:.4f}"]
        for e in result("mnist")["mistakes"]
    ]
    head = ["mistake", "figure", "right", "with the mistake"]
    return {
        "mistakes": _tables("mistakes", [Table("The same data, right and wrong", head, rows)], True)
    }


def speed() -> Pieces:
    """What the benchmarks measured, where their documents are there."""

    def read(*names: str) -> dict[str, Any]:
        paths = {name: speeds.RESULTS / f"{name}.json" for name in names}
        return {n: json.loads(path.read_text()) for n, path in paths.items() if path.exists()}

    found = read("growth", "optimizer", "widths")
    # On one machine and on another.
    training = read("training", "training-intel").values()
    start = read("start-up", "start-up-intel").values()
    names = ("speed-training", "speed-start", "speed-growth", "speed-optimizer", "speed-widths")
    out = dict.fromkeys(names, "Not measured yet.\n")
    if training:
        out["speed-training"] = _tables("speed", list(map(speeds.training_table, training)))
    if start:
        out["speed-start"] = _tables("speed", list(map(speeds.start_table, start)))
    if "optimizer" in found:
        table = speeds.optimizer_table(found["optimizer"])
        out["speed-optimizer"] = _tables("speed", [table])
    if "widths" in found:
        out["speed-widths"] = _tables("speed", [speeds.widths_table(found["widths"])])
    if "growth" in found:
        panel = markdown.figure(
            speeds.growth_panel(found["growth"]), GENERATED, LINK, "speed-growth"
        )
        table = _tables("speed", [speeds.growth_table(found["growth"])], words=True)
        out["speed-growth"] = f"{panel}\n\n{table}"
    return out


def gallery() -> Pieces:
    """Every kind of figure once, with the command that draws it."""
    out = []
    for command in dict.fromkeys(kind.command for kind in _gallery):
        images = "\n\n".join(
            f"```{{figure}} {LINK}/{kind.stem}.png\n:alt: {kind.alt}\n\n"
            f"{kind.name} ([SVG]({LINK}/{kind.stem}.svg))\n```"
            for kind in _gallery
            if kind.command == command
        )
        heading = f"## {command.split(' --')[0]}"
        out += [] if heading in out else [heading]
        shown = command.replace(" --iterations", " \\\n  --iterations", 1)
        out += [f"```sh\n{shown}\n```", f":::{{container}} gallery\n\n{images}\n\n:::"]
    return {"gallery": "\n\n".join(out) + "\n"}


DRAWN = (
    models,
    audited,
    hidden_state,
    belief_and_gap,
    mnist,
    continued,
    inpainted,
    future_worth,
    mistakes,
    swept,
    pools,
    papers,
    kept,
    architectures,
    speed,
)
