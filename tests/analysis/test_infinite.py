"""An infinite gap is a result: every command writes its whole report, and says so in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY
from running import refused, run, words_of

from analysis.coursework.questions import measure
from analysis.coursework.questions_page import make_report
from analysis.report.publish import publish
from autoregressive.images.glyphs import load_glyphs
from autoregressive.pixels.network import PixelNetwork, pixel_model
from meta_learning import training as trained
from meta_learning.experiments import STUDY
from meta_learning.learner import Learner
from meta_learning.processes import DirichletCategorical

KEPT = Path(__file__).parents[2] / "docs" / "results" / "questions.json"
# Beyond float32 in the sum over the read-out's 64 units, each 10: a logit of exactly -inf.
_STEEP = -3e38


def zero_on_a_symbol(params, K):
    params["readout.0.b"][:] = 10
    params["readout.1.w"][K - 1] = _STEEP


def certain_of_reset(params, K):
    params["readout.0.b"][:] = 10
    params["readout.1.w"][:K] = _STEEP


def nearly_certain_of_reset(params, K):
    params["readout.1.b"][K] = 1e4


def constant(params, K):
    for value in params.values():
        value[...] = 0


INFINITE = zero_on_a_symbol, certain_of_reset


def spoiled(learner, spoil):
    """The network with other weights, all of them finite."""
    params = {name: np.array(value) for name, value in learner.params.items()}
    spoil(params, learner.num_symbols)
    return replace(learner, params={name: jnp.asarray(v) for name, v in params.items()})


@pytest.fixture(autouse=True)
def command_line(monkeypatch):
    """A page shows the command that made it: that of a test run may have "infinite" in it."""
    monkeypatch.setattr(sys, "argv", ["meta-learn"])


def no_infinity(text):
    raise AssertionError(f"{text} in JSON")


def pixel_file(folder, bias):
    """A pixel network whose logit is ``bias`` whatever it sees."""
    model = pixel_model("lstm", 2, (2,))
    params = {k: jnp.zeros_like(v) for k, v in model.init(jax.random.key(0)).items()}
    params["readout.1.b"] += bias
    settings = {"cell": "lstm", "hidden": 2, "readout": [2], "places": 784, "first_pixel": 0.5}
    path = folder / "pixels.safetensors"
    PixelNetwork(model, params, 784, 0.5, settings).save(path)
    return path


COMPARE, OFF_PRIOR = ("compare", "--streams", 30), ("--test-alpha", "1.3,1.3,1.3")
AUDIT, HIDDEN = ("audit", "--only-gap", "--tasks", 50), ("hidden", "--streams", 20)


# Every command meets an infinite gap and a finite one, every way to spoil a network two commands.
@pytest.mark.parametrize(
    "command, spoil",
    [
        (COMPARE, zero_on_a_symbol),
        (COMPARE, nearly_certain_of_reset),
        ((*COMPARE, *OFF_PRIOR), certain_of_reset),
        ((*COMPARE, *OFF_PRIOR), constant),
        (AUDIT, zero_on_a_symbol),
        (AUDIT, certain_of_reset),
        (AUDIT, constant),
        (HIDDEN, zero_on_a_symbol),
        (HIDDEN, certain_of_reset),
        (HIDDEN, nearly_certain_of_reset),
    ],
    ids=lambda part: getattr(part, "__name__", None) or "-".join(map(str, part)),
)
def test_a_saved_network(network_file, tmp_path, command, spoil):
    path, out = tmp_path / "a.safetensors", tmp_path / "out"
    spoiled(Learner.load(network_file), spoil).save(path)
    result = run(*command, "--checkpoint", path, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert {p.suffix for p in out.iterdir()} >= {".html", ".json", ".nc", ".png", ".svg"}
    for file in out.glob("*.json"):
        json.loads(file.read_text(), parse_constant=no_infinity)
    if command[0] == "hidden":
        return
    page = words_of((out / "report.html").read_text())
    assert ("infinite" in page) == ("infinite" in result.stdout) == (spoil in INFINITE)
    (numbers,) = (p for p in out.glob("*.json") if p.name != "manifest.json")
    found = json.loads(numbers.read_text())
    assert (found["gap"]["mean"] is None) == (spoil in INFINITE)
    assert ("left out" in page) == (spoil in INFINITE)


@pytest.mark.slow  # some 20 s each
@pytest.mark.usefixtures("few_sources")
@pytest.mark.parametrize(
    "spoil", [zero_on_a_symbol, certain_of_reset, nearly_certain_of_reset, constant]
)
def test_a_whole_audit(network_file, tmp_path, spoil):
    path, out = tmp_path / "a.safetensors", tmp_path / "out"
    spoiled(Learner.load(network_file), spoil).save(path)
    result = run("audit", "--tasks", 100, "--checkpoint", path, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert {"calibration.png", "off-prior.png", "probes.png"} <= {p.name for p in out.iterdir()}
    found = json.loads((out / "audit.json").read_text(), parse_constant=no_infinity)
    assert (found["gap"]["mean"] is None) == (spoil in INFINITE)


@pytest.mark.parametrize(
    "spoil, seeds",
    [(zero_on_a_symbol, 1), (certain_of_reset, 2), (nearly_certain_of_reset, 1), (constant, 2)],
)
def test_networks_of_a_sweep(filled_cache, tmp_path, monkeypatch, spoil, seeds):
    real = trained.train
    monkeypatch.setattr(
        trained, "train", lambda *a, **k: [spoiled(x, spoil) for x in real(*a, **k)]
    )
    result = run("sweep", "--alpha", "10,1,1", "--T", 4, *TINY, "--seeds", seeds, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "sweep.json").read_text(), parse_constant=no_infinity)
    assert (found["points"][0]["gap"]["mean"] is None) == (spoil in INFINITE)
    assert ("infinite" in result.stdout) == (spoil in INFINITE)


@pytest.mark.parametrize("spoil", [zero_on_a_symbol, certain_of_reset, constant])
def test_networks_of_the_questions(network_file, tmp_path, spoil):
    """In the kept study, those of one setting are others."""
    document = json.loads(KEPT.read_text())
    network, setting = spoiled(Learner.load(network_file), spoil), STUDY[1]
    measured = measure(setting, [network.log_predictive] * 2, key=jax.random.key(0), streams=4)
    document["trainings"][1] = measured
    gaps = [row["gap.network"]["mean"] for row in measured["rows"]]
    assert (None in gaps) == (spoil in INFINITE)
    publish(make_report(document), tmp_path, {}, "meta-learn questions")
    json.loads((tmp_path / "questions.json").read_text(), parse_constant=no_infinity)
    page = words_of((tmp_path / "report.html").read_text())
    assert ("infinite" in page) == (spoil in INFINITE)
    assert "nan" not in page


@pytest.mark.parametrize("bias, answer", [(1e30, 1), (-1e30, 0)])
def test_a_pixel_network_that_is_certain(tmp_path, bias, answer):
    """Worked by hand: a pixel's loss is 0 where it is right and the bias where it is wrong."""
    path, out = pixel_file(tmp_path, bias), tmp_path / "out"
    data = ("--data", "glyphs", "--quiet", "--json")
    result = run("pixels", "evaluate", path, *data, "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout, parse_constant=no_infinity)
    images = load_glyphs("test")
    ink = images.images(slice(0, len(images)))[:, 1:].mean()
    wrong = 1 - ink if answer else ink
    assert found["accuracy"] == pytest.approx(1 - wrong, abs=1e-6)
    assert found["cross_entropy"]["mean"] == pytest.approx(abs(bias) * wrong, rel=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pixel_network_of_weights_that_are_no_numbers(tmp_path, value):
    path = pixel_file(tmp_path, value)
    for command in ("evaluate", "continue"):
        assert "NaN or infinity" in refused("pixels", command, path, "--data", "glyphs", "--json")


def test_a_network_that_is_no_distribution_is_refused(network_file, tmp_path):
    def beyond(params, K):
        params["readout.0.b"][:] = 10
        params["readout.1.w"][:] = _STEEP

    path = tmp_path / "a.safetensors"
    spoiled(Learner.load(network_file), beyond).save(path)
    for command in ("compare", "audit", "hidden"):
        assert "train it anew" in refused(command, "--checkpoint", path, "--json")


def test_rows_one_place_late_in_a_process_of_its_own(tmp_path):
    """Warnings there are errors: tests/conftest.py."""
    streams, rows, out = tmp_path / "s.npz", tmp_path / "rows.npz", tmp_path / "out"
    assert run("streams", "--alpha", "10,1,1", "--T", 20, "--streams", 100, "--out", streams)
    symbols = np.load(streams)["symbols"]
    log_p = DirichletCategorical((10, 1, 1), 20).log_predictive(symbols)
    np.savez(rows, symbols=symbols, log_probabilities=np.roll(log_p, 1, axis=1))
    assert os.environ["PYTHONWARNINGS"] == "error"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "analysis",
            "compare",
            "--predictions",
            rows,
            "--streams-file",
            streams,
            "--out",
            out,
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert "one place late" in line
    assert "its gap is infinite" in (out / "report.html").read_text()
    assert json.loads((out / "comparison.json").read_text())["gap"]["mean"] is None
    for figure in ("predictions", "gap-by-position", "regret", "simplex"):
        assert (out / f"{figure}.svg").stat().st_size > 1_000
