"""All steps of a reproduction, in order, and what is kept of each."""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Callable, Collection

from analysis import extensions
from analysis.coursework.reproduce import (
    bayes_rows,
    continuation_rows,
    hidden_rows,
    inpainting_rows,
    mistakes_section,
    pixel_rows,
    process_rows,
    question_rows,
    symbol_rows,
)
from analysis.coursework.reproduce.kept import Kept, Result, find, keep
from analysis.coursework.reproduce.rows import MISTAKES, asked_in
from analysis.coursework.reproduce.run import Run
from analysis.report.report import Document
from autoregressive.checkpoint import settings_digest
from autoregressive.versions import versions

STEPS: dict[str, Callable[[Run], Result]] = {
    "row-1": pixel_rows.data,
    "row-2": pixel_rows.model,
    "row-3": pixel_rows.training,
    "row-4": pixel_rows.summary,
    "row-5": continuation_rows.continuation,
    "row-6": continuation_rows.pictures,
    "row-7": inpainting_rows.one_pixel,
    "row-8": inpainting_rows.patch,
    "row-9": inpainting_rows.both_files,
    "row-10": inpainting_rows.most_probable,
    "row-11": process_rows.process,
    "row-12": symbol_rows.model,
    "row-13": symbol_rows.four_models,
    "row-14": symbol_rows.test_streams,
    "row-15": process_rows.exact_bayes,
    "row-16": bayes_rows.against_bayes,
    "row-17": question_rows.questions,
    "row-18": hidden_rows.hidden_state,
    MISTAKES: mistakes_section.section,
}


def title(step: str) -> str:
    """ "Row 5, Continuation"."""
    asked = asked_in(step)
    return mistakes_section.TITLE if asked is None else f"Row {asked.number}, {asked.title}"


def command(run: Run, step: str) -> str:
    """The command that makes a step's results again."""
    words = ["meta-learn", "reproduce", *(["--quick"] if run.sizes.name == "quick" else [])]
    words += ["--data", run.data] if run.data != "mnist" else []
    row = step.removeprefix("row-")
    return shlex.join([*words, "--seed", str(run.seed), "--rows", row, "--out", str(run.out)])


def identity(run: Run) -> str:
    """A digest of all that the results depend on: a run finds only kept results with its own."""
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in run.masked_paths()
    }
    settings: Document = {
        "sizes": run.sizes.settings(),
        "seed": run.seed,
        "data": run.data,
        "masked": files,
        "versions": versions(),
    } | extensions.identity()
    return settings_digest(settings)


def perform(
    run: Run,
    steps: Collection[str],
    on_step: Callable[[str, Kept, bool], None] = lambda step, kept, new: None,
) -> dict[str, Kept]:
    """Does those of ``steps`` that have no kept result. Returns all results of the run, by step, also
    those kept from before.

    on_step: called after each of ``steps``; its last argument says whether it was done now. A run that
    was stopped goes on after the last step it kept. Errors: those of the steps; OSError.
    """
    own = identity(run)
    results = {}
    for step in STEPS:
        kept = find(run.out, step, own)
        if kept is None and step in steps:
            started = time.monotonic()
            result = STEPS[step](run)
            seconds = time.monotonic() - started
            kept = keep(run.out, step, own, result, command(run, step), run.seed, seconds)
            on_step(step, kept, True)
        elif kept is not None and step in steps:
            on_step(step, kept, False)
        if kept is not None:
            results[step] = kept
    return results
