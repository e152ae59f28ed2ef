"""``meta-learn streams``: test streams in one file, for predictors of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.networks import (
    ProcessOptions,
    chosen_process,
    process_options,
    refuse_options,
)
from analysis.commands.options import shared_options_of, streams_option
from analysis.console import usage_errors
from analysis.output import print_json

if TYPE_CHECKING:
    from meta_learning.processes import Process

DEFAULT_FILE, ALL_FILE = Path("streams.npz"), Path("histories.npz")

_EXAMPLES = """\
Examples:

\b
  meta-learn streams --alpha 10,1,1 --T 20 --out streams.npz
  meta-learn streams --process change-points --out streams.nc
  meta-learn streams --all-histories --process mess3 --draws 10 --out all.npz
  meta-learn compare --predictions predictions.npz --streams-file streams.npz
"""


@click.command(epilog=_EXAMPLES)
@process_options
@streams_option()
@click.option(
    "--all-histories",
    is_flag=True,
    help="Not sampled streams, but every history of one task: for the exact gap.",
)
@click.option(
    "--draws",
    type=click.IntRange(1),
    help="With --all-histories: draws to look at where T is inf.  [at most 20, and 40 MB]",
)
@shared_options_of("File to write.  [streams.npz]", "What was written as one JSON document.")
def streams(
    chosen: ProcessOptions,
    streams: int,
    all_histories: bool,
    draws: int | None,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write test streams to a file, to be predicted by any model in any framework.

    The file, --out (default: ./streams.npz), is NPZ or netCDF 4 by its suffix, .npz or .nc. It holds the
    symbols of the streams that meta-learn compare draws with the same --seed, the latent values, the
    settings, and some rows more that show a prediction which looks ahead. Predict every row, then
    score the predictions with meta-learn compare --predictions.

    With --all-histories it holds every history of one task that the process can make, and the same
    command then gives the exact gap, its parts and the worst histories.
    """
    from analysis.comparison.array_files import check_suffix

    out = out or (ALL_FILE if all_histories else DEFAULT_FILE)
    with usage_errors():
        check_suffix(out)
    if not all_histories:
        refuse_options({"draws"}, "without --all-histories")
    process = chosen_process(chosen, "what makes the streams")
    if all_histories:
        refuse_options({"streams", "seed"}, "with --all-histories: nothing is sampled")
        _write_all(process, draws, out, quiet, as_json)
        return
    from analysis.comparison.streams_file import document, draw_streams, next_step, write_streams
    from analysis.report import folder

    folder.check(out.parent)
    drawn = draw_streams(process, streams, seed)
    write_streams(out, drawn)
    if as_json:
        print_json(document(drawn, out))
    else:
        click.echo(next_step(drawn, out))


def _write_all(process: Process, draws: int | None, out: Path, quiet: bool, as_json: bool) -> None:
    """Errors: UsageError where there are too many histories; OSError."""
    from analysis.all_histories import file as histories_file
    from analysis.progress import say
    from analysis.report import folder

    with usage_errors():
        draws = histories_file.draws_of(process, draws)
    folder.check(out.parent)
    if not quiet:
        say(histories_file.limits(process, draws))
    histories = histories_file.all_histories(process, draws)
    histories_file.write_histories(out, histories)
    if as_json:
        print_json(histories_file.document(histories, out))
    else:
        click.echo(histories_file.next_step(histories, out))
