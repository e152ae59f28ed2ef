"""Rows 1 to 4: images as sequences of pixels, their network, its training and its scores."""

from __future__ import annotations

from fractions import Fraction

import jax
import numpy as np

from analysis.coursework.reproduce.kept import Result
from analysis.coursework.reproduce.layers import causality, layers_table
from analysis.coursework.reproduce.run import Run
from analysis.images import figures
from analysis.images import page as pages
from analysis.report.formats import nats, percent
from analysis.report.report import Document, Panel, Table
from autoregressive.images.image_set import SPLITS, binarise
from autoregressive.pixels.network import pixel_model

_MNIST_SIZES = {"train": 55_000, "validation": 5_000, "test": 10_000}


def data(run: Run) -> Result:
    """Row 1."""
    splits = {split: run.images(split) for split in SPLITS}
    numbers: Document = {"splits": {}, "data": run.data}
    rows = []
    for split, images in splits.items():
        pixels = images.images()
        about: Document = {
            "images": len(images),
            "places": images.places,
            "ones": float(pixels.mean(dtype=np.float64)),
            "first_pixel_ones": int(pixels[:, 0].sum()),
            "sha256": images.digest,
        }
        numbers["splits"][split] = about
        rows.append(
            [
                split,
                f"{len(images):,}",
                f"{images.places}",
                percent(about["ones"]),
                f"{about['first_pixel_ones']}",
                images.digest[:12],
            ]
        )
    grey = np.arange(256)
    exact = [Fraction(1, 10) < Fraction(int(level), 255) for level in grey]
    agree = int((binarise(grey.astype(np.uint8)) == exact).sum())
    numbers["grey_levels_agree"] = agree
    sizes = {split: about["images"] for split, about in numbers["splits"].items()}
    numbers["sizes_as_asked"] = sizes == _MNIST_SIZES
    answer = (
        ", ".join(f"{n:,} {split}" for split, n in sizes.items())
        + f" images of {splits['test'].places} pixels. The binarisation agrees with 0.1 < grey/255 in "
        f"exact fractions on {agree} of 256 grey levels."
    )
    table = Table(
        "The binarised splits",
        ["split", "images", "pixels", "ones", "first pixel 1", "SHA-256"],
        rows,
        "Ones: share of pixels that are 1. First pixel 1: images whose first pixel is 1. SHA-256: of "
        "the packed pixels, its first 12 digits.",
    )
    shown = splits["test"].images(slice(0, 10))
    panel = Panel(
        "images",
        figures.gallery(shown, splits["test"].shape),
        "Ten binarised digits.",
        f"The first ten test images, read row by row from the top. {run.of_data}",
    )
    return Result(answer, numbers, [table], [panel], made=run.of_data)


def model(run: Run) -> Result:
    """Row 2."""
    stages = run.pixels
    network = stages.network
    table, count = layers_table(network.params, "The network of rows 3 to 10")
    others = {}
    for cell in ("lstm", "gru"):
        for readout in ((64,), (64, 64)):
            shapes = jax.eval_shape(pixel_model(cell, 32, readout).init, jax.random.key(0))
            others[f"{cell}, read-out {','.join(map(str, readout))}"] = sum(
                int(np.prod(leaf.shape)) for leaf in shapes.values()
            )
    pixels = run.test_images.images(slice(0, 1))
    at = network.places // 2
    other = pixels.copy()
    other[:, at] ^= 1
    earlier, later = causality(network.logits(pixels), network.logits(other), at)
    sizes = Table(
        "Parameters with 32 hidden units",
        ["cell and read-out", "parameters"],
        [[name, f"{n:,}"] for name, n in others.items()],
    )
    answer = (
        f"{pages.network_title(network)}: {count:,} parameters. Flipping pixel {at} of a test image "
        f"changes no logit of a pixel up to it (largest change {nats(earlier)}) and later ones by up to "
        f"{nats(later)}."
    )
    numbers = {
        "parameters": count,
        "by_cell": others,
        "flipped": at,
        "change_before": earlier,
        "change_after": later,
    }
    return Result(answer, numbers, [table, sizes], made=stages.made)


def training(run: Run) -> Result:
    """Row 3."""
    network = run.pixels.network
    recipe = network.settings["recipe"]
    how = recipe["optimization"]
    images = network.settings["data"]["images"]
    steps = -(-images // recipe["batch_size"])
    curve = network.history["test_loss"]
    before, last = (
        (float(curve[i]) for i in (-5, -1))
        if len(curve) > 5
        else (float(curve[0]), float(curve[-1]))
    )
    numbers = {
        "recipe": recipe,
        "images": images,
        "steps_per_epoch": steps,
        "last_epoch": {"from": before, "to": last},
    }
    rows = [
        ["optimiser", str(how["optimizer"])],
        ["learning rate", f"{how['learning_rate']:g}, {how['schedule']}"],
        ["batch", str(recipe["batch_size"])],
        ["epochs", str(recipe["epochs"])],
        ["images, updates an epoch", f"{images:,}, {steps:,}"],
    ]
    seconds = float(network.history["seconds"][-1])
    answer = (
        f"{recipe['epochs']} epochs, {steps * recipe['epochs']:,} updates. The last epoch "
        f"lowered the test loss from {before:.4f} to {last:.4f} nats a pixel, by "
        f"{percent((before - last) / before)}."
    )
    paragraphs = [("Time:", f"training took {seconds:.0f} s where this network was trained.")]
    table = Table(f"Recipe {recipe['name']}", ["setting", "value"], rows)
    return Result(
        answer,
        numbers,
        [table],
        paragraphs=paragraphs,
        made=run.pixels.made,
        own=_train_command(run),
    )


def summary(run: Run) -> Result:
    """Row 4."""
    tables, numbers, histories = [], {}, {}
    over = f"The {len(run.train_images):,} images trained on and all test images."
    if run.packaged_pixels:
        n = run.sizes.scored_images
        over = f"The first {n:,} train and the first {n:,} test images."
    for readout in run.sizes.readouts:
        stages = run.pixel_stages(readout)
        name = f"read-out {','.join(map(str, readout))}"
        table = pages.training_table(stages.epochs, run.data, over)
        tables.append(table._replace(title=f"{table.title}: {name}"))
        history = stages.network.history
        histories[name] = history
        numbers[name] = {
            "epochs": {
                str(epoch): {
                    part: {
                        "cross_entropy": row[part]["cross_entropy"],
                        "accuracy": row[part]["accuracy"],
                    }
                    for part in ("train", "test")
                }
                for epoch, row in stages.epochs.items()
            },
            "curve": {k: [float(v) for v in history[k]] for k in ("train_loss", "test_loss")},
        }
    if run.data == "mnist":
        numbers["report"] = {
            str(epoch): {"cross_entropy": reported, "accuracy": accuracy}
            for epoch, (reported, accuracy) in pages.REPORT.items()
        }
    tests = {epoch: row["test"] for epoch, row in sorted(run.pixels.epochs.items())}
    costs = ", ".join(f"{test['cross_entropy']['mean']:.4f}" for test in tests.values())
    shares = ", ".join(f"{100 * test['accuracy']:.1f}%" for test in tests.values())
    answer = (
        f"{costs} nats a pixel and accuracy {shares} on test images at {', '.join(map(str, tests))} "
        f"epochs. Learning curves of {len(history['test_loss'])} points."
    )
    images = run.pixels.network.settings["data"]["images"]
    panel = Panel(
        "curves",
        figures.pixel_curves(histories, images),
        "Train and test loss falling with epochs.",
        f"Loss on the first 10,000 train and the first 2,000 test images, four points an epoch. "
        f"{run.of_data}",
    )
    return Result(
        answer,
        numbers,
        tables,
        [panel],
        made=run.pixels.made,
        own="" if run.packaged_pixels else _train_command(run),
    )


def _train_command(run: Run) -> str:
    """The command that trains the same network; empty where the run trains on less than all images."""
    if run.sizes.train_images is not None and not run.packaged_pixels:
        return ""
    recipe = "best" if run.packaged_pixels else run.sizes.pixel_recipe
    seed = 0 if run.packaged_pixels else run.seed
    return f"meta-learn pixels train --data {run.data} --recipe {recipe} --seed {seed}"
