"""``meta-learn pixels``: train, evaluate and continue images, pixel by pixel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.image_options import image_options, images_for
from analysis.commands.options import cell_options, shared_options, shared_options_of
from analysis.console import usage_errors
from analysis.output import finish, prepare
from analysis.training_progress import pixel_progress

if TYPE_CHECKING:
    from autoregressive.images.choice import ImageChoice

# Three of them are shown.
_FEWEST_CONTINUED = 3


class Widths(click.ParamType):
    """Comma-separated read-out widths."""

    name = "widths"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            widths = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"expected whole numbers with commas, like 64 or 64,64; got {value!r}")
        if min(widths) < 1 or max(widths) > 4096:
            self.fail(f"widths must be 1 to 4096; got {value!r}")
        return widths


@click.group()
def pixels() -> None:
    """Train, evaluate and continue images, pixel by pixel."""


@pixels.command(
    epilog="""Examples:

\b
  meta-learn pixels train --recipe best
  meta-learn pixels train --readout 64,64 --out coursework
  meta-learn pixels train --data glyphs --epochs 1
  meta-learn pixels train --data drawings --invert --threshold 0.5 --epochs 300 --batch-size 8
"""
)
@image_options("Images", trained=False)
@click.option(
    "--recipe",
    default="coursework",
    show_default=True,
    metavar="NAME",
    help="coursework (Adam, batch 256) or best (SOAP, batch 32).",
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the train images.  [5]")
@click.option("--batch-size", type=click.IntRange(1), help="Images a step.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@cell_options
@click.option(
    "--readout",
    type=Widths(),
    default="64",
    show_default=True,
    help="Widths of the layers after the cell: 64 or 64,64.",
)
@shared_options_of("Folder for the report and the networks.", "One JSON document on stdout.")
def train(
    images: ImageChoice,
    recipe: str,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    cell: str,
    hidden: int,
    readout: tuple[int, ...],
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a network on all train images, and score it at 0, 1 and the last epoch.

    A run that was stopped goes on where it was. Networks after every epoch (20 of more than 20), curves
    and scores go to --out (default: ./meta-learn-pixels).
    """
    from analysis.contracts import check_cell
    from analysis.images.page import training_report
    from analysis.images.runs import run_name, train_and_score
    from autoregressive.cache import cache_folder
    from autoregressive.pixels.network import pixel_model
    from autoregressive.pixels.training import make_pixel_recipe, pixel_settings

    check_cell(cell)
    with usage_errors():
        made = make_pixel_recipe(
            recipe, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate
        )
        pixel_model(cell, hidden, readout)
    out = out or Path("meta-learn-pixels")
    train_set, test_set = images.load("train", "test")
    prepare(out, run_name(pixel_settings(train_set, made, cell, hidden, readout, seed)))
    with pixel_progress(quiet) as on_point:
        network, document = train_and_score(
            train_set,
            test_set,
            made,
            out,
            cell=cell,
            hidden=hidden,
            readout=readout,
            seed=seed,
            folder=cache_folder(),
            on_point=on_point,
        )
    finish(training_report(network, document, train_set, seed, test_set), out, as_json)


@pixels.command(
    epilog="""Examples:

\b
  meta-learn pixels evaluate
  meta-learn pixels evaluate meta-learn-pixels/network.safetensors --json
  meta-learn pixels evaluate meta-learn-pixels/network.safetensors --data drawings
"""
)
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@image_options("Test images")
@shared_options
def evaluate(
    checkpoint: Path | None,
    images: ImageChoice,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Cross-entropy, accuracy and calibration on the test images.

    CHECKPOINT: a saved network; without one, the packaged LSTM-32.
    """
    from analysis.images.page import evaluation_report
    from autoregressive.pixels.network import evaluate as score
    from autoregressive.pixels.packaged import load_pixels

    out = out or (None if as_json else Path("meta-learn-pixels-evaluation"))
    network = load_pixels(checkpoint)
    test = images_for([network], images, "test")
    prepare(out)
    finish(evaluation_report(network, score(network, test), test, seed), out, as_json)


@pixels.command(
    name="continue",
    epilog="""Examples:

\b
  meta-learn pixels continue
  meta-learn pixels continue run/epoch-0.safetensors run/epoch-1.safetensors run/network.safetensors
  meta-learn pixels continue meta-learn-pixels/network.safetensors --data drawings
""",
)
@click.argument("checkpoints", nargs=-1, type=click.Path(path_type=Path))
@image_options("Test images")
@click.option(
    "--images",
    "count",
    default=100,
    show_default=True,
    type=click.IntRange(_FEWEST_CONTINUED),
    help="The first so many test images.",
)
@click.option(
    "--samples",
    default=10,
    show_default=True,
    type=click.IntRange(5),
    help="Samples of each image.",
)
@shared_options
def continue_(
    checkpoints: tuple[Path, ...],
    images: ImageChoice,
    count: int,
    samples: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Sample the last 300 pixels of test images of 784, the same share of others, and score the samples.

    CHECKPOINTS: networks to compare, the last one is drawn; without any, the packaged LSTM-32 at 0,
    1 and its last epoch.
    """
    from analysis.images.page import continuation_report
    from analysis.images.runs import continuations, load_networks
    from autoregressive.pixels.packaged import packaged_stages

    out = out or (None if as_json else Path("meta-learn-pixels-continuation"))
    networks = load_networks(checkpoints) if checkpoints else packaged_stages()
    test = images_for(networks.values(), images, "test")
    if len(test) < _FEWEST_CONTINUED:
        raise click.ClickException(
            f"{test.name} has {len(test)} test images; continuing takes {_FEWEST_CONTINUED} or more: "
            "give more, or another --split like 60,40"
        )
    prepare(out)
    truth = test.images(slice(0, count))
    results, run = continuations(networks, truth, seed=seed, samples=samples, shape=test.shape)
    finish(continuation_report(results, run, truth, test, seed), out, as_json)
