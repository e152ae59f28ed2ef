"""Rows 7 to 10: missing pixels given all others, before and after them."""

from __future__ import annotations

import numpy as np

from analysis.coursework.reproduce.kept import Result
from analysis.coursework.reproduce.run import KINDS, Run
from analysis.images import inpainting_figures as figures
from analysis.images import inpainting_page as pages
from analysis.images.inpainting import Inpainting
from analysis.images.inpainting_results import document, estimate
from analysis.images.runs import epoch_file
from analysis.report.formats import interval, nats, percent
from analysis.report.report import Document, Panel, Table
from autoregressive.checkpoint import tensors_digest


def one_pixel(run: Run) -> Result:
    """Row 7."""
    return _of_kind(run, "one pixel")


def patch(run: Run) -> Result:
    """Row 8."""
    return _of_kind(run, "a 2 x 2 patch")


def _of_kind(run: Run, kind: str) -> Result:
    """A row about the images that miss ``kind``."""
    inpainting = run.inpainting(kind)
    estimates = estimate(inpainting)
    images, source = run.masked[kind]
    tables = pages.tables(inpainting, estimates)
    shape = run.test_images.shape
    posteriors, *_ = pages.panels(inpainting, images.masked, shape)
    text = (
        "p(x_M = c | observed) is proportional to exp(-sum of l_t(x with c filled in) over all t from "
        "the first missing place on): every completion is fed in and scored, exactly, in float64."
    )
    return Result(
        pages.lead(inpainting, estimates),
        _numbers(inpainting) | {"source": source},
        tables,
        [_of_data(run, posteriors)],
        [("How:", text), ("Images:", f"{len(images.masked):,}, {source}.")],
        own=_command(run, kind),
        made=run.pixels.made,
    )


def both_files(run: Run) -> Result:
    """Row 9."""
    columns: list[list[str]] = []
    numbers: dict[str, Document] = {}
    panels: list[Panel] = []
    shape = run.test_images.shape
    for kind in KINDS:
        images, source = run.masked[kind]
        inpainting = run.inpainting(kind)
        estimates = estimate(inpainting)
        columns.append(
            [
                source,
                f"{len(images.masked):,}",
                nats(estimates["log_posterior_truth"].mean),
                nats(estimates["past_only_log_prob"].mean),
                nats(estimates["future_worth"].mean),
                interval(estimates["future_worth"].ci95),
                percent(estimates["exact_match"].mean),
                percent(estimates["pixel_accuracy"].mean),
                nats(estimates["brier.past_and_future_alone"].mean),
            ]
        )
        numbers[kind] = _numbers(inpainting) | {
            "source": source,
            "sha256": tensors_digest({"masked": images.masked}),
        }
        for panel in pages.panels(inpainting, images.masked, shape)[1:]:
            stem = "one-pixel" if kind == "one pixel" else "patch"
            caption = f"{kind.capitalize()} missing. {panel.caption}"
            panels.append(
                _of_data(run, panel._replace(name=f"{panel.name}-{stem}", caption=caption))
            )
    read = {path.name for path in run.masked_paths()}
    parts = []
    for kind, of in numbers.items():
        told = " (told from its pixels)" if of["source"] in read else ""
        parts.append(
            f"{of['source']} misses {kind}{told}: the most probable completion is the truth in "
            f"{percent(of['exact_match'])} of {of['images']:,} images, {percent(of['pixel_accuracy'])} "
            "of the missing pixels are right"
        )
    answer = "; ".join(parts) + "."
    if not read:
        answer = f"The two files are not there, so masks were laid over test images: {answer}"
    names = (
        "source",
        "images",
        "log p(truth | observed)",
        "log p(truth | past only)",
        "what the future is worth",
        "its 95% interval",
        "most probable = truth",
        "its pixels that are right",
        "Brier score of the marginals",
    )
    table = Table(
        "Both kinds beside each other",
        ["missing", *KINDS],
        [list(row) for row in zip(names, *columns, strict=True)],
        "Nats an image; shares of images and of missing pixels; interval over images (bootstrap).",
    )
    return Result(answer, numbers, [table], panels, made=run.pixels.made)


def most_probable(run: Run) -> Result:
    """Row 10."""
    rows: list[list[str]] = []
    numbers: dict[str, Document] = {}
    excess: dict[str, list[float]] = {}
    for kind in KINDS:
        inpainting = run.inpainting(kind)
        estimates = estimate(inpainting)
        differences = [float(r.nll_truth or 0) - r.nll_best for r in inpainting.images]
        below = sum(d < 0 for d in differences)
        numbers[kind] = {
            name: estimates[name].document()
            for name in ("nll_truth", "nll_best", "nll_excess", "exact_match")
        } | {"truth_cheaper": below}
        excess[kind] = differences
        rows.append(
            [
                kind,
                nats(estimates["nll_truth"].mean),
                nats(estimates["nll_best"].mean),
                f"{nats(estimates['nll_excess'].mean)} {interval(estimates['nll_excess'].ci95)}",
                percent(estimates["exact_match"].mean),
                str(below),
            ]
        )
    parts = "; ".join(
        f"{kind}, {nats(numbers[kind]['nll_excess']['mean'])} nats an image on average, 0 where the "
        f"completion is the truth ({percent(numbers[kind]['exact_match']['mean'])} of the images)"
        for kind in KINDS
    )
    cheaper = sum(of["truth_cheaper"] for of in numbers.values())
    answer = (
        f"The truth costs less than the most probable completion in {cheaper} images. How much more it "
        f"costs: {parts}."
    )
    why = (
        "the most probable completion is the cheapest of all by definition, the truth is one of them. "
        "Where they differ, the network finds something else more likely than what was there: a low "
        "cross-entropy is no sign of a right in-painting."
    )
    table = Table(
        "Cross-entropy of the whole image, nats an image",
        ["missing", "truth", "most probable", "difference [95%]", "same", "truth cheaper"],
        rows,
        "Same: share of images whose most probable completion is the truth. Truth cheaper: images where "
        "the truth costs less. The completions themselves are shown in rows 7 and 8.",
    )
    panel = Panel(
        "nll-excess",
        figures.nll_excess({kind: np.array(values) for kind, values in excess.items()}),
        "Share of images against the difference in NLL, falling, for one pixel and for a patch.",
        f"How much less the most probable completion costs than the truth. {run.of_data}",
    )
    return Result(answer, numbers, [table], [panel], [("Why:", why)], made=run.pixels.made)


def _numbers(inpainting: Inpainting) -> Document:
    """The document of ``meta-learn inpaint`` without its rows of single images."""
    whole = document(inpainting, estimate(inpainting))
    return {name: value for name, value in whole.items() if name != "per_image"}


def _of_data(run: Run, panel: Panel) -> Panel:
    """The panel, whose caption also says what the images are."""
    return panel._replace(caption=f"{panel.caption} {run.of_data}")


def _command(run: Run, kind: str) -> str:
    """The command that gives the same numbers; empty where it would take other images."""
    network = epoch_file(run.pixels_folder(run.sizes.readouts[0]), max(run.pixels.epochs))
    checkpoint = f"--checkpoint {network}"
    images, source = run.masked[kind]
    files = [path for path in run.masked_paths() if path.name == source]
    if files and len(images.masked) == 1_000:
        return f"meta-learn inpaint $META_LEARN_DATA/inpainting/{source} {checkpoint}"
    if files:
        return ""
    return (
        f"meta-learn inpaint --mask {KINDS[kind]} --data {run.data} --images {len(images.masked)} "
        f"--seed {run.seed} {checkpoint}"
    )
