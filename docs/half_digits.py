"""Pictures of what a network believes about digits of which a part is missing, and the worth of the
future against how much is missing, from docs/results/future-worth.json and future-worth-glyphs.json.

    python docs/half_digits.py
    python docs/half_digits.py --data glyphs --checkpoint docs/results/glyphs.safetensors

draw the pictures, of the first test images, to docs/figures: MNIST by the packaged LSTM-32, and glyphs
by an LSTM-32 of their own. The worth of the future is drawn while the site is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.report.formats import interval
from analysis.report.report import Panel, Table
from analysis.report.style import BLACK, BLUE, STYLE, VERMILLION

FIGURES = Path(__file__).parent / "figures"
PICTURES = {"lower-half": "half-{}", "square:14": "{}-with-a-hole"}
# What a caption calls test images, and a file its pictures.
SETS = {"mnist": ("MNIST test images", "digits"), "glyphs": ("glyphs of the test split", "glyphs")}
IMAGES, SEED = 4, 0
# The masks of a line; one alone is a mark.
KINDS = {
    "scattered at random": (
        ("random:16", "random:49", "random:196", "random:392"),
        BLUE,
        "-",
        "o",
    ),
    "in one square": (("square:4", "square:7", "square:14"), VERMILLION, "--", "s"),
    "the lower half": (("lower-half",), BLACK, "none", "D"),
}


@click.command()
@click.option("--data", type=click.Choice(list(SETS)), default="mnist", show_default=True)
@click.option("--checkpoint", type=click.Path(path_type=Path), help="The network; else LSTM-32.")
def draw_pictures(data: str, checkpoint: Path | None) -> None:
    """A row a digit: masked, mean, samples, the most probable, the truth."""
    from analysis.images.estimation import Effort, estimate
    from analysis.images.estimation_figures import completions
    from autoregressive.images.datasets import load
    from autoregressive.images.masked import MaskedImages
    from autoregressive.images.masks import draw_mask
    from autoregressive.pixels.packaged import load_pixels

    network = load_pixels(checkpoint)
    test = load(data, "test")
    pixels = test.images(slice(0, IMAGES))
    for mask, name in PICTURES.items():
        keep = draw_mask(mask, IMAGES, test.shape, SEED)
        images = MaskedImages(np.where(keep, pixels.astype(np.int8), np.int8(-1)), pixels)
        found = estimate(network, images, Effort(), SEED)
        figure = completions(found, images.masked, range(IMAGES), test.shape)
        figure.savefig(FIGURES / f"{name.format(SETS[data][1])}.png", dpi=160)
        for one in found:
            print(
                mask,
                f"log p(observed) {one.evidence.mean:.2f} ({one.evidence.standard_error:.3f}), "
                f"log p(truth | observed) {one.log_posterior_truth:.2f}, past only "
                f"{one.past_only:.2f}, converged {one.chains.converged.mean():.3f}",
                flush=True,
            )


def figure(document: dict[str, Any]) -> Figure:
    """The worth of the future against the number of missing pixels."""
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(5.6, 3.4))
        axis = drawn.subplots()
        for shift, (label, kind) in zip((0.96, 1.04, 1.04), KINDS.items(), strict=True):
            masks, colour, line, marker = kind
            rows = [document["masks"][mask] for mask in masks]
            x = shift * np.array([row["missing"] for row in rows])
            mean = np.array([row["mean"] for row in rows])
            low, high = np.array([row["ci95"] for row in rows], float).T
            axis.errorbar(
                x,
                mean,
                [mean - low, high - mean],
                color=colour,
                linestyle=line,
                marker=marker,
                capsize=3,
                label=label,
            )
        axis.set_xscale("log")
        ticks = [16, 49, 196, 392]
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel("missing pixels, of 784")
        axis.set_ylabel("worth of the future, nats an image")
        axis.axhline(0, color="#888888", linewidth=0.8)
        axis.legend(loc="upper left", title="missing pixels are")
    return drawn


def panel(document: dict[str, Any]) -> Panel:
    """``figure`` with its caption."""
    count = max(row["images"] for row in document["masks"].values())
    return Panel(
        "future-worth",
        figure(document),
        "log p(missing | observed) less log p(missing | past only) at the truth, against how many "
        "pixels are missing.",
        f"{count} {SETS[document['data']][0]} a mask. Bars: 95% intervals over images (Student's t), "
        "wider than any error of an estimate. Marks of one number stand side by side.",
    )


def table(document: dict[str, Any]) -> Table:
    """The means."""
    rows = [
        [
            mask,
            str(row["missing"]),
            _two(row["mean"]),
            interval(row["ci95"], _two),
            f"{row['given']} of {row['images']}",
        ]
        for mask, row in document["masks"].items()
    ]
    return Table(
        "What the future is worth, nats an image",
        ["mask", "missing pixels", "mean", "95% interval", "images given"],
        rows,
        "Given: log p(observed) has a standard error of at most 0.5 nats.",
    )


def _two(value: float | None) -> str:
    """Two decimals, and no -0.00."""
    assert value is not None
    return f"{round(value, 2) + 0.0:.2f}"


if __name__ == "__main__":
    draw_pictures()
