"""``meta-learn pixels`` offline, on digits drawn from fonts, and its refusals."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from running import assert_refused, refused, run

from analysis.cli import main
from analysis.images.runs import load_networks

TINY = (
    "--data",
    "glyphs",
    "--epochs",
    "1",
    "--batch-size",
    "500",
    "--hidden",
    "4",
    "--readout",
    "4",
    "--quiet",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pixels")
    environment = {"META_LEARN_CACHE": str(folder / "cache")}
    result = CliRunner().invoke(
        main, ["pixels", "train", *TINY, "--out", str(folder / "out"), "--json"], env=environment
    )
    assert result.exit_code == 0, result.stderr
    return folder / "out", json.loads(result.stdout)


def test_training_writes_networks_scores_and_a_page(trained):
    out, document = trained
    names = {path.name for path in out.iterdir()}
    assert {
        "epoch-0.safetensors",
        "epoch-1.safetensors",
        "network.safetensors",
        "training.json",
        "manifest.json",
        "report.html",
        "curves.png",
        "curves.svg",
    } <= names
    assert sorted(document["epochs"]) == ["0", "1"]
    before, after = (document["epochs"][e]["test"]["cross_entropy"]["mean"] for e in "01")
    assert after < before
    assert len(document["curves"]["test_loss"]) == 5


def test_networks_of_one_file_name_are_kept_apart(trained, tmp_path):
    out, _ = trained
    paths = [out / "network.safetensors", tmp_path / "network.safetensors"]
    paths[1].write_bytes((out / "epoch-0.safetensors").read_bytes())
    first, second = load_networks(paths)
    assert [first, second] == [str(path) for path in paths]
    assert list(load_networks(paths[:1])) == ["network"]
    assert list(load_networks([paths[0], out / "epoch-0.safetensors"])) == ["network", "epoch-0"]


def test_evaluation_repeats_the_last_epoch(trained):
    out, document = trained
    result = run("pixels", "evaluate", out / "network.safetensors", "--data", "glyphs", "--json")
    assert result.exit_code == 0, result.stderr
    evaluation = json.loads(result.stdout)
    assert set(evaluation) >= {"cross_entropy", "nats_per_image", "accuracy", "images", "data"}
    assert evaluation["cross_entropy"] == document["epochs"]["1"]["test"]["cross_entropy"]
    assert evaluation["nats_per_image"] == pytest.approx(
        783 * evaluation["cross_entropy"]["mean"], rel=1e-9
    )


def test_evaluation_draws_its_page(trained, tmp_path):
    out, _ = trained
    result = run(
        "pixels", "evaluate", out / "network.safetensors", "--data", "glyphs", "--out", tmp_path
    )
    assert result.exit_code == 0, result.stderr
    assert {"loss-map.png", "calibration.png", "report.html", "manifest.json"} <= {
        path.name for path in tmp_path.iterdir()
    }
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80  # but for the path at the end


def test_continuation_compares_networks(trained, tmp_path):
    out, _ = trained
    networks = (out / "epoch-0.safetensors", out / "network.safetensors")
    options = ("--data", "glyphs", "--images", 4, "--samples", 5, "--out", tmp_path, "--json")
    result = run("pixels", "continue", *networks, *options)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert set(document["networks"]) == {"epoch-0", "network"}
    for horizons in document["networks"].values():
        assert set(horizons) == {"1", "10", "28", "300"}
        one = horizons["1"]
        assert one["truth"]["mean"] == pytest.approx(one["crossed"]["mean"], rel=1e-5)
    assert len(set(document["chosen"].values())) == 3
    assert (tmp_path / "continuations.png").exists()


@pytest.mark.slow
def test_two_trainings_with_one_cache_both_end_well(cache, tmp_path):
    command = [sys.executable, "-m", "analysis", "pixels", "train", *TINY, "--json", "--out"]
    both = [
        subprocess.Popen([*command, tmp_path / name], stdout=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    one, other = (json.loads(process.communicate()[0])["epochs"] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert one == other
    assert list((cache / "unfinished").iterdir()) == []


def test_bad_input_is_one_line(trained, tmp_path):
    out, _ = trained
    assert "unknown data" in refused(
        "pixels", "evaluate", out / "network.safetensors", "--data", "cifar"
    )
    assert "unknown recipe" in refused("pixels", "train", *TINY, "--recipe", "magic")
    assert "unknown cell" in refused(
        "pixels", "train", *TINY, "--cell", "rnn", "--out", tmp_path / "a"
    )
    assert "whole numbers" in refused("pixels", "train", "--readout", "a,b")
    assert "no checkpoint at" in refused(
        "pixels", "evaluate", tmp_path / "none", "--data", "glyphs"
    )
    (tmp_path / "cut").write_bytes((out / "network.safetensors").read_bytes()[:-7])
    assert "truncated" in refused("pixels", "evaluate", tmp_path / "cut", "--data", "glyphs")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data", "cifar"), "unknown data 'cifar': expected one of"),
        (("--data", "glyphs", "--split", "80,20"), "drop --split"),
        (("--data", "glyphs", "--shape", "5x5"), "not 5 x 5 as --shape says"),
        (("--data", "glyphs", "--already-binary"), "drop --already-binary"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("pixels", "train"),
        ("pixels", "evaluate"),
        ("pixels", "continue"),
        ("inpaint", "--mask", "row:2"),
    ],
)
def test_images_asked_for_wrongly_are_wrong_usage(tmp_path, command, options, message):
    assert_refused(run(*command, *options, "--out", tmp_path / "out"), 2, says=message)
    assert not (tmp_path / "out").exists()


def test_a_network_of_another_image_size_is_refused(trained, tmp_path):
    import dataclasses

    from autoregressive.pixels.network import PixelNetwork

    network = PixelNetwork.load(trained[0] / "network.safetensors")
    small = dataclasses.replace(network, places=100, settings=network.settings | {"places": 100})
    small.save(tmp_path / "small.safetensors")
    assert "100 pixels" in refused(
        "pixels", "evaluate", tmp_path / "small.safetensors", "--data", "glyphs"
    )
    assert np.isfinite(small.first_pixel)
