"""In-painting as a command runs it, with progress on stderr."""

from __future__ import annotations

from analysis.images.estimation import Effort, Estimated, estimate
from analysis.images.inpainting import Inpainting, inpaint
from analysis.progress import meter, say
from autoregressive.images.masked import MaskedImages
from autoregressive.pixels.inpainting import cost, memory
from autoregressive.pixels.network import PixelNetwork

# More cell steps than these take more than a few seconds on a small machine.
_LONG = 20_000_000


def inpaint_with_progress(
    network: PixelNetwork,
    images: MaskedImages,
    quiet: bool,
    scheduler: str | None = None,
    workers: int | None = None,
) -> Inpainting:
    """``inpaint`` with a bar on a terminal; where it takes long its cost is said beforehand."""
    from rich.progress import TextColumn

    steps, count = cost(images.masked), len(images.masked)
    silent = quiet or steps <= _LONG
    if not silent:
        say(
            f"{count} images, {images.kind()} missing: {steps / 1e6:,.0f} million cell steps in "
            f"{memory(network, images.masked) / 1e6:,.0f} MB; two CPU cores take about 3 million a "
            "second"
        )
    column = TextColumn("image {task.completed:.0f}/{task.total:.0f}")
    with meter("in-painting", "images", silent, column) as show:
        show(0, count)
        return inpaint(
            network,
            images,
            lambda done: show(done, count),
            scheduler=scheduler,
            workers=workers,
        )


def estimate_with_progress(
    network: PixelNetwork,
    images: MaskedImages,
    effort: Effort,
    seed: int,
    quiet: bool,
    scheduler: str | None = None,
    workers: int | None = None,
) -> list[Estimated]:
    """``estimate``, with a bar on a terminal."""
    from rich.progress import TextColumn

    count = len(images.masked)
    column = TextColumn("image {task.completed:.0f}/{task.total:.0f}")
    with meter("estimating", "images", quiet, column) as show:
        show(0, count)
        return estimate(
            network,
            images,
            effort,
            seed,
            lambda done: show(done, count),
            scheduler=scheduler,
            workers=workers,
        )
