"""``meta-learn pixels``: train, evaluate and continue images, pixel by pixel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.options import cell_options, shared_options
from analysis.console import arguments, command_line, prepare, print_results

if TYPE_CHECKING:
    from autoregressive.pixels.training import PixelPoint

_DATA = click.option("--data", default="mnist", show_default=True, metavar="NAME",
                     help="mnist, or glyphs: digits drawn from fonts, offline.")  # fmt: skip


class Widths(click.ParamType):
    """Comma-separated read-out widths."""

    name = "widths"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
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
"""
)
@_DATA
@click.option("--recipe", default="coursework", show_default=True, metavar="NAME",
              help="coursework (Adam, batch 256) or best (SOAP, batch 32).")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), help="Passes over the train images.  [5]")
@click.option("--batch-size", type=click.IntRange(1), help="Images a step.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@cell_options
@click.option("--readout", type=Widths(), default="64", show_default=True,
              help="Widths of the layers after the cell: 64 or 64,64.")  # fmt: skip
@shared_options
def train(
    data: str,
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

    A run that was stopped goes on where it was. Networks after every epoch, curves and scores go to
    --out (default: ./meta-learn-pixels).
    """
    from analysis.images import page as pages
    from analysis.images.runs import train_and_score
    from analysis.report.publish import Panel, manifest, write_json, write_page
    from autoregressive.cache import cache_folder
    from autoregressive.images.datasets import load
    from autoregressive.pixels.training import make_pixel_recipe

    made = make_pixel_recipe(
        recipe, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate
    )
    out = out or Path("meta-learn-pixels")
    prepare(out)
    images, test = load(data, "train"), load(data, "test")

    with pixel_progress(quiet) as on_point:
        network, document = train_and_score(
            images, test, made, out, cell=cell, hidden=hidden, readout=readout, seed=seed,
            folder=cache_folder(), on_point=on_point,
        )  # fmt: skip
    summary, seconds = document["epochs"], document["seconds"]
    table = pages.training_table(summary, data)
    run = manifest(arguments(), [seed], data_digest=images.digest)
    write_json(out / "training.json", document)
    write_json(out / "manifest.json", run)
    from analysis.images import figures as pixel_figures

    last = summary[made.epochs]["test"]["cross_entropy"]["mean"]
    write_page(
        out,
        title=pages.title(network),
        lead=f"{last:.4f} nats a pixel on the test images after {made.epochs} epochs, "
        f"{seconds:.0f} s of training.",
        tables=[table],
        panels=[
            Panel(
                "curves",
                pixel_figures.pixel_curves({"network": network.history}, len(images)),
                "Train and test loss falling with epochs.",
                "Loss on the first 10,000 train and the first 2,000 test images, four points an "
                "epoch.",
            )
        ],
        command=command_line(),
        run=run,
    )
    print_results(document, as_json, pages.title(network), [table], out)


@pixels.command(
    epilog="""Examples:

\b
  meta-learn pixels evaluate
  meta-learn pixels evaluate meta-learn-pixels/network.safetensors --json
"""
)
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@_DATA
@shared_options
def evaluate(
    checkpoint: Path | None, data: str, seed: int, out: Path | None, quiet: bool, as_json: bool
) -> None:
    """Cross-entropy, accuracy and calibration on the test images.

    CHECKPOINT: a saved network; without one, the packaged LSTM-32.
    """
    from analysis.images import page as pages
    from analysis.images.runs import scores
    from analysis.report.publish import manifest, write_json, write_page
    from autoregressive.images.datasets import load
    from autoregressive.pixels import network as px
    from autoregressive.pixels.packaged import load_pixels

    out = out or (None if as_json else Path("meta-learn-pixels-evaluation"))
    prepare(out)
    network = load_pixels(checkpoint)
    images = load(data, "test")
    evaluation = px.evaluate(network, images)
    document = scores(evaluation) | {"images": len(images), "data": data}
    if out is not None:
        run = manifest(arguments(), [seed], data_digest=images.digest)
        write_json(out / "evaluation.json", document)
        write_json(out / "manifest.json", run)
        write_page(
            out,
            title=pages.title(network),
            lead=f"{document['cross_entropy']['mean']:.4f} nats a pixel on {len(images)} images.",
            tables=[pages.evaluation_table(document)],
            panels=pages.evaluation_panels(evaluation, images.shape),
            command=command_line(),
            run=run,
        )
    print_results(document, as_json, pages.title(network), [pages.evaluation_table(document)], out)


@pixels.command(
    name="continue",
    epilog="""Examples:

\b
  meta-learn pixels continue
  meta-learn pixels continue run/epoch-0.safetensors run/epoch-1.safetensors run/network.safetensors
""",
)
@click.argument("checkpoints", nargs=-1, type=click.Path(path_type=Path))
@_DATA
@click.option("--images", "count", default=100, show_default=True, type=click.IntRange(3),
              help="The first so many test images.")  # fmt: skip
@click.option("--samples", default=10, show_default=True, type=click.IntRange(5),
              help="Samples of each image.")  # fmt: skip
@shared_options
def continue_(
    checkpoints: tuple[Path, ...],
    data: str,
    count: int,
    samples: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Sample the last 300 pixels of test images, and score the samples.

    CHECKPOINTS: networks to compare, the last one is drawn; without any, the packaged LSTM-32 at 0,
    1 and its last epoch.
    """
    from analysis.images import page as pages
    from analysis.images.runs import FIRST_MISSING, choose_images, continuations
    from analysis.report.publish import manifest, write_json, write_page
    from autoregressive.images.datasets import load
    from autoregressive.pixels.network import PixelNetwork
    from autoregressive.pixels.packaged import packaged_stages

    out = out or (None if as_json else Path("meta-learn-pixels-continuation"))
    prepare(out)
    networks = (
        {path.stem: PixelNetwork.load(path) for path in checkpoints}
        if checkpoints
        else packaged_stages()
    )
    test = load(data, "test")
    truth = test.images(slice(0, count))
    results, run = continuations(networks, truth, seed=seed, samples=samples)
    chosen = choose_images(run)
    document = {"images": len(truth), "samples": samples, "first_missing": FIRST_MISSING,
                "data": data, "networks": results,
                "chosen": {k: int(v) for k, v in chosen.items()}}  # fmt: skip
    tables = [pages.continuation_table(results)]
    if out is not None:
        made = manifest(arguments(), [seed],
                        data_digest=test.digest)  # fmt: skip
        write_json(out / "continuation.json", document)
        write_json(out / "manifest.json", made)
        write_page(
            out,
            title=f"Continuing {len(truth)} test images of {data} by 1 to 300 pixels",
            lead=pages.continuation_lead(results),
            tables=tables,
            panels=pages.continuation_panels(truth, run, chosen, test.shape),
            command=command_line(),
            run=made,
        )
    print_results(document, as_json, f"Continuing {len(truth)} test images of {data}", tables, out)


@contextmanager
def pixel_progress(quiet: bool) -> Iterator[Callable[[PixelPoint], None]]:
    """A bar with throughput and time left on a terminal; off one, a line for each curve point."""
    from rich.progress import TextColumn

    from analysis.console import meter
    from autoregressive.pace import TRAINING, listening

    started = time.monotonic()
    before = TextColumn("step {task.completed:.0f}/{task.total:.0f}")
    last: list[PixelPoint] = []
    columns = [TextColumn("{task.fields[note]}")]
    with (
        meter("training", "steps", quiet, before, columns, note="") as show,
        listening(TRAINING, show),
    ):

        def on_point(point: PixelPoint) -> None:
            last[:] = [point]
            note = f"{point.images_per_second:.0f} images/s, loss {point.batch_loss:.4f}"
            show(point.step, point.steps, note=note)
            if point.test_loss is not None and not show.animated and not quiet:
                line = f"step {point.step}/{point.steps}: {note}, test {point.test_loss:.4f} nats"
                click.echo(line, err=True)

        yield on_point
    if last and not quiet:
        click.echo(
            f"trained {last[0].steps} steps in {time.monotonic() - started:.0f} s, "
            f"{last[0].images_per_second:.0f} images/s",
            err=True,
        )
