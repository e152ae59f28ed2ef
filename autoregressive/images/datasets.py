"""The sets of images that commands can name."""

from __future__ import annotations

import inspect
from typing import Protocol

from autoregressive.errors import DataError, OptionError, counted, show
from autoregressive.images.binarisation import DEFAULT, Binarisation
from autoregressive.images.emnist import load_emnist_digits
from autoregressive.images.fashion_mnist import load_fashion_mnist
from autoregressive.images.glyphs import load_glyphs
from autoregressive.images.image_set import ImageSet, check_split
from autoregressive.images.kmnist import load_kmnist
from autoregressive.images.mnist import load_mnist

# As many images as a standard error needs.
_FEWEST = 2


class LoadSet(Protocol):
    """A registered set: from the name of a split to its images, binarised as asked."""

    def __call__(self, split: str, *, how: Binarisation = ...) -> ImageSet: ...


def load(data: str = "mnist", split: str = "train", how: Binarisation = DEFAULT) -> ImageSet:
    """The images of a registered set: split 'train', 'validation' or 'test'. how: what becomes 1.

    Errors: OptionError for an unknown set; DataError for an unknown split, where the set cannot be had,
    and where its function returns something else than at least two images of that split.
    """
    check_data(data)
    check_split(split)
    function = DATASETS[data]
    try:
        inspect.signature(function).bind(split, how=how)
    except TypeError as error:
        raise DataError(
            f"the image set {data!r} cannot be asked for a split ({error}); expected a function of "
            "(split, *, how)"
        ) from None
    except ValueError:  # a callable without a signature
        pass
    return _checked(data, split, function(split, how=how))


def check_data(data: str) -> None:
    """Errors: OptionError for an unknown set."""
    if data not in DATASETS:
        raise OptionError(f"unknown data {data!r}: expected one of {', '.join(sorted(DATASETS))}")


def _checked(data: str, split: str, made: object) -> ImageSet:
    """What a set's function returned. Errors: DataError unless it is images of the split."""
    if not isinstance(made, ImageSet):
        came = "None" if made is None else f"a {type(made).__name__}"
    elif made.split != split:
        came = f"images of the split {show(made.split)} when asked for {split!r}"
    elif len(made) < _FEWEST:
        came = f"{counted(len(made), 'image')} for the split {split!r}"
    else:
        return made
    raise DataError(
        f"the image set {data!r} returned {came}; expected an ImageSet of {_FEWEST} images or more of "
        "the split that it is asked for"
    )


DATASETS: dict[str, LoadSet] = {
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
    "kmnist": load_kmnist,
    "emnist-digits": load_emnist_digits,
    "glyphs": load_glyphs,
}
