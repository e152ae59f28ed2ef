"""Pixel networks: trainings that are scored along the way, and continuations of images."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Shaped

from analysis.report.publish import write_json
from analysis.report.report import Document
from autoregressive.checkpoint import settings_digest
from autoregressive.images.image_set import ImageSet
from autoregressive.pixels.continuation import HORIZONS, Continuation, continue_images
from autoregressive.pixels.network import Evaluation, PixelNetwork
from autoregressive.pixels.training import (
    Epoch,
    PixelPoint,
    PixelRecipe,
    pixel_settings,
    train_pixels,
)
from autoregressive.training_runs import find_network
from autoregressive.versions import versions

# The file of a finished network in the folder of ``train_and_score``.
NETWORK = "network.safetensors"
# The coursework's first missing pixel: the last 300 of 784 are missing.
FIRST_MISSING = 484
# Epochs whose networks are kept, beside 0 and 1.
_MOST_KEPT = 20
_MISSING_SHARE = 300 / 784


def first_missing(places: int) -> int:
    """Where continuations of images of ``places`` pixels begin: the coursework's share is missing."""
    return places - max(1, round(_MISSING_SHARE * places))


def horizons(shape: tuple[int, int]) -> tuple[int, ...]:
    """After how many continued pixels scores are taken: 1, 10, a row, and all that are missing, where
    there are so many. For 28 x 28 pixels these are ``HORIZONS``."""
    places = shape[0] * shape[1]
    every = places - first_missing(places)
    return tuple(sorted({h for h in (*HORIZONS[:2], shape[1], every) if h <= every}))


def scores(evaluation: Evaluation) -> Document:
    """An evaluation as JSON values: nats a pixel, nats an image, accuracy, calibration."""
    per_image = evaluation.nats_per_image
    return {
        "cross_entropy": {"mean": evaluation.cross_entropy, "se": evaluation.standard_error},
        "nats_per_image": float(np.mean(per_image)),
        "nats_per_image_se": float(np.std(per_image, ddof=1) / len(per_image) ** 0.5),
        "accuracy": evaluation.accuracy,
        "calibration": evaluation.calibration.rows(),
    }


def train_and_score(
    images: ImageSet,
    test: ImageSet,
    recipe: PixelRecipe,
    out: Path,
    *,
    cell: str = "lstm",
    hidden: int = 32,
    readout: tuple[int, ...] = (64,),
    seed: int = 0,
    folder: Path | None = None,
    on_point: Callable[[PixelPoint], None] = lambda point: None,
) -> tuple[PixelNetwork, Document]:
    """Trains a network, and leaves it in ``out`` after the ``kept_epochs`` with its scores at 0, 1 and
    the last epoch. Returns it with the document of ``meta-learn pixels train --json``.

    folder: as for ``train_pixels``. Errors: those of ``train_pixels``; OSError where ``out`` cannot be
    written.
    """
    kept = kept_epochs(recipe.epochs)

    def on_epoch(epoch: Epoch) -> None:
        if epoch.epoch in kept:
            epoch.network.save(epoch_file(out, epoch.epoch))
        if epoch.train is not None and epoch.test is not None:
            row = {
                "run": settings_digest(epoch.network.settings),
                "train": scores(epoch.train),
                "test": scores(epoch.test),
            }
            write_json(_scores_file(out, epoch.epoch), row)

    network = train_pixels(
        images,
        test,
        recipe,
        cell=cell,
        hidden=hidden,
        readout=readout,
        seed=seed,
        folder=folder,
        on_point=on_point,
        on_epoch=on_epoch,
    )
    network.save(out / NETWORK)
    return network, _document(network, out)


def epoch_file(folder: Path, epoch: int) -> Path:
    """Where ``train_and_score`` leaves the network after an epoch."""
    return folder / f"epoch-{epoch}.safetensors"


def _scores_file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch}.json"


def kept_epochs(epochs: int) -> set[int]:
    """The epochs after which a network is kept: all of up to 20; of more, 20 at even distances, and 0
    and 1."""
    even = {round(part * epochs / _MOST_KEPT) for part in range(1, _MOST_KEPT + 1)}
    return {0, 1} | (even if epochs > _MOST_KEPT else {*range(epochs + 1)})


def find_or_train(
    images: ImageSet,
    test: ImageSet,
    recipe: PixelRecipe,
    out: Path,
    *,
    hidden: int,
    readout: tuple[int, ...],
    seed: int,
    folder: Path | None = None,
    on_point: Callable[[PixelPoint], None] = lambda point: None,
) -> tuple[PixelNetwork, Document]:
    """``train_and_score``, unless a finished network of the same settings is in ``out``."""
    wanted = pixel_settings(images, recipe, "lstm", hidden, readout, seed)
    network = find_network(PixelNetwork, out / NETWORK, wanted)
    if network is not None:
        return network, _document(network, out)
    return train_and_score(
        images,
        test,
        recipe,
        out,
        hidden=hidden,
        readout=readout,
        seed=seed,
        folder=folder,
        on_point=on_point,
    )


def run_name(settings: Document) -> str:
    """A digest of what decides a run's results: its ``pixel_settings`` and the installed versions."""
    return settings_digest(settings | {"versions": versions()})


def _document(network: PixelNetwork, out: Path) -> Document:
    """The document of a finished training."""
    # Scores come from files: a run that was resumed scored its first epochs in an earlier process.
    last = int(network.settings["recipe"]["epochs"])
    epochs = _scored_epochs(out, settings_digest(network.settings), {0, 1, last})
    return {
        "settings": network.settings,
        "epochs": epochs,
        "seconds": float(network.history["seconds"][-1]),
        "curves": {k: [float(x) for x in v] for k, v in network.history.items()},
    }


def _scored_epochs(out: Path, run: str, epochs: set[int]) -> dict[int, Document]:
    """The scores that ``run`` left in the folder, by epoch; those of other runs are passed over."""
    paths = {epoch: _scores_file(out, epoch) for epoch in sorted(epochs)}
    rows = {e: json.loads(path.read_text()) for e, path in paths.items() if path.exists()}
    return {epoch: row for epoch, row in rows.items() if row.get("run") == run}


def load_networks(paths: Sequence[Path]) -> dict[str, PixelNetwork]:
    """Saved networks by the stems of their files, or by whole paths where two stems are equal. Errors:
    CheckpointError."""
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(set(paths)) else [str(path) for path in paths]
    return {name: PixelNetwork.load(path) for name, path in zip(names, paths, strict=True)}


def continuations(
    networks: Mapping[str, PixelNetwork],
    truth: Shaped[np.ndarray, "n places"],
    *,
    seed: int,
    samples: int,
    shape: tuple[int, int] = (28, 28),
) -> tuple[Document, Continuation]:
    """Continues images (n, P) from ``first_missing`` on with every network, by the same random numbers.

    shape: rows and columns of the images. Returns by network and horizon, as JSON values, the costs A,
    B and C ("own", "truth", "crossed"), nats a pixel, and the samples of the last network. Errors: as
    ``continue_images``.
    """
    results: Document = {}
    for name, network in networks.items():
        run = continue_images(
            network,
            truth,
            jax.random.key(seed),
            first=first_missing(truth.shape[1]),
            samples=samples,
        )
        results[name] = {
            str(h): {
                kind: {"mean": mean, "se_images": se, "se_samples": run.sample_spread(h)[kind]}
                for kind, (mean, se) in run.costs(h).items()
            }
            for h in horizons(shape)
        }
    return results, run


def choose_images(run: Continuation) -> dict[str, int]:
    """Three images chosen by rule: title -> index. By C over all missing pixels, the truth's cost under
    the free-running samples, "success" has the smallest mean over samples and "failure" the largest;
    "high variance" has, among the others, the largest spread of A, the samples' own cost."""
    cost = run.crossed.mean((1, 2))
    spread = run.own.mean(2).std(1)
    success, failure = int(np.argmin(cost)), int(np.argmax(cost))
    spread[[success, failure]] = -1.0
    return {"success": success, "failure": failure, "high variance": int(np.argmax(spread))}
