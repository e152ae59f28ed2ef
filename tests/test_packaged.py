"""The packaged networks score what their manifests say."""

import json
import os
from importlib.resources import files

import pytest

from autoregressive.checkpoint import CheckpointError
from autoregressive.datasets import load
from autoregressive.packaged import packaged_names, packaged_pixels
from autoregressive.pixels import evaluate

TRAINED = ("lstm-32", "gru-32")


@pytest.mark.parametrize("name", packaged_names())
def test_every_packaged_network_loads(name):
    network = packaged_pixels(name)
    assert network.places == 784
    assert 0 < network.first_pixel < 0.001


@pytest.mark.skipif("META_LEARN_DATA" not in os.environ, reason="needs MNIST: set META_LEARN_DATA")
@pytest.mark.parametrize("name", TRAINED)
def test_a_packaged_network_scores_what_its_manifest_says(name):
    manifest = json.loads((files("autoregressive") / "weights" / f"{name}.json").read_text())
    stated = manifest["epochs"]["5"]["test"]["cross_entropy"]["mean"]
    assert evaluate(packaged_pixels(name), load("mnist", "test")).cross_entropy == pytest.approx(
        stated, abs=1e-6
    )


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(CheckpointError, match="lstm-32"):
        packaged_pixels("lstm-64")
