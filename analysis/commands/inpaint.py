"""``meta-learn inpaint``: the posterior over missing pixels, given past and future."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from analysis.commands.image_options import HOW, image_options, images_for
from analysis.commands.networks import refuse_options
from analysis.commands.options import MemberOption, shared_options, worker_options
from analysis.console import usage_errors
from analysis.output import finish, prepare

if TYPE_CHECKING:
    from autoregressive.images.choice import ImageChoice

DEFAULT_OUT = Path("meta-learn-inpainting")


@click.command(
    epilog="""Examples:

\b
  meta-learn inpaint one_pixel_inpainting.npy
  meta-learn inpaint images.npy --checkpoint run/network.safetensors --json
  meta-learn inpaint --mask square:3 --images 200
  meta-learn inpaint --mask row:10 --data glyphs --images 50
  meta-learn inpaint --mask square:4 --images 1000 --workers 4
  meta-learn inpaint --checkpoint meta-learn-pixels/network.safetensors --mask square:3 --data drawings
  meta-learn inpaint --mask lower-half --images 20
  meta-learn inpaint --mask random:200 --images 20 --target-error 0.02
"""
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="A saved network of images.  [the packaged LSTM-32]",
)
@click.option(
    "--mask",
    metavar="KIND:AMOUNT",
    cls=MemberOption,
    registers="mask",
    help="Instead of FILE, lay a mask over test images: square:4, row:10, column:10, random:0.01 or "
    "random:200, lower-half; or an NPY file that is 1 where pixels are observed.",
)
@image_options("Images under a mask")
@click.option(
    "--images",
    "count",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="The first so many test images under a mask.",
)
@click.option(
    "--estimate",
    "estimated",
    is_flag=True,
    help="Estimate the posterior, as past 16 missing pixels, also where it could be exact.",
)
@click.option(
    "--particles",
    default=128,
    show_default=True,
    type=click.IntRange(2, 1024),
    help="Particles of a run, to begin with.",
)
@click.option(
    "--sweeps",
    default=500,
    show_default=True,
    type=click.IntRange(50, 100_000),
    help="Work for the marginals, at most: further runs with as many particles as four chains of so "
    "many sweeps of eight, or such chains.",
)
@click.option(
    "--target-error",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Wanted standard error of log p(observed), nats: more particles until it is reached.",
)
@shared_options
@worker_options
def inpaint(
    file: Path | None,
    checkpoint: Path | None,
    mask: str | None,
    images: ImageChoice,
    count: int,
    estimated: bool,
    particles: int,
    sweeps: int,
    target_error: float,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
    scheduler: str | None,
    workers: int | None,
) -> None:
    """What are the missing pixels, given all others, before and after them?

    FILE is an NPY array (2, n, pixels): the images with -1 for missing, then the same images whole;
    or (n, pixels), the masked images alone. With up to 16 pixels of an image missing every way to fill
    them in is scored, exactly. With more, or with --estimate, the posterior is estimated by sequential
    Monte Carlo, each number with its error. The report goes to --out (default:
    ./meta-learn-inpainting).
    """
    from analysis.images import estimation_page, inpainting_page
    from analysis.images.estimation import Effort, check_estimable
    from analysis.images.inpainting_run import estimate_with_progress, inpaint_with_progress
    from autoregressive.images.masked import check_named_mask, mask_images, read_masked
    from autoregressive.pixels.inpainting import MOST_MISSING, check_size
    from autoregressive.pixels.packaged import load_pixels
    from autoregressive.pixels.trained_on import training_images

    if (file is None) == (mask is None):
        raise click.UsageError(
            "give a FILE of masked images, or --mask to lay one over test images, like "
            "--mask square:2"
        )
    if file is not None:
        refuse_options(
            {"data", "count", *HOW}, "with FILE: --data and --images choose images for --mask"
        )
    if mask is not None:
        # Before images are fetched.
        with usage_errors():
            check_named_mask(mask)
    out = out or (None if as_json else DEFAULT_OUT)
    network = load_pixels(checkpoint)
    if file is not None:
        masked, source = read_masked(file, training_images(network).shape), file.name
    else:
        assert mask is not None
        test = images_for([network], images, "test")
        context = click.get_current_context()
        if context.get_parameter_source("count") == ParameterSource.DEFAULT:
            count = min(count, len(test))
        with usage_errors():
            masked = mask_images(test, mask, count, seed)
        source = f"test images of {test.name}"
    check_size(masked.masked, network.places)
    if not estimated and (masked.masked < 0).sum(1).max() <= MOST_MISSING:
        refuse_options(
            {"particles", "sweeps", "target_error"},
            f"where {MOST_MISSING} pixels at most are missing and the posterior is exact: add "
            "--estimate",
        )
        prepare(out)
        inpainting = inpaint_with_progress(network, masked, quiet, scheduler, workers)
        finish(inpainting_page.make_report(inpainting, network, masked, source, seed), out, as_json)
        return
    effort = Effort(particles, sweeps, target_error)
    check_estimable(masked)
    prepare(out)
    found = estimate_with_progress(network, masked, effort, seed, quiet, scheduler, workers)
    finish(estimation_page.make_report(found, network, masked, source, seed, effort), out, as_json)
