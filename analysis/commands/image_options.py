"""Options that say which images a command works on, and how they become binary."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from analysis.commands.options import Command, Given, MemberOption

if TYPE_CHECKING:
    from autoregressive.images.choice import ImageChoice
    from autoregressive.images.image_set import ImageSet
    from autoregressive.pixels.network import PixelNetwork

# Names of the parameters that ``image_options`` adds, besides data.
HOW = frozenset({"threshold", "already_binary", "invert", "split", "shape"})


class Shape(click.ParamType):
    """Rows and columns: 28x28."""

    name = "shape"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        sides = str(value).lower().replace("\N{MULTIPLICATION SIGN}", "x").split("x")
        try:
            rows, columns = (int(side) for side in sides)
        except ValueError:
            self.fail(f"expected rows and columns, like 28x28; got {value!r}")
        if min(rows, columns) < 1 or rows * columns < 2:
            self.fail(f"expected 2 pixels or more, like 28x28; got {value!r}")
        return rows, columns


class Shares(click.ParamType):
    """Shares of train and test, or of train, validation and test: 80,20."""

    name = "shares"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        from autoregressive.images.choice import normalise_shares

        if isinstance(value, tuple):
            return value
        try:
            return normalise_shares(tuple(float(part) for part in str(value).split(",")))
        except ValueError:
            self.fail(
                "expected shares of train and test like 80,20, or of train, validation and test like "
                f"80,10,10; got {value!r}"
            )


class Threshold(click.ParamType):
    """A share of white: at least 0 and below 1."""

    name = "threshold"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            number = float(str(value))
        except ValueError:
            number = math.nan
        if not 0 <= number < 1:
            self.fail(f"expected a share of white, at least 0 and below 1, like 0.5; got {value!r}")
        return number


def image_options(of: str, trained: bool = True) -> Callable[[Command], Command]:
    """--data, --threshold, --already-binary, --invert, --split and --shape, passed on as one argument
    ``images``, an ``ImageChoice``. of: which images, for the help of --data. trained: whether the
    command has a network, whose own images give the defaults."""
    usual = "the network's, else " if trained else ""

    def decorate(command: Command) -> Command:
        @click.option(
            "--data",
            default="mnist",
            show_default=True,
            metavar="NAME|PATH",
            cls=MemberOption,
            registers="image set",
            help=f"{of}: mnist, fashion-mnist, kmnist, emnist-digits, or glyphs (drawn from fonts, "
            "offline); or your own, a folder of pictures or an IDX, NPY or NPZ file.",
        )
        @click.option(
            "--threshold",
            type=Threshold(),
            help=f"Lighter pixels are 1, as a share of white.  [{usual}0.1]",
        )
        @click.option("--already-binary", is_flag=True, help="Images of nothing but two values.")
        @click.option("--invert", is_flag=True, help="Dark pixels are 1: ink on paper.")
        @click.option(
            "--split",
            type=Shares(),
            metavar="SHARES",
            help=f"Of one file or folder: train,test or train,validation,test.  [{usual}80,20]",
        )
        @click.option(
            "--shape",
            type=Shape(),
            metavar="ROWSxCOLUMNS",
            help="Of images that a file holds as rows of pixels."
            + ("  [the network's]" if trained else ""),
        )
        @functools.wraps(command)
        def wrapped(
            *args: Given,
            data: str,
            threshold: float | None,
            already_binary: bool,
            invert: bool,
            split: tuple[float, ...] | None,
            shape: tuple[int, int] | None,
            **kwargs: Given,
        ) -> None:
            from autoregressive.images.choice import ImageChoice

            if already_binary and threshold is not None:
                raise click.UsageError(
                    "--threshold makes grey images binary: give it or --already-binary, not both"
                )
            images = ImageChoice(data, threshold, already_binary, invert, split, shape)
            command(*args, images=images, **kwargs)

        return wrapped

    return decorate


def images_for(networks: Iterable[PixelNetwork], choice: ImageChoice, split: str) -> ImageSet:
    """A split of the chosen images, made binary and split as those of the last network, unless options
    say otherwise. Errors: UsageError where --data is needed; ValueError where a network was trained on
    images of another kind."""
    from autoregressive.images.datasets import DATASETS
    from autoregressive.pixels.trained_on import USUAL_SHAPE, refuse_others, training_images

    every = list(networks)
    known = training_images(every[-1])
    said = click.get_current_context().get_parameter_source("data")
    if (
        said == click.core.ParameterSource.DEFAULT
        and known.shape != USUAL_SHAPE
        and known.name not in DATASETS
    ):
        raise click.UsageError(
            f"this network knows images of {known.shape[0]} x {known.shape[1]} pixels ({known.name}): "
            "say where they are, with --data PATH"
        )
    (images,) = choice.like(known.shape, known.binarisation, known.parts).load(split)
    for network in every:
        refuse_others(network, images)
    return images
