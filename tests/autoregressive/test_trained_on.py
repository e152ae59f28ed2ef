"""What a checkpoint remembers of its images, and which others are refused."""

import dataclasses

import numpy as np
import pytest
from inpainted import network

from autoregressive.images.binarisation import DEFAULT, Binarisation
from autoregressive.images.image_set import ImageSet, pack
from autoregressive.pixels.network import PixelNetwork
from autoregressive.pixels.packaged import packaged_pixels
from autoregressive.pixels.trained_on import data_settings, refuse_others, training_images
from autoregressive.pixels.training import make_pixel_recipe, train_pixels

NET = network()  # of 12 pixels
HEADER = {"cell": "lstm", "hidden": 6, "readout": [5], "places": 12}


def images(shape=(3, 4), how=DEFAULT, parts=None):
    return ImageSet("mine", "test", pack(np.zeros((2, *shape), bool)), shape, how, parts)


def remembering(data):
    return dataclasses.replace(NET, settings={**HEADER, "data": data})


SETS = [
    images(),
    images((2, 6), Binarisation(0.5)),
    images((12, 1), Binarisation(None, inverted=True), (80.0, 0.0, 20.0)),
]


@pytest.mark.parametrize("known", SETS, ids=lambda s: f"{s.shape} {s.binarisation}")
def test_what_is_remembered_comes_back_from_a_file(tmp_path, known):
    remembering(data_settings(known)).save(tmp_path / "network")
    found = training_images(PixelNetwork.load(tmp_path / "network"))
    assert (found.name, found.shape, found.binarisation, found.parts) == (
        *("mine", known.shape, known.binarisation),
        known.parts,
    )
    refuse_others(remembering(data_settings(known)), known)


def test_usual_images_leave_no_more_in_a_header_than_they_did():
    usual = ImageSet("mnist", "train", pack(np.zeros((2, 28, 28), bool)))
    assert set(data_settings(usual)) == {"name", "images", "digest"}
    for name in ("lstm-32", "gru-32"):
        known = training_images(packaged_pixels(name))
        assert (known.name, known.shape, known.binarisation) == ("mnist", (28, 28), DEFAULT)


MALFORMED = [
    {"shape": value}
    for value in (None, "3x4", [3], [3, 4, 1], [5, 5], [3.0, 4.0], [-3, -4], [True, 12])
] + [
    *({"threshold": value} for value in ("0.5", True, 1, -0.1, [0.5])),
    *({"split": value} for value in (80, [80, 20], ["a", 0, 1], [0, 0, 0], [80, -10, 30])),
    *({"inverted": value} for value in ("yes", 1, None)),
]


@pytest.mark.parametrize("data", MALFORMED, ids=str)
def test_a_malformed_header_says_nothing(data):
    found = training_images(remembering({"name": "mine", **data}))
    assert found.shape == (1, 12) and found.binarisation == DEFAULT and found.parts is None


@pytest.mark.parametrize(
    "other, message",
    [
        (
            images((4, 3)),
            r"knows images of 3 x 4, 12 pixels \(mine\); mine has 4 x 3, 12 pixels: give",
        ),
        (
            images(how=Binarisation(0.5)),
            "binarised at 0.1 .* mine is binarised at 0.5: give --thresh",
        ),
        (images(how=Binarisation(0.1, inverted=True)), "inverted: .* without --invert"),
    ],
)
def test_other_images_are_refused(other, message):
    with pytest.raises(ValueError, match=message):
        refuse_others(remembering(data_settings(images())), other)


def test_binary_images_go_with_every_threshold():
    for one, other in ((0.3, None), (None, 0.7), (None, None)):
        known = remembering(data_settings(images(how=Binarisation(one))))
        refuse_others(known, images(how=Binarisation(other)))


def test_train_and_test_are_of_one_size():
    recipe = make_pixel_recipe("coursework", epochs=1)
    with pytest.raises(ValueError, match="train images have 3 x 4 pixels, test images 4 x 3"):
        train_pixels(images(), images((4, 3)), recipe, hidden=2)
