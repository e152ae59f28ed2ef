"""The reports of pixel networks: trained, scored, continuing images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analysis.report.formats import nats, network_name, percent
from analysis.report.report import Document, Json, Panel, Report, Table

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Shaped

    from autoregressive.images.binarisation import Binarisation
    from autoregressive.images.image_set import ImageSet
    from autoregressive.pixels.continuation import Continuation
    from autoregressive.pixels.network import Evaluation, PixelNetwork

# Cross-entropy (nats a pixel) and accuracy of the student's report of 2018 by epoch: labelled test
# there, but of one training batch, with two 64-unit read-out layers.
REPORT = {0: (0.6926, 0.828), 1: (0.1480, 0.937), 5: (0.1136, 0.954)}
BINARISATION = "Pixels are binarised at 0.1: not comparable with figures on other binarisations."


def binarisation_note(how: Binarisation) -> str:
    """What figures on images so binarised are comparable with, for the notes of tables."""
    if how.threshold is None:
        inverted = ", and were inverted" if how.inverted else ""
        return f"Pixels were binary already{inverted}."
    return f"Pixels are {how}: not comparable with figures on other binarisations."


def training_report(
    network: PixelNetwork,
    document: Mapping[str, Json],
    images: ImageSet,
    seed: int,
    test: ImageSet,
) -> Report:
    """What there is to say of a training. document: of ``runs.train_and_score``. images, test: the
    train and the test set."""
    from analysis.images import figures
    from autoregressive.pixels.training import CURVE_TEST_IMAGES, CURVE_TRAIN_IMAGES

    epochs = document["epochs"]
    last = epochs[max(epochs)]["test"]["cross_entropy"]["mean"]

    def panels() -> list[Panel]:
        return [
            Panel(
                "curves",
                figures.pixel_curves({"network": network.history}, len(images)),
                "Train and test loss falling with epochs.",
                f"Loss on {_first(CURVE_TRAIN_IMAGES, images)} and {_first(CURVE_TEST_IMAGES, test)} "
                "images, up to four points an epoch.",
            )
        ]

    return Report(
        "training",
        title(network),
        f"{last:.4f} nats a pixel on the test images after {max(epochs)} epochs, "
        f"{document['seconds']:.0f} s of training.",
        document,
        [training_table(epochs, images.name, note=binarisation_note(images.binarisation))],
        panels=panels,
        seeds=[seed],
        run={"data_digest": images.digest},
        closing="",
    )


def _first(most: int, images: ImageSet) -> str:
    """Which images a learning curve was measured on."""
    n = len(images)
    return f"the first {most:,} {images.split}" if n > most else f"all {n:,} {images.split}"


def evaluation_report(
    network: PixelNetwork, evaluation: Evaluation, images: ImageSet, seed: int
) -> Report:
    """What there is to say of a network's scores on images."""
    from analysis.images.runs import scores

    document = scores(evaluation) | {"images": len(images)} | about(images)
    return Report(
        "evaluation",
        title(network),
        f"{document['cross_entropy']['mean']:.4f} nats a pixel on {len(images)} images.",
        document,
        [evaluation_table(document, binarisation_note(images.binarisation))],
        panels=lambda: evaluation_panels(evaluation, images.shape),
        seeds=[seed],
        run={"data_digest": images.digest},
        closing="",
    )


def continuation_report(
    results: Mapping[str, Json],
    run: Continuation,
    truth: Shaped[np.ndarray, "n places"],
    images: ImageSet,
    seed: int,
) -> Report:
    """What there is to say of continued images. results, run: of ``runs.continuations``. truth: the
    images that were continued, the first ones of ``images``."""
    from analysis.images.runs import choose_images

    chosen = choose_images(run)
    document = {
        "images": len(truth),
        "samples": run.own.shape[1],
        "first_missing": run.first,
        **about(images),
        "networks": results,
        "chosen": {k: int(v) for k, v in chosen.items()},
    }
    return Report(
        "continuation",
        f"Continuing {len(truth)} test images of {images.name} by 1 to {run.truth.shape[1]} pixels",
        continuation_lead(results),
        document,
        [continuation_table(results, binarisation_note(images.binarisation))],
        panels=lambda: continuation_panels(truth, run, chosen, images.shape),
        seeds=[seed],
        run={"data_digest": images.digest},
        closing="",
    )


def about(images: ImageSet) -> Document:
    """Which images were used, as JSON values."""
    return {
        "data": images.name,
        "shape": list(images.shape),
        "threshold": images.binarisation.threshold,
        "inverted": images.binarisation.inverted,
    }


def network_title(network: PixelNetwork) -> str:
    """A network's cell, size and data."""
    return f"{network_name(network.settings)} of {_data_name(network)}"


def title(network: PixelNetwork) -> str:
    """What was trained, for headings."""
    s = network.settings
    readout = ",".join(map(str, s["readout"]))
    recipe = s.get("recipe", {})
    how = f", recipe {recipe['name']}" if "name" in recipe else ""
    how += f", {recipe['epochs']} epochs" if "epochs" in recipe else ""
    return f"{network_name(s)}, read-out {readout}, on {_data_name(network)}{how}"


def _data_name(network: PixelNetwork) -> str:
    return network.settings.get("data", {}).get("name", "unnamed images")


def _name(data: str) -> str:
    return "MNIST" if data == "mnist" else data


def training_table(
    summary: Mapping[int, Mapping[str, Json]],
    data: str,
    over: str = "All train and all test images.",
    note: str = BINARISATION,
) -> Table:
    """The coursework's summary table: train and test at 0, 1 and the last epoch, on MNIST beside the
    report's cross-entropy and accuracy. over: which images were scored. note: how they are binarised."""
    beside = data == "mnist"
    rows = []
    for epoch, row in sorted(summary.items()):
        train, test = row["train"], row["test"]
        cells = [str(epoch)]
        for part in (train, test):
            cells.append(f"{part['cross_entropy']['mean']:.4f} ± {part['cross_entropy']['se']:.4f}")
            cells.append(percent(part["accuracy"]))
        if beside:
            cells.append(_beside_report(*REPORT[epoch]) if epoch in REPORT else "-")
        rows.append(cells)
    return Table(
        "Cross-entropy, nats a pixel (± standard error over images), and accuracy",
        ["epoch", "train", "accuracy", "test", "accuracy", *(["report"] if beside else [])],
        rows,
        f"{note} {over}"
        + (
            " The report's figures are those of one training batch and of a read-out of two layers of "
            "64 (a student's report of 2018)."
            if beside
            else ""
        ),
    )


def _beside_report(cross_entropy: float, accuracy: float) -> str:
    return f"{cross_entropy:.4f} ({100 * accuracy:.1f}%)"


def evaluation_table(document: Mapping[str, Json], note: str = BINARISATION) -> Table:
    """The scores of one network on test images."""
    mean, se = document["cross_entropy"]["mean"], document["cross_entropy"]["se"]
    return Table(
        f"{document['images']:,} test images of {_name(document['data'])}",
        ["quantity", "value", "standard error"],
        [
            ["cross-entropy, nats a pixel", f"{mean:.5f}", f"{se:.5f}"],
            [
                "nats an image",
                f"{document['nats_per_image']:.3f}",
                f"{document['nats_per_image_se']:.3f}",
            ],
            ["accuracy", percent(document["accuracy"]), ""],
        ],
        note,
    )


def evaluation_panels(evaluation: Evaluation, shape: tuple[int, int]) -> list[Panel]:
    """The map of the loss and the calibration."""
    from analysis.images import figures

    return [
        Panel(
            "loss-map",
            figures.loss_map(evaluation, shape),
            "Mean loss by pixel place, as an image.",
            "Mean loss of every pixel over the test images. The first pixel is not scored.",
        ),
        Panel(
            "calibration",
            figures.calibration(evaluation.calibration),
            "Observed share of ones against predicted probability in ten bins, with the diagonal.",
            "Calibration of the predicted probabilities in ten equal bins, and the pixels in each. "
            "Intervals are Wilson's, as if pixels were independent.",
        ),
    ]


def continuation_table(results: Mapping[str, Json], note: str = BINARISATION) -> Table:
    """The three cross-entropies at every horizon, for every network."""
    rows = []
    for name, horizons in results.items():
        for horizon, costs in horizons.items():
            cells = [
                f"{costs[k]['mean']:.4f} ± {costs[k]['se_images']:.4f}"
                for k in ("own", "truth", "crossed")
            ]
            rows.append([name, horizon, *cells])
    return Table(
        "Cross-entropy of the continuations, nats a pixel (± standard error over images)",
        ["network", "pixels", "A: samples", "B: truth", "C: truth under samples"],
        rows,
        "A: the samples' own cross-entropy. B: the ground truth's, given its own past. C: the ground "
        "truth under the probabilities of the free-running samples. A far below B means bland "
        "samples, not good ones. For one pixel B = C. Standard errors over samples alone are in the "
        "JSON. " + note,
    )


def continuation_lead(results: Mapping[str, Json]) -> str:
    """The last network's answer in a sentence."""
    last = list(results.values())[-1]
    pixels = sorted(last, key=int)
    # Of few missing pixels there may be no second horizon.
    short, long = (last[pixels[min(1, len(pixels) - 1)]], last[pixels[-1]])
    return (
        f"Over {pixels[min(1, len(pixels) - 1)]} pixels the samples cost {nats(short['own']['mean'])} "
        f"nats a pixel (the truth {nats(short['truth']['mean'])}), over {pixels[-1]} pixels "
        f"{nats(long['own']['mean'])} (the truth {nats(long['truth']['mean'])})."
    )


def continuation_panels(
    truth: Shaped[np.ndarray, "n places"],
    run: Continuation,
    chosen: Mapping[str, int],
    shape: tuple[int, int],
) -> list[Panel]:
    """The samples of the chosen images, by title -> index; see ``runs.choose_images``."""
    from analysis.images import figures
    from analysis.images.runs import horizons

    titles = {f"{kind} (image {index})": index for kind, index in chosen.items()}
    one, *longer = horizons(shape)
    each = f" and five each of {', '.join(map(str, longer))} pixels" if longer else ""
    return [
        Panel(
            "continuations",
            figures.continuations(truth, run, titles, shape, (one, *longer)),
            f"Images, each with its truth, what was given, one sample of {one} pixel{each}; sampled "
            "pixels in orange.",
            CHOICE,
        )
    ]


CHOICE = (
    "Chosen by rule from the scores over all missing pixels. Success: the smallest C. Failure: the "
    "largest C. High variance: the largest standard deviation of A between samples among "
    "the others."
)
