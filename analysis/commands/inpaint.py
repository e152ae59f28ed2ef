"""``meta-learn inpaint``: the exact posterior over missing pixels, given past and future."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.options import MemberOption, shared_options, worker_options
from analysis.console import finish, prepare, usage_errors

if TYPE_CHECKING:
    from autoregressive.images.npy import MaskedImages
    from autoregressive.pixels.network import PixelNetwork

DEFAULT_OUT = Path("meta-learn-inpainting")
# More cell steps than this take more than a few seconds on a small machine.
_LONG = 20_000_000


@click.command(
    epilog="""Examples:

\b
  meta-learn inpaint one_pixel_inpainting.npy
  meta-learn inpaint images.npy --checkpoint run/network.safetensors --json
  meta-learn inpaint --mask square:3 --images 200
  meta-learn inpaint --mask row:10 --data glyphs --images 50
  meta-learn inpaint --mask square:4 --images 1000 --workers 4
"""
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--checkpoint", type=click.Path(path_type=Path),
              help="A saved network of images.  [the packaged LSTM-32]")  # fmt: skip
@click.option("--mask", metavar="KIND:AMOUNT", cls=MemberOption, registers="mask",
              help="Instead of FILE, lay a mask over test images: square:4, row:10, column:10, "
              "random:0.01.")  # fmt: skip
@click.option("--data", default="mnist", show_default=True, metavar="NAME",
              help="Images under a mask: mnist, or glyphs (drawn from fonts, offline).")  # fmt: skip
@click.option("--images", "count", default=100, show_default=True, type=click.IntRange(1),
              help="The first so many test images under a mask.")  # fmt: skip
@shared_options
@worker_options
def inpaint(
    file: Path | None,
    checkpoint: Path | None,
    mask: str | None,
    data: str,
    count: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
    scheduler: str | None,
    workers: int | None,
) -> None:
    """What are the missing pixels, given all others, before and after them?

    FILE is an NPY array (2, n, pixels): the images with -1 for missing, then the same images whole;
    or (n, pixels), the masked images alone. Up to 16 pixels of an image may be missing: every way to
    fill them in is scored, exactly. The report goes to --out (default: ./meta-learn-inpainting).
    """
    from analysis.images.inpainting import inpaint as run
    from analysis.images.inpainting_page import make_report
    from autoregressive.images.datasets import load
    from autoregressive.images.masked import mask_images
    from autoregressive.images.npy import read_masked
    from autoregressive.pixels.inpainting import check_masked
    from autoregressive.pixels.packaged import load_pixels

    context = click.get_current_context()
    given = [
        name for name in ("data", "count")
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]  # fmt: skip
    if (file is None) == (mask is None):
        raise click.UsageError(
            "give a FILE of masked images, or --mask to lay one over test images, like "
            "--mask square:2"
        )
    if file is not None and given:
        raise click.UsageError("--data and --images choose images for --mask; FILE has its own")
    out = out or (None if as_json else DEFAULT_OUT)
    network = load_pixels(checkpoint)
    if file is not None:
        images, source = read_masked(file), file.name
    else:
        assert mask is not None
        test = load(data, "test")
        with usage_errors():
            images = mask_images(test, mask, count, seed)
        source = f"test images of {data}"
    check_masked(images.masked, network.places)
    prepare(out)
    with _progress(network, images, quiet) as on_images:
        inpainting = run(network, images, on_images, scheduler=scheduler, workers=workers)
    finish(make_report(inpainting, network, images, source, seed), out, as_json)


@contextmanager
def _progress(
    network: PixelNetwork, images: MaskedImages, quiet: bool
) -> Iterator[Callable[[int], None]]:
    """Says what a long run will cost before it starts, and shows a bar on a terminal."""
    from rich.progress import TextColumn

    from analysis.progress import meter
    from autoregressive.pixels.inpainting import cost, memory

    steps = cost(images.masked)
    long = steps > _LONG
    if long and not quiet:
        click.echo(
            f"{len(images.masked)} images, {images.kind()} missing: {steps / 1e6:,.0f} million "
            f"cell steps in {memory(network, images.masked) / 1e6:,.0f} MB; two CPU cores take "
            "about 3 million a second",
            err=True,
        )
    column = TextColumn("image {task.completed:.0f}/{task.total:.0f}")
    with meter("in-painting", "images", quiet or not long, column) as show:
        show(0, len(images.masked))
        yield lambda done: show(done, len(images.masked))
