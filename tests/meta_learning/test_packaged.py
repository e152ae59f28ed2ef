"""The packaged networks score what their manifests say."""

import json
import os
from importlib.resources import files

import jax
import numpy as np
import pytest

from autoregressive.checkpoint import CheckpointError
from autoregressive.images.datasets import load
from autoregressive.pixels.network import evaluate
from autoregressive.pixels.packaged import packaged_names, packaged_pixels
from autoregressive.scores import kl
from meta_learning.experiments import EXPERIMENTS
from meta_learning.packaged import packaged_learner
from meta_learning.processes.places import stream_length
from meta_learning.recipes import RECIPES

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


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_packaged_learners_are_what_their_manifests_say(name, recipe):
    learner = packaged_learner(name, recipe)
    process = EXPERIMENTS[name]
    stem = name if recipe == "default" else f"{name}-{recipe}"
    manifest = json.loads((files("meta_learning") / "weights" / f"{recipe}.json").read_text())
    stated = manifest["networks"][stem]
    settings = {k: v for k, v in learner.settings.items() if k != "versions"}
    assert settings == stated["settings"]
    assert settings["recipe"] == RECIPES[recipe].settings()
    assert settings["process"] == {"name": process.name, **process.settings()}
    assert len(learner.history["symbols"]) >= 20
    symbols = np.asarray(process.sample(jax.random.key(7), 200, stream_length(process.T)))
    drawn = symbols[0] != learner.num_symbols
    gap = kl(process.log_predictive(symbols), learner.log_predictive(symbols))[:, drawn].mean()
    assert gap == pytest.approx(stated["own_streams"]["gap"], rel=0.2)


def test_an_unknown_learner_is_refused_with_the_known_ones():
    with pytest.raises(CheckpointError, match="M1, M2, M3, M4 with coursework or default"):
        packaged_learner("M5")
