"""What the rows of a reproduction share: images, networks, comparisons, each made or loaded once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Shaped

from analysis.coursework.reproduce.sizes import Sizes
from analysis.report.report import Document
from autoregressive.errors import counted
from autoregressive.images.image_set import ImageSet
from autoregressive.pixels.network import PixelNetwork

if TYPE_CHECKING:
    from analysis.comparison.compare import Comparison
    from analysis.images.inpainting import Inpainting
    from autoregressive.images.masked import MaskedImages
    from autoregressive.pixels.continuation import Continuation
    from autoregressive.pixels.training import PixelPoint, PixelRecipe
    from meta_learning.learner import Learner
    from meta_learning.processes import Process
    from meta_learning.recipes import Recipe

    Train = Callable[[Process, Recipe, int, Sequence[int]], list[Learner]]

Made = TypeVar("Made")
# What is missing, as ``MaskedImages.kind`` says it, and the mask that makes it.
KINDS = {"one pixel": "square:1", "a 2 x 2 patch": "square:2"}
# Of each image that is continued, as the coursework asks.
SAMPLES = 10


@dataclass(frozen=True)
class PixelStages:
    """A pixel network after 0 epochs, 1 epoch and the last, by title. epochs: scores by epoch. made: how
    it was made, for the page."""

    stages: dict[str, PixelNetwork]
    epochs: dict[int, Document]
    made: str

    @property
    def network(self) -> PixelNetwork:
        """After the last epoch."""
        return list(self.stages.values())[-1]


@dataclass(frozen=True, eq=False)
class Run:
    """One reproduction. data: a name of ``DATASETS``. out: the folder. train: from process, recipe,
    hidden units and seeds to networks, one a seed. follow_pixels: gives the ``on_point`` of a pixel
    network's training."""

    sizes: Sizes
    seed: int
    data: str
    out: Path
    train: Train
    follow_pixels: Callable[[], AbstractContextManager[Callable[[PixelPoint], None]]]
    # What ``_once`` has made; of any type.
    _made: dict[Hashable, Any] = field(default_factory=dict)

    def _once(self, name: Hashable, make: Callable[[], Made]) -> Made:
        """What ``make`` returned when it was first called under this name."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    @property
    def networks_folder(self) -> Path:
        """Where the networks of all rows are."""
        return self.out / "networks"

    def pixels_folder(self, readout: tuple[int, ...]) -> Path:
        """Where the pixel network with these read-out widths is, with its epochs."""
        return self.networks_folder / f"pixels-{'-'.join(map(str, readout))}"

    def learner_file(self, name: str, recipe: str) -> Path:
        """Where M1 .. M4, trained with a recipe, are."""
        return self.networks_folder / f"{name}-{recipe}.safetensors"

    @property
    def of_data(self) -> str:
        """What the images are, for captions."""
        if self.data == "mnist":
            return "MNIST."
        fonts = ", digits drawn from fonts" if self.data == "glyphs" else ""
        return f"Not MNIST: {self.data}{fonts}."

    @cached_property
    def train_images(self) -> ImageSet:
        """What pixel networks are trained on."""
        return first_of(
            self.images("train"), None if self.packaged_pixels else self.sizes.train_images
        )

    @cached_property
    def test_images(self) -> ImageSet:
        """What pixel networks are scored on."""
        return self.images("test")

    def images(self, split: str) -> ImageSet:
        """All images of a split. Errors: DataError."""
        from autoregressive.images.datasets import load

        return load(self.data, split)

    @cached_property
    def truth(self) -> Shaped[np.ndarray, "n places"]:
        """The images that are continued."""
        return self.test_images.images(slice(0, self.sizes.continued_images))

    @property
    def packaged_pixels(self) -> bool:
        """Whether pixel networks come with the package; those are of MNIST."""
        return self.sizes.packaged and self.data == "mnist"

    @cached_property
    def pixel_recipe(self) -> PixelRecipe:
        """Of pixel networks that are trained."""
        from autoregressive.pixels.training import make_pixel_recipe

        return make_pixel_recipe(
            self.sizes.pixel_recipe, epochs=self.sizes.epochs, batch_size=self.sizes.pixel_batch
        )

    @cached_property
    def pixels(self) -> PixelStages:
        """The pixel network of rows 5 to 10."""
        return self.pixel_stages(self.sizes.readouts[0])

    def pixel_stages(self, readout: tuple[int, ...]) -> PixelStages:
        """A pixel network with its scores: packaged, or kept from before, or trained now."""
        return self._once(("pixels", readout), lambda: self._pixel_stages(readout))

    def _pixel_stages(self, readout: tuple[int, ...]) -> PixelStages:
        folder = self.pixels_folder(readout)
        folder.mkdir(parents=True, exist_ok=True)
        if self.packaged_pixels:
            return self._packaged_pixels(folder)
        from analysis.images.runs import epoch_file, find_or_train

        recipe = self.pixel_recipe
        with self.follow_pixels() as on_point:
            last, document = find_or_train(
                self.train_images,
                self.test_images,
                recipe,
                folder,
                hidden=self.sizes.hidden,
                readout=readout,
                seed=self.seed,
                folder=folder,
                on_point=on_point,
            )
        stages = {
            counted(n, "epoch"): PixelNetwork.load(epoch_file(folder, n))
            for n in sorted({0, 1} - {recipe.epochs})
        }
        made = (
            f"Trained in this run: recipe {recipe.name}, {len(self.train_images):,} images of "
            f"{self.data}, seed {self.seed}."
        )
        return PixelStages(
            stages | {counted(recipe.epochs, "epoch"): last}, document["epochs"], made
        )

    def _packaged_pixels(self, folder: Path) -> PixelStages:
        from analysis.images.runs import epoch_file, scores
        from autoregressive.pixels.network import evaluate
        from autoregressive.pixels.packaged import packaged_stages

        scored = self.sizes.scored_images
        test = first_of(self.test_images, scored)
        train = first_of(self.train_images, scored)
        stages, epochs = {}, {}
        for network in packaged_stages().values():
            number = _epoch_of(network)
            stages[counted(number, "epoch")] = network
            network.save(epoch_file(folder, number))
            epochs[number] = {
                "train": scores(evaluate(network, train)),
                "test": scores(evaluate(network, test)),
            }
        settings = network.settings
        made = (
            f"Packaged weights: recipe {settings['recipe']['name']} (SOAP, batch "
            f"{settings['recipe']['batch_size']}) on all {settings['data']['images']:,} train images, "
            f"seed {settings['seed']}, made by meta-learn pixels train --recipe best. The full run "
            "trains the coursework's recipe instead."
        )
        return PixelStages(stages, epochs, made)

    @cached_property
    def continuation(self) -> tuple[Document, Continuation]:
        """The costs A, B and C of all stages, nats a pixel, and the last one's samples."""
        from analysis.images.runs import continuations

        return continuations(self.pixels.stages, self.truth, seed=self.seed, samples=SAMPLES)

    @cached_property
    def masked(self) -> dict[str, tuple[MaskedImages, str]]:
        """By the names of ``KINDS``, images with missing pixels, and where they come from."""
        from autoregressive.images.masked import MaskedImages, mask_images

        n = self.sizes.inpainted_images
        chosen = {}
        for path, images in self._masked_files():
            if images.kind() in KINDS:
                truth = None if images.truth is None else images.truth[:n]
                chosen[images.kind()] = (MaskedImages(images.masked[:n], truth), path.name)
        for kind, mask in KINDS.items():
            if kind not in chosen:
                source = f"mask {mask} over the first test images of {self.data}"
                chosen[kind] = (mask_images(self.test_images, mask, n, self.seed), source)
        return {kind: chosen[kind] for kind in KINDS}

    def _masked_files(self) -> list[tuple[Path, MaskedImages]]:
        from autoregressive.images.masked import read_masked

        paths = self.masked_paths()
        return [(path, read_masked(path)) for path in paths]

    def masked_paths(self) -> list[Path]:
        """The coursework's files of masked images, where they are there."""
        root = os.environ.get("META_LEARN_DATA")
        if not root or self.data != "mnist":
            return []
        return sorted((Path(root).expanduser() / "inpainting").glob("*.npy"))

    def inpainting(self, kind: str) -> Inpainting:
        """The exact posteriors of the images that miss ``kind``."""
        from analysis.images.inpainting import inpaint

        images, _ = self.masked[kind]
        return self._once(("inpainting", kind), lambda: inpaint(self.pixels.network, images))

    def learners(self, recipe: str) -> dict[str, Learner]:
        """M1 .. M4 trained with a recipe: packaged, from the cache, or trained now."""
        return self._once(("learners", recipe), lambda: self._learners(recipe))

    def _learners(self, recipe: str) -> dict[str, Learner]:
        from meta_learning.experiments import EXPERIMENTS
        from meta_learning.packaged import packaged_learner
        from meta_learning.recipes import make_recipe

        self.networks_folder.mkdir(parents=True, exist_ok=True)
        learners = {}
        for name, process in EXPERIMENTS.items():
            if self.sizes.packaged:
                learner = packaged_learner(name, recipe)
            else:
                made = make_recipe(recipe, budget=self.sizes.budget)
                (learner,) = self.train(process, made, self.sizes.hidden, [self.seed])
            learner.save(self.learner_file(name, recipe))
            learners[name] = learner
        return learners

    @property
    def learners_made(self) -> str:
        """How M1 .. M4 came to be, for the page."""
        if self.sizes.packaged:
            return (
                "M1 to M4 come with the package, seed 0, made by meta-learn experiments and "
                "meta-learn experiments --recipe coursework."
            )
        return f"M1 to M4 were trained in this run, seed {self.seed}."

    def comparisons(self, recipe: str) -> dict[str, dict[str, Comparison]]:
        """M1 .. M4 of a recipe on the three test streams, by model and stream."""
        return self._once(("comparisons", recipe), lambda: self._comparisons(recipe))

    def _comparisons(self, recipe: str) -> dict[str, dict[str, Comparison]]:
        from analysis.coursework.experiments import compare_on_test_streams
        from meta_learning.experiments import EXPERIMENTS

        learners = self.learners(recipe)
        return {
            name: compare_on_test_streams([learners[name]], process, self.seed, self.sizes.streams)
            for name, process in EXPERIMENTS.items()
        }


def first_of(images: ImageSet, n: int | None) -> ImageSet:
    """The first n images of a set; None is all."""
    return images if n is None else dataclasses.replace(images, packed=images.packed[:n])


def _epoch_of(network: PixelNetwork) -> int:
    """How many epochs a packaged network was trained for, from its learning curves."""
    return round(float(network.history["images"][-1]) / network.settings["data"]["images"])
