"""``meta-learn reproduce``: the whole coursework in one folder and one page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.options import shared_options_of
from analysis.output import finish, prepare
from analysis.progress import say, scoring_progress
from analysis.training_progress import pixel_progress, train_with_progress

if TYPE_CHECKING:
    from analysis.coursework.reproduce.kept import Kept
    from meta_learning.learner import Learner
    from meta_learning.processes import Process
    from meta_learning.recipes import Recipe

DEFAULT_OUT = Path("meta-learn-reproduction")
QUICK_OUT = Path("meta-learn-reproduction-quick")


class Rows(click.ParamType):
    """Rows as numbers and ranges with commas, like 4,13-16, and the word mistakes."""

    name = "rows"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        from analysis.coursework.reproduce.rows import MISTAKES, ROWS

        if isinstance(value, tuple):
            return value
        # A dict, for its order without repetitions.
        chosen: dict[str, None] = {}
        for part in str(value).split(","):
            if part.strip() == MISTAKES:
                chosen[MISTAKES] = None
                continue
            first, _, last = part.partition("-")
            try:
                numbers = range(int(first), int(last or first) + 1)
            except ValueError:
                numbers = range(0)
            if not numbers or not {numbers[0], numbers[-1]} <= ROWS.keys():
                self.fail(
                    f"expected rows 1 to {max(ROWS)} like 4,13-16, or {MISTAKES}; got {part!r}"
                )
            chosen |= {ROWS[n].step: None for n in numbers}
        return tuple(chosen)


@click.command(
    epilog="""Examples:

\b
  meta-learn reproduce --quick
  meta-learn reproduce --quick --data glyphs
  meta-learn reproduce --out coursework
  meta-learn reproduce --rows 5,13-16
"""
)
@click.option(
    "--quick", is_flag=True, help="Packaged weights and small samples: minutes instead of an hour."
)
@click.option(
    "--data",
    default="mnist",
    show_default=True,
    metavar="NAME",
    help="mnist, fashion-mnist, kmnist, or glyphs: digits drawn from fonts, offline.",
)
@click.option("--rows", type=Rows(), help="Only these, like 4,13-16 or mistakes.  [all]")
@shared_options_of("Folder for everything.", "One JSON document on stdout.")
def reproduce(
    quick: bool,
    data: str,
    rows: tuple[str, ...] | None,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Reproduce the coursework: every table and figure of its 18 rows.

    Pixels: data, model, training, cross-entropies, continuations, in-painting. Symbols: four
    models, three test streams, exact Bayes, thought questions, hidden state. Last, what known
    mistakes do to the figures. Each with the command and the seed that made it, beside the figures
    of a student's report of 2018, on one page in --out (default: ./meta-learn-reproduction, with
    --quick ./meta-learn-reproduction-quick).

    Without --quick everything is trained. A run that was stopped goes on where it was.
    """
    from analysis.coursework.reproduce import page
    from analysis.coursework.reproduce.run import Run
    from analysis.coursework.reproduce.sizes import FULL, QUICK
    from analysis.coursework.reproduce.steps import STEPS, identity, perform, title
    from autoregressive.images.datasets import check_data

    check_data(data)
    out = out or (QUICK_OUT if quick else DEFAULT_OUT)
    # There is a line a row: off a terminal trainings say nothing of their own.
    silent = quiet or not sys.stderr.isatty()

    def train(process: Process, recipe: Recipe, hidden: int, seeds: Sequence[int]) -> list[Learner]:
        return train_with_progress(process, recipe, "lstm", hidden, seeds, silent)

    sizes = QUICK if quick else FULL
    run = Run(sizes, seed, data, out, train, lambda: pixel_progress(silent))
    prepare(out, identity(run))
    steps = tuple(STEPS) if rows is None else rows
    done = 0

    def on_step(step: str, kept: Kept, new: bool) -> None:
        nonlocal done
        done += 1
        if not quiet:
            how = f"{kept.seconds:.1f} s" if new else "kept from before"
            say(f"{done} of {len(steps)}: {title(step)}: {how}")

    with scoring_progress(silent):
        performed = perform(run, steps, on_step)
    finish(page.make_report(run, performed, steps), out, as_json)
