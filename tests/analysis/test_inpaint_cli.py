"""``meta-learn inpaint``: scores against sums over the joint table, the command, and its refusals."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from inpainted import masked, naive_log_prob, network
from running import assert_refused, refused, run

from analysis.images.inpainting import PREDICTORS, inpaint
from analysis.images.inpainting_results import choose, document, estimate
from autoregressive.images.datasets import DATASETS
from autoregressive.images.masked import MaskedImages
from autoregressive.pixels.inpainting import posteriors
from autoregressive.pixels.packaged import packaged_pixels


def mixed(net, n=40):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (n, net.places)).astype(np.uint8)
    keep = rng.random(truth.shape) > 0.12
    keep[0] = True
    return MaskedImages(np.where(keep, truth.astype(np.int8), np.int8(-1)), truth)


def test_scores_are_those_of_the_joint_table():
    net = network()
    images = mixed(net)
    result = inpaint(net, images)
    found = document(result, estimate(result))
    tables = posteriors(net, images.masked)
    truths = [images.truth[i, p.missing] for i, p in enumerate(tables)]
    log_p = [p.log_probs[p.index(t)] for p, t in zip(tables, truths, strict=True)]
    assert found["log_posterior_truth"] == pytest.approx(np.mean(log_p), abs=1e-9)
    # p(x_M | observed) is the joint probability over its sum: the definition, by naive scoring.
    whole = naive_log_prob(net, images.truth)
    assert found["nll_truth"] == pytest.approx(
        -np.mean(whole - np.where(images.masked[:, 0] < 0, 0, first_term(net, images))), abs=1e-9
    )
    best = np.concatenate([p.best for p in tables])
    came = np.concatenate(truths)
    marginals = np.concatenate([p.marginals for p in tables])
    assert found["pixel_accuracy"] == pytest.approx((best == came).mean())
    assert found["brier"] == pytest.approx(((marginals - came) ** 2).mean(), abs=1e-9)
    rows = zip(tables, truths, strict=True)
    assert found["exact_match"] == pytest.approx(np.mean([(p.best == t).all() for p, t in rows]))
    rows_before = net.log_predictive(images.truth)
    past = np.take_along_axis(rows_before, images.truth[..., None].astype(int), -1)[..., 0]
    past = np.where(images.masked < 0, past, 0)
    assert found["past_only_log_prob"] == pytest.approx(past.sum(1).mean(), abs=1e-5)
    assert found["future_worth"] == pytest.approx(
        found["log_posterior_truth"] - found["past_only_log_prob"], abs=1e-9
    )
    assert found["nll_best"] <= found["nll_truth"]
    assert sum(row["pixels"] for row in found["calibration"]) == len(came)
    losses = found["predictors"]
    total = losses["past_and_future"]["loss"]["mean"] * len(came)
    assert total == pytest.approx(-np.sum(log_p), abs=1e-7)
    assert losses["past_and_future"]["gap"]["mean"] == 0
    assert all(losses[name]["gap"]["mean"] > 0 for name in PREDICTORS[1:])
    assert found["per_image"][0]["probabilities"] == [1.0]
    json.dumps(found, allow_nan=False)


def first_term(net, images):
    return np.log(np.where(images.truth[:, 0] == 1, net.first_pixel, 1 - net.first_pixel))


def test_conditionals_follow_the_chain_rule():
    net = network()
    (posterior,) = posteriors(net, masked(np.ones((1, 12), int), [0, 3, 4, 9]))
    table = np.exp(posterior.log_probs).reshape(2, 2, 2, 2)
    rows = np.exp(posterior.conditionals(np.array([1, 0, 1, 1])))
    np.testing.assert_allclose(rows[0], table.sum((1, 2, 3)))
    np.testing.assert_allclose(rows[1], table[1].sum((1, 2)) / table[1].sum())
    np.testing.assert_allclose(rows[2], table[1, 0].sum(1) / table[1, 0].sum())
    np.testing.assert_allclose(rows[3], table[1, 0, 1] / table[1, 0, 1].sum())
    np.testing.assert_allclose(posterior.marginals[2], table[:, :, 1].sum())
    assert posterior.entropy == pytest.approx(-(table * np.log(table)).sum())


def test_without_truth_its_fields_are_null():
    net = network()
    images = mixed(net)
    result = inpaint(net, MaskedImages(images.masked))
    found = document(result, estimate(result))
    known = inpaint(net, images)
    assert found["log_posterior_truth"] is found["brier"] is found["calibration"] is None
    assert found["predictors"] is found["past_only_log_prob"] is found["nll_truth"] is None
    assert found["nll_best"] == document(known, estimate(known))["nll_best"]
    assert found["per_image"][3]["truth"] is None
    assert len(set(choose(result).values())) == len(choose(result)) == 3
    assert len(set(choose(known).values())) == 6


def test_one_image_alone_has_no_interval():
    net = network()
    images = mixed(net)
    result = inpaint(net, MaskedImages(images.masked[1:2], images.truth[1:2]))
    found = document(result, estimate(result))
    assert found["ci95"]["log_posterior_truth"] == [None, None]
    assert found["log_posterior_truth"] is not None


PLACES = {
    "one pixel": [405],
    "2 x 2": [406, 407, 434, 435],
    "scattered": [30, 180, 350, 500, 650],
    "first": [0],
    "first and scattered": [0, 290, 783],
    "last": [783],
}


@pytest.mark.parametrize("weights", ["lstm-32", "gru-32"])
@pytest.mark.parametrize("name", PLACES)
def test_trained_weights_agree_with_naive_float64(weights, name):
    net = packaged_pixels(weights)
    rng = np.random.default_rng(1)
    # Strokes and noise: trained networks amplify rounding most where images surprise them.
    image = (rng.random((1, 784)) < np.where(np.arange(784) % 28 % 9 < 3, 0.7, 0.05)).astype(int)
    (posterior,) = posteriors(net, masked(image, PLACES[name]))
    every = np.repeat(image, len(posterior.completions), axis=0)
    every[:, PLACES[name]] = posterior.completions
    log_p = naive_log_prob(net, every)
    expected = log_p - np.logaddexp.reduce(log_p)
    np.testing.assert_allclose(posterior.log_probs, expected, rtol=0, atol=1e-7)


def test_sixteen_missing_pixels_of_a_trained_network():
    net = packaged_pixels()
    places = [r * 28 + c for r in range(24, 28) for c in range(12, 16)]
    image = (np.random.default_rng(3).random((1, 784)) < 0.2).astype(int)
    (posterior,) = posteriors(net, masked(image, places))
    assert len(posterior.log_probs) == 2**16
    assert np.logaddexp.reduce(posterior.log_probs) == pytest.approx(0, abs=1e-9)
    some = np.random.default_rng(4).integers(0, 2**16, 60)
    every = np.repeat(image, 60, axis=0)
    every[:, places] = posterior.completions[some]
    start = np.log(net.first_pixel if image[0, 0] else 1 - net.first_pixel)
    expected = start - naive_log_prob(net, every)
    np.testing.assert_allclose(posterior.nll[some], expected, rtol=0, atol=1e-7)
    differences = posterior.nll[some] + posterior.log_probs[some]
    np.testing.assert_allclose(differences, differences[0], atol=1e-9)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "images.npy"
    rng = np.random.default_rng(5)
    truth = (rng.random((12, 784)) < 0.2).astype(np.float32)
    np.save(path, np.stack([masked(truth, [700, 701, 728, 729]), truth]))
    return path


def test_the_command_writes_its_report(file, tmp_path):
    result = run("inpaint", file, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert {
        "report.html",
        "inpainting.json",
        "manifest.json",
        "posteriors.png",
        "posteriors.svg",
        "future-worth.png",
        "calibration.png",
    } <= {p.name for p in tmp_path.iterdir()}
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80
    found = json.loads((tmp_path / "inpainting.json").read_text())
    assert found["kind"] == "a 2 x 2 patch"
    assert found["missing"] == [4, 4]
    row = found["per_image"][7]
    assert row["missing"] == [700, 701, 728, 729]
    assert len(row["probabilities"]) == 16
    assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-9)


def test_the_command_prints_json_alone(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("inpaint", file, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["images"] == 12
    assert list(tmp_path.iterdir()) == [tmp_path / "cache"] or not list(tmp_path.glob("meta*"))


def test_masks_are_laid_over_glyphs(tmp_path):
    result = run("inpaint", "--mask", "row:3", "--data", "glyphs", "--images", 5, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["images"], found["missing"], found["kind"]) == (5, [3, 3], "a 1 x 3 patch")


@pytest.mark.parametrize(
    ("mask", "message"),
    [("blob", "unknown mask"), ("square", "the side of the square"), ("none.npy", "no file")],
)
def test_a_wrong_mask_is_refused_before_images_are_fetched(monkeypatch, mask, message):
    def fetch(split, how):
        raise AssertionError("images were fetched")

    monkeypatch.setitem(DATASETS, "mnist", fetch)
    assert_refused(run("inpaint", "--mask", mask), 2, says=message)


def test_bad_input_is_one_line(file, tmp_path):
    assert "give a FILE" in refused("inpaint")
    assert "give a FILE" in refused("inpaint", file, "--mask", "row:3")
    assert "choose images for --mask" in refused("inpaint", file, "--data", "glyphs")
    assert "unknown mask" in refused("inpaint", "--mask", "blob:3", "--data", "glyphs")
    assert "test images" in refused(
        "inpaint", "--mask", "row:3", "--data", "glyphs", "--images", 10**6
    )
    assert "no file" in refused("inpaint", tmp_path / "none.npy")
    small = tmp_path / "small.npy"
    np.save(small, np.full((2, 100), -1))
    assert "(n, 784)" in refused("inpaint", small)
    assert "(n, 784)" in refused("inpaint", small, "--estimate", "--out", tmp_path / "report")
    assert not (tmp_path / "report").exists()


DATA = os.environ.get("META_LEARN_DATA")


@pytest.mark.skipif(
    not DATA or not (Path(DATA) / "inpainting").is_dir(),
    reason="needs the coursework's files in META_LEARN_DATA/inpainting",
)
@pytest.mark.parametrize("kind", ["one pixel", "a 2 x 2 patch"])
def test_the_coursework_files(kind):
    paths = {"one pixel": "one_pixel", "a 2 x 2 patch": "2X2_pixels"}
    result = run("inpaint", Path(DATA) / "inpainting" / f"{paths[kind]}_inpainting.npy", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["kind"] == kind
    assert found["images"] == 1000
    assert found["exact_match"] > 0.8
    assert found["future_worth"] > 0
