"""A folder of twenty pictures of one's own, 5 x 8 pixels, dark on light: trained on, scored, continued
and in-painted; the checkpoint remembers how they were made binary."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from running import assert_refused, refused, run

from analysis.cli import main
from analysis.images.inpainting_figures import _window
from analysis.images.runs import first_missing, horizons, kept_epochs
from autoregressive.pixels.continuation import HORIZONS
from autoregressive.pixels.network import PixelNetwork
from autoregressive.pixels.trained_on import training_images
from autoregressive.pixels.training import curve_points

SMALL = ("--epochs", "3", "--batch-size", "8", "--hidden", "3", "--readout", "3", "--quiet")
HOW = ("--threshold", "0.5", "--invert", "--split", "70,30")


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "drawings"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for n in range(20):
        paper = rng.integers(200, 256, (5, 8), np.uint8)
        top, left = rng.integers(0, 3), rng.integers(0, 5)
        paper[top : top + 3, left : left + 3] = rng.integers(0, 60)
        Image.fromarray(paper).save(folder / f"{n:02}.png")
    return folder


@pytest.fixture(scope="module")
def trained(drawings):
    """The folder of a training, and its document."""
    out = drawings.parent / "trained"
    result = CliRunner().invoke(
        main,
        ["pixels", "train", "--data", str(drawings), *HOW, *SMALL, "--out", str(out), "--json"],
        env={"META_LEARN_CACHE": str(drawings.parent / "cache")},
    )
    assert result.exit_code == 0, result.stderr
    return out, json.loads(result.stdout)


def read(*arguments):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout), result.stderr


def test_the_checkpoint_remembers_the_images(trained):
    out, document = trained
    data = document["settings"]["data"]
    assert data["name"] == "drawings" and data["images"] == 14
    assert (data["shape"], data["threshold"], data["inverted"]) == ([5, 8], 0.5, True)
    assert data["split"] == [70, 0, 30]
    known = training_images(PixelNetwork.load(out / "network.safetensors"))
    assert known.shape == (5, 8) and known.parts == (70, 0, 30)
    assert (known.binarisation.threshold, known.binarisation.inverted) == (0.5, True)
    # Two steps an epoch, the second one smaller.
    assert document["curves"]["images"] == [0, 8, 14, 22, 28, 36, 42]
    assert {p.name for p in out.iterdir()} >= {"curves.png", "report.html", "epoch-3.safetensors"}
    assert "report's figures" not in (out / "report.html").read_text()


def test_evaluation_binarises_and_splits_as_training_did(trained, drawings, tmp_path):
    out, document = trained
    command = ("pixels", "evaluate", out / "network.safetensors", "--data", drawings)
    found, said = read(*command, "--out", tmp_path)
    assert found["cross_entropy"] == document["epochs"]["3"]["test"]["cross_entropy"]
    assert (found["data"], found["shape"], found["images"]) == ("drawings", [5, 8], 6)
    assert re.search(
        r"drawings: 14 train and 6 test images of 5 x 8 pixels, 22\.5% of them 1 "
        r"\(binarised at 0\.5, inverted\)",
        said,
    )
    assert read(*command, "--quiet") == (found, "")
    page = (tmp_path / "report.html").read_text()
    assert "Pixels are binarised at 0.5, inverted" in page
    assert {"loss-map.png", "calibration.png"} <= {p.name for p in tmp_path.iterdir()}


def test_continuations_fit_the_images(trained, drawings, tmp_path):
    out, _ = trained
    command = ("pixels", "continue", out / "epoch-0.safetensors", out / "network.safetensors")
    found, _ = read(*command, "--data", drawings, "--samples", 5, "--out", tmp_path)
    assert found["first_missing"] == 40 - 15
    assert set(found["networks"]["network"]) == {"1", "8", "10", "15"}
    assert found["images"] == 6 and found["shape"] == [5, 8]
    assert "by 1 to 15 pixels" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "continuations.png").exists()


def test_masks_are_laid_over_ones_own_images(trained, drawings, tmp_path):
    out, _ = trained
    command = ("inpaint", "--checkpoint", out / "network.safetensors")
    found, _ = read(*command, "--mask", "square:3", "--data", drawings, "--out", tmp_path)
    assert (found["images"], found["kind"]) == (6, "a 3 x 3 patch")
    assert {"posteriors.png", "future-worth.png"} <= {p.name for p in tmp_path.iterdir()}


def test_a_file_of_masked_images_has_the_networks_shape(trained, tmp_path):
    out, _ = trained
    masked = np.zeros((4, 40), np.int8)
    masked[:, [9, 10, 17, 18]] = -1
    np.save(tmp_path / "masked.npy", masked)
    command = ("inpaint", tmp_path / "masked.npy", "--checkpoint", out / "network.safetensors")
    found, _ = read(*command)
    assert found["kind"] == "a 2 x 2 patch"


def test_other_images_are_refused(trained, drawings, tmp_path):
    network = trained[0] / "network.safetensors"
    score = ("pixels", "evaluate", network, "--out", tmp_path / "report", "--data")
    said = refused(*score, "glyphs")
    assert "knows images of 5 x 8, 40 pixels (drawings); glyphs has 28 x 28, 784 pixels" in said
    assert "give --data images of its size, or train a network on these" in said
    said = refused(*score, drawings, "--threshold", "0.2")
    assert (
        "knows images binarised at 0.5, inverted (drawings); drawings is binarised at 0.2" in said
    )
    assert "give --threshold 0.5, with --invert" in said
    np.save(tmp_path / "wide.npy", np.zeros((9, 8, 5), bool))
    for command in (score, ("pixels", "continue", network, "--data")):
        assert "wide.npy has 8 x 5, 40 pixels" in refused(*command, tmp_path / "wide.npy")
    for command in (score[:-1], ("inpaint", "--mask", "row:2", "--checkpoint", network)):
        assert "5 x 8 pixels (drawings): say where they are, with --data PATH" in refused(*command)
    assert "drawings has 5 x 8" in refused("inpaint", "--mask", "row:2", "--data", drawings)
    assert "knows images binarised at 0.1 (mnist); glyphs is binarised at 0.3" in refused(
        "pixels", "evaluate", "--data", "glyphs", "--threshold", "0.3"
    )
    assert not (tmp_path / "report").exists()


def test_rows_of_pixels_have_the_networks_shape(trained, tmp_path):
    rows = np.zeros((9, 40))
    rows[:, ::3] = 1
    np.save(tmp_path / "rows.npy", rows)
    network = trained[0] / "network.safetensors"
    found, _ = read("pixels", "evaluate", network, "--data", tmp_path / "rows.npy")
    assert (found["shape"], found["images"]) == ([5, 8], 3)


def test_bad_input_is_one_line(trained, drawings, tmp_path):
    train = ("pixels", "train", *SMALL, "--out", tmp_path / "report", "--data")
    assert "expected a share of white" in refused(*train, drawings, "--threshold", "25")
    assert "not both" in refused(*train, drawings, "--threshold", "0.5", "--already-binary")
    assert "like 28x28" in refused(*train, drawings, "--shape", "28")
    assert "like 80,20" in refused(*train, drawings, "--split", "1,2,3,4")
    assert "unknown data" in refused(*train, tmp_path / "none")
    assert "like 80,20" in refused(*train, drawings, "--split", "99,1")
    network = trained[0] / "network.safetensors"
    assert "continuing takes 3 or more" in refused(
        "pixels", "continue", network, "--data", drawings, "--split", "90,10"
    )
    assert "has 6 test images" in refused(
        *("inpaint", "--checkpoint", network, "--mask", "row:2", "--data", drawings),
        *("--images", 7),
    )
    for option in (("--threshold", "0.5"), ("--invert",), ("--shape", "5x8"), ("--split", "1,1")):
        np.save(tmp_path / "masked.npy", np.full((1, 40), -1))
        said = refused("inpaint", tmp_path / "masked.npy", *option)
        assert said.startswith(f"Error: {option[0]} cannot be given with FILE")
    assert not (tmp_path / "report").exists()


def test_options_that_do_not_fit_a_file_are_wrong_usage(drawings, tmp_path):
    rows = tmp_path / "rows.npy"
    np.save(rows, np.eye(9, 40))
    train = ("pixels", "train", *SMALL, "--out", tmp_path / "report", "--data")
    for options, message in [
        ((tmp_path / "none",), "no such file or folder exists"),
        ((drawings, "--split", "99,1"), "like 80,20"),
        ((drawings, "--shape", "8x5"), "not 8 x 5 as --shape says"),
        ((rows,), "like --shape 5x8"),
        ((rows, "--shape", "5x5"), "like --shape 5x8"),
    ]:
        assert_refused(run(*train, *options), 2, says=message)
    assert not (tmp_path / "report").exists()


def test_horizons_of_mnist_are_the_courseworks():
    assert horizons((28, 28)) == HORIZONS
    assert first_missing(784) == 484
    for shape in ((1, 2), (2, 1), (1, 3), (3, 50), (50, 3), (9, 9)):
        places = shape[0] * shape[1]
        every = horizons(shape)
        assert every[0] == 1 and every[-1] == places - first_missing(places) < places
        assert sorted(set(every)) == list(every)


@pytest.mark.parametrize("steps", [1, 2, 3, 63, 1719])
@pytest.mark.parametrize("epochs", [1, 5, 24, 25, 100, 101, 300])
def test_curves_of_long_trainings_stay_short(steps, epochs):
    points = curve_points(steps, epochs)
    assert max(points) == steps * epochs and min(points) > 0
    assert len(points) <= 100 and all(isinstance(point, int) for point in points)
    if epochs <= 25 and steps >= 4:
        assert len(points) == 4 * epochs
    kept = kept_epochs(epochs)
    assert {0, 1, epochs} <= kept and max(kept) == epochs
    assert len(kept) <= 22 and (epochs > 20 or kept == {*range(epochs + 1)})


@pytest.mark.parametrize("shape", [(5, 5), (8, 40), (40, 8), (1, 30), (28, 28)])
def test_windows_hold_the_missing_pixels_and_lie_in_the_image(shape):
    rng = np.random.default_rng(0)
    for count in (1, 2, 5) * 20:
        missing = np.sort(rng.choice(shape[0] * shape[1], count, replace=False))
        top, left, high, wide = _window(missing, shape)
        rows, columns = np.divmod(missing, shape[1])
        assert 0 <= top <= rows.min() and rows.max() < top + high <= shape[0]
        assert 0 <= left <= columns.min() and columns.max() < left + wide <= shape[1]
