"""Images as sequences: likelihood, evaluation, training and continuation."""

import dataclasses
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autoregressive.cells import CELLS
from autoregressive.checkpoint import CheckpointError
from autoregressive.images.image_set import ImageSet, pack
from autoregressive.optimization import Optimization
from autoregressive.pixels.continuation import continue_images
from autoregressive.pixels.network import PixelNetwork, evaluate, pixel_model
from autoregressive.pixels.training import (
    PIXEL_RECIPES,
    make_pixel_recipe,
    make_pixel_trainer,
    train_pixels,
)

SHAPE = (3, 4)
PLACES = 12


def images(n, seed=0, split="train"):
    """n random images of 12 pixels, a stripe in each, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    pixels = rng.random((n, *SHAPE)) < 0.02
    pixels[np.arange(n), rng.integers(0, 3, n)] = True
    return ImageSet("stripes", split, pack(pixels), SHAPE)


def network(cell="lstm", readout=(5,), seed=0):
    model = pixel_model(cell, 6, readout)
    settings = {"places": PLACES, "cell": cell, "hidden": 6, "readout": list(readout)}
    return PixelNetwork(model, model.init(jax.random.key(seed)), PLACES, 0.25, settings)


@pytest.mark.parametrize("cell", CELLS)
def test_nats_are_those_of_the_step_loop(cell):
    net, pixels = network(cell), images(5).images()
    state, x = net.model.initial_state((5,)), pixels[:, :1]
    for t in range(1, PLACES):
        state, z = net.model.step(net.params, state, x.astype(np.float32))
        x = pixels[:, t : t + 1]
        p = 1 / (1 + np.exp(-np.asarray(z, np.float64)))
        expected = -np.log(np.where(x == 1, p, 1 - p))[:, 0]
        np.testing.assert_allclose(net.nats(pixels)[:, t - 1], expected, rtol=2e-5)


def test_log_predictive_sums_to_one_over_every_image():
    net = network()
    every = (np.arange(2**PLACES)[:, None] >> np.arange(PLACES)) & 1
    log_p = np.take_along_axis(net.log_predictive(every), every[..., None], -1)[..., 0]
    assert np.exp(log_p.sum(1)).sum() == pytest.approx(1, abs=1e-5)


def test_log_predictive_is_causal():
    net, pixels = network(), images(4).images()
    before = net.log_predictive(pixels)
    for t in range(PLACES):
        changed = pixels.copy()
        changed[:, t] ^= 1
        np.testing.assert_array_equal(net.log_predictive(changed)[:, : t + 1], before[:, : t + 1])


def test_evaluation_agrees_with_nats():
    net, data = network(), images(700)
    pixels, scored = data.images(), evaluate(net, data)
    nats = net.nats(pixels)
    assert scored.cross_entropy == pytest.approx(nats.mean(), rel=1e-6)
    spread = nats.mean(1).std(ddof=1) / 700**0.5
    assert scored.standard_error == pytest.approx(spread, rel=1e-6)
    np.testing.assert_allclose(scored.by_place, nats.mean(0), rtol=1e-6)
    assert scored.accuracy == ((net.logits(pixels) > 0) == pixels[:, 1:]).mean()
    assert scored.calibration.count.sum() == nats.size


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 11)), "12 pixels"),
        (np.zeros(12), "12 pixels"),
        (np.full((1, 12), 2), "0 or 1"),
        (np.full((1, 12), np.nan), "0 or 1"),
    ],
)
def test_other_images_are_refused(pixels, message):
    with pytest.raises(ValueError, match=message):
        network().nats(pixels)


def test_a_network_round_trips_and_other_kinds_are_refused(tmp_path):
    net, pixels = network(readout=(5, 4)), images(3).images()
    net.save(tmp_path / "net.safetensors")
    again = PixelNetwork.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again.logits(pixels), net.logits(pixels))
    wrong = dataclasses.replace(net, settings=net.settings | {"readout": [5]})
    wrong.save(tmp_path / "wrong.safetensors")
    with pytest.raises(CheckpointError, match="another architecture"):
        PixelNetwork.load(tmp_path / "wrong.safetensors")


def test_an_epoch_sees_every_image_once_and_a_short_last_batch_counts_by_its_images():
    recipe = make_pixel_recipe("coursework", batch_size=8)
    trainer = make_pixel_trainer(pixel_model("lstm", 4, (4,)), recipe, 19, PLACES)
    ids = np.arange(19, dtype=np.uint8)[:, None]
    for epoch in (0, 1):
        start = 3 * epoch
        picked, weight = trainer.draw(ids, jax.random.key(0), jnp.int32(start), 3)
        seen = np.asarray(picked)[..., 0][np.asarray(weight) > 0]
        assert sorted(seen.tolist()) == list(range(19))
        # Weights of a mean over 8 rows: 3 of them hold the last images.
        np.testing.assert_allclose(weight, [[1] * 8, [1] * 8, [8 / 3] * 3 + [0] * 5], rtol=1e-6)
        first, _ = trainer.draw(ids, jax.random.key(0), jnp.int32(start), 1)
        later, _ = trainer.draw(ids, jax.random.key(0), jnp.int32(start + 2), 2)
        np.testing.assert_array_equal(first[0], picked[0])
        np.testing.assert_array_equal(later[0], picked[2])


def test_two_devices_share_an_epoch_with_a_short_last_batch(monkeypatch):
    recipe = make_pixel_recipe("coursework", epochs=1, batch_size=8)
    train, test = images(19), images(8, split="test")
    shared = train_pixels(train, test, recipe, **SMALL)
    monkeypatch.setattr("autoregressive.training.find_pair", lambda: None)
    alone = train_pixels(train, test, recipe, **SMALL)
    for name, value in alone.params.items():
        np.testing.assert_allclose(shared.params[name], value, rtol=1e-5, atol=1e-6)


RECIPE = dataclasses.replace(
    make_pixel_recipe("coursework", epochs=4, batch_size=16),
    optimization=Optimization(0.05, optimizer="soap", schedule="cosine", warmup=0.1, clip=1.0),
)
SMALL = {"hidden": 8, "readout": (8,)}


class Stop(Exception):
    pass


def test_training_learns_and_goes_on_to_the_same_bits(tmp_path):
    train, test = images(200), images(50, seed=1, split="test")
    seen = []
    whole = train_pixels(train, test, RECIPE, **SMALL, on_epoch=seen.append)
    assert [e.epoch for e in seen] == [0, 1, 2, 3, 4]
    assert seen[-1].test.cross_entropy < seen[0].test.cross_entropy - 0.1
    assert whole.first_pixel == (train.images()[:, 0].sum() + 0.5) / 201

    def stop(epoch):
        if epoch.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train_pixels(train, test, RECIPE, **SMALL, folder=tmp_path, on_epoch=stop)
    assert len(list((tmp_path / "unfinished").iterdir())) == 1
    resumed = train_pixels(train, test, RECIPE, **SMALL, folder=tmp_path)
    for name, value in whole.params.items():
        np.testing.assert_array_equal(resumed.params[name], value)
    np.testing.assert_array_equal(resumed.history["test_loss"], whole.history["test_loss"])
    assert list((tmp_path / "unfinished").iterdir()) == []


@pytest.mark.parametrize("name", PIXEL_RECIPES)
def test_five_epochs_of_mnist_have_twenty_points_and_more(name):
    recipe = make_pixel_recipe(name)
    assert recipe.epochs == 5
    assert recipe.steps(55_000) == -(-55_000 // recipe.batch_size)


@pytest.mark.parametrize("first", [1, 5, PLACES - 1])
def test_a_continuation_costs_what_the_completed_image_costs(first):
    net, pixels = network(), images(6).images()
    run = continue_images(net, pixels, jax.random.key(0), first=first, samples=3)
    np.testing.assert_allclose(run.truth, net.nats(pixels)[:, first - 1 :], rtol=1e-6)
    for sample in range(3):
        completed = np.concatenate([pixels[:, :first], run.samples[:, sample]], axis=1)
        expected = net.nats(completed)[:, first - 1 :]
        np.testing.assert_allclose(run.own[:, sample], expected, rtol=2e-5)
        # The true pixel at the same probability: the sampled one's cost, or that of the other value.
        as_true = completed[:, first:] == pixels[:, first:]
        crossed = np.where(as_true, expected, -np.log(-np.expm1(-expected)))
        np.testing.assert_allclose(run.crossed[:, sample], crossed, rtol=2e-4)
    np.testing.assert_allclose(run.crossed[..., 0], run.truth[:, None, 0].repeat(3, 1), rtol=2e-5)


def test_costs_and_their_standard_errors_are_their_definitions():
    run = continue_images(network(), images(5).images(), jax.random.key(1), first=4, samples=3)
    for horizon in (1, 3, 8):
        costs, spread = run.costs(horizon), run.sample_spread(horizon)
        for kind, nats in (("own", run.own), ("crossed", run.crossed)):
            each = [[sum(s[:horizon]) / horizon for s in image.tolist()] for image in nats]
            means = [statistics.mean(image) for image in each]
            mean, error = costs[kind]
            assert mean == pytest.approx(statistics.mean(means), rel=1e-12)
            assert error == pytest.approx(statistics.stdev(means) / 5**0.5, rel=1e-9)
            within = sum(statistics.variance(image) / 3 for image in each)
            assert spread[kind] == pytest.approx(within**0.5 / 5, rel=1e-6, abs=1e-12)
        mean, error = costs["truth"]
        own = [sum(image[:horizon]) / horizon for image in run.truth.tolist()]
        assert mean == pytest.approx(statistics.mean(own), rel=1e-12)
        assert error == pytest.approx(statistics.stdev(own) / 5**0.5, rel=1e-9)


def test_sampled_pixels_come_as_often_as_predicted():
    net, pixels = network(), images(1).images()
    run = continue_images(net, pixels, jax.random.key(3), first=PLACES - 1, samples=20_000)
    p = np.exp(-net.nats(np.where(np.arange(PLACES) == PLACES - 1, 1, pixels))[0, -1])
    deviation = abs(run.samples.mean() - p) / (p * (1 - p) / 20_000) ** 0.5
    assert deviation < 5  # a false alarm once in 1.7 million


def test_a_continuation_needs_a_place_to_begin_and_samples():
    with pytest.raises(ValueError, match=r"1\.\.11"):
        continue_images(network(), images(2).images(), jax.random.key(0), first=0)
    with pytest.raises(ValueError, match="2 or more"):
        continue_images(network(), images(2).images(), jax.random.key(0), first=3, samples=1)
