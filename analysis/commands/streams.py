"""``meta-learn streams``: test streams in one file, for predictors of any kind."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.commands.networks import ProcessOptions, chosen_process, process_options
from analysis.commands.options import shared_options_of, streams_option
from analysis.console import usage_errors
from analysis.output import print_json

DEFAULT_FILE = Path("streams.npz")

_EXAMPLES = """\
Examples:

\b
  meta-learn streams --alpha 10,1,1 --T 20 --out streams.npz
  meta-learn streams --process change-points --out streams.nc
  meta-learn compare --predictions predictions.npz --streams-file streams.npz
"""


@click.command(epilog=_EXAMPLES)
@process_options
@streams_option()
@shared_options_of("File to write.  [streams.npz]", "What was written as one JSON document.")
def streams(
    chosen: ProcessOptions,
    streams: int,
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
    """
    from analysis.comparison.array_files import check_suffix

    out = out or DEFAULT_FILE
    with usage_errors():
        check_suffix(out)
    process = chosen_process(chosen, "what makes the streams")
    from analysis.comparison.streams_file import document, draw_streams, next_step, write_streams
    from analysis.report import folder

    folder.check(out.parent)
    drawn = draw_streams(process, streams, seed)
    write_streams(out, drawn)
    if as_json:
        print_json(document(drawn, out))
    else:
        click.echo(next_step(drawn, out))
