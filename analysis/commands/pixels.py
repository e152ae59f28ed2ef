"""``meta-learn pixels``: train, evaluate and continue images, pixel by pixel."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.common import (
    arguments,
    cell_options,
    command_line,
    prepare,
    print_results,
    progress_bar,
    shared_options,
)

if TYPE_CHECKING:
    from autoregressive.pixel_training import Epoch, PixelPoint
    from autoregressive.pixels import Evaluation, PixelNetwork

_DATA = click.option("--data", default="mnist", show_default=True, metavar="NAME",
                     help="mnist, or glyphs: digits drawn from fonts, offline.")  # fmt: skip
# The coursework's first missing pixel: the last 300 of 784 are missing.
FIRST_MISSING = 484


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
    from analysis.commands import pixel_pages as pages
    from analysis.report import Panel, manifest, write_json, write_page
    from autoregressive.cache import cache_folder
    from autoregressive.checkpoint import settings_digest
    from autoregressive.datasets import load
    from autoregressive.pixel_training import make_pixel_recipe, train_pixels

    made = make_pixel_recipe(
        recipe, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate
    )
    out = out or Path("meta-learn-pixels")
    prepare(out)
    images, test = load(data, "train"), load(data, "test")

    def on_epoch(epoch: Epoch) -> None:
        epoch.network.save(out / f"epoch-{epoch.epoch}.safetensors")
        if epoch.train is not None and epoch.test is not None:
            row = {
                "run": settings_digest(epoch.network.settings),
                "train": scores(epoch.train),
                "test": scores(epoch.test),
            }
            write_json(out / f"epoch-{epoch.epoch}.json", row)

    with _progress(quiet) as on_point:
        network = train_pixels(
            images,
            test,
            made,
            cell=cell,
            hidden=hidden,
            readout=readout,
            seed=seed,
            folder=cache_folder(),
            on_point=on_point,
            on_epoch=on_epoch,
        )
    network.save(out / "network.safetensors")
    # From the files, since a run that was resumed scored its first epochs in an earlier process.
    summary = _scored_epochs(out, settings_digest(network.settings), {0, 1, made.epochs})
    seconds = float(network.history["seconds"][-1])
    document = {
        "settings": network.settings,
        "epochs": summary,
        "seconds": seconds,
        "curves": {k: [float(x) for x in v] for k, v in network.history.items()},
    }
    table = pages.training_table(summary, data)
    run = manifest(arguments(), [seed], data_digest=images.digest)
    write_json(out / "training.json", document)
    write_json(out / "manifest.json", run)
    from analysis import pixel_figures

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
    from analysis.commands import pixel_pages as pages
    from analysis.report import manifest, write_json, write_page
    from autoregressive import pixels as px
    from autoregressive.datasets import load
    from autoregressive.packaged import load_pixels

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
    import jax

    from analysis.commands import pixel_pages as pages
    from analysis.report import manifest, write_json, write_page
    from autoregressive.continuation import HORIZONS, continue_images
    from autoregressive.datasets import load

    out = out or (None if as_json else Path("meta-learn-pixels-continuation"))
    prepare(out)
    networks = _networks(checkpoints)
    test = load(data, "test")
    truth = test.images(slice(0, count))
    results: dict[str, Any] = {}
    for name, network in networks.items():
        run = continue_images(
            network, truth, jax.random.key(seed), first=FIRST_MISSING, samples=samples
        )
        results[name] = {
            str(h): {
                kind: {"mean": mean, "se_images": se, "se_samples": run.sample_spread(h)[kind]}
                for kind, (mean, se) in run.costs(h).items()
            }
            for h in HORIZONS
        }
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


def _scored_epochs(out: Path, run: str, epochs: set[int]) -> dict[int, dict[str, Any]]:
    """The scores that ``run`` left in the folder; another run's are not taken for them."""
    paths = {epoch: out / f"epoch-{epoch}.json" for epoch in sorted(epochs)}
    found = {e: json.loads(path.read_text()) for e, path in paths.items() if path.exists()}
    return {epoch: row for epoch, row in found.items() if row.get("run") == run}


def choose_images(run: Any) -> dict[str, int]:
    """Three images by rule, from C at 300 pixels (nats a pixel of the truth under the free-running
    samples): success has the smallest mean over samples, failure the largest, and high variance the
    largest spread of own cost between samples among the others."""
    import numpy as np

    cost = run.crossed.mean((1, 2))
    spread = run.own.mean(2).std(1)
    success, failure = int(np.argmin(cost)), int(np.argmax(cost))
    spread[[success, failure]] = -1.0
    return {"success": success, "failure": failure, "high variance": int(np.argmax(spread))}


def scores(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON values."""
    import numpy as np

    per_image = evaluation.nats_per_image
    return {
        "cross_entropy": {"mean": evaluation.cross_entropy, "se": evaluation.standard_error},
        "nats_per_image": float(np.mean(per_image)),
        "nats_per_image_se": float(np.std(per_image, ddof=1) / len(per_image) ** 0.5),
        "accuracy": evaluation.accuracy,
        "calibration": evaluation.calibration.rows(),
    }


def _networks(checkpoints: tuple[Path, ...]) -> dict[str, PixelNetwork]:
    """The networks to continue with, by name; their image sizes must agree."""
    from autoregressive.packaged import DEFAULT_PIXELS, packaged_pixels
    from autoregressive.pixels import PixelNetwork

    if checkpoints:
        return {path.stem: PixelNetwork.load(path) for path in checkpoints}
    stages = {"0 epochs": "-epoch-0", "1 epoch": "-epoch-1", "trained": ""}
    return {title: packaged_pixels(DEFAULT_PIXELS + stage) for title, stage in stages.items()}


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[PixelPoint], None]]:
    """A bar with throughput and time left on a terminal; off one, a line for each curve point."""
    from rich.progress import TextColumn

    started = time.monotonic()
    before = TextColumn("step {task.completed:.0f}/{task.total:.0f}")
    last: list[PixelPoint] = []
    with progress_bar(quiet, before, TextColumn("{task.fields[note]}")) as bar:
        animated = not bar.disable
        task = bar.add_task("", total=1, note="", visible=False)

        def on_point(point: PixelPoint) -> None:
            last[:] = [point]
            note = f"{point.images_per_second:.0f} images/s, loss {point.batch_loss:.4f}"
            bar.update(task, total=point.steps, completed=point.step, note=note, visible=True)
            if point.test_loss is not None and not animated and not quiet:
                line = f"step {point.step}/{point.steps}: {note}, test {point.test_loss:.4f} nats"
                click.echo(line, err=True)

        yield on_point
    if last and not quiet:
        click.echo(
            f"trained {last[0].steps} steps in {time.monotonic() - started:.0f} s, "
            f"{last[0].images_per_second:.0f} images/s",
            err=True,
        )
