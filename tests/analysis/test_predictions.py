"""Streams files and predictions of any origin: what fits is scored as a network is, the rest refused."""

from __future__ import annotations

import json
import re
import runpy
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from conftest import TRAIN
from running import refused, run

from analysis.comparison.predictions import SAME_TOLERANCE, lags
from analysis.comparison.streams_file import MOST_PAIRS, draw_streams, read_streams, write_streams
from meta_learning.learner import Learner
from meta_learning.processes import PROCESSES, ChangePoints, DirichletCategorical

PROCESS = DirichletCategorical((10, 1, 1), 4)
STREAMS = 60
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "pytorch_lstm.py"


@pytest.fixture(scope="module")
def streams():
    return draw_streams(PROCESS, STREAMS, 0)


@pytest.fixture
def streams_path(streams, tmp_path):
    path = tmp_path / "streams.npz"
    write_streams(path, streams)
    return path


@pytest.fixture(scope="module")
def bayes(streams):
    return PROCESS.log_predictive(streams.symbols)


def saved(path, symbols, log_q):
    """A predictions file, NPZ or netCDF by its suffix."""
    if path.suffix == ".npz":
        np.savez(path, symbols=symbols, log_probabilities=log_q)
    else:
        xr.Dataset(
            {
                "symbols": (("row", "place"), symbols),
                "log_probabilities": (("row", "place", "outcome"), log_q),
            }
        ).to_netcdf(path, engine="h5netcdf")
    return path


def scored(predictions, streams_path, *more):
    result = run(
        "compare", "--predictions", predictions, "--streams-file", streams_path, "--json", *more
    )
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout), result.stderr


def numbers(found):
    """The parts of a JSON document that are scores."""
    return {
        k: found[k] for k in ("loss", "loss_ci95", "brier", "gap", "gap_closed", "regret", "reset")
    }


def assert_close(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key])
    else:
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("suffix", [".npz", ".nc"])
def test_a_network_through_a_file_scores_as_it_does_directly(network_file, tmp_path, suffix):
    path = tmp_path / f"streams{suffix}"
    assert (
        run("streams", "--alpha", "10,1,1", "--T", 4, "--streams", STREAMS, "--out", path).exit_code
        == 0
    )
    file = read_streams(path)
    rows = Learner.load(network_file).log_predictive(file.symbols)
    found, said = scored(saved(tmp_path / f"q{suffix}", file.symbols, rows), path)
    assert said == ""
    direct = json.loads(run(*TRAIN, "--json").stdout)
    assert_close(numbers(found), numbers(direct))
    assert found["test"] == direct["test"]
    assert found["predictions"] == f"q{suffix}"


def test_bayes_has_no_gap(streams, streams_path, bayes, tmp_path):
    out = tmp_path / "out"
    path = saved(tmp_path / "q.npz", streams.symbols, bayes)
    found, said = scored(path, streams_path, "--out", out)
    assert said == ""
    assert abs(found["gap"]["mean"]) < 1e-15
    assert found["gap_closed"]["mean"] == pytest.approx(1, abs=1e-12)
    names = {file.name for file in out.iterdir()}
    assert {"report.html", "comparison.nc", "predictions.png", "gap-by-position.png"} <= names
    assert not any(name.startswith(("learning-curves", "network")) for name in names)
    page = (out / "report.html").read_text()
    assert "Predictions of q.npz on Dirichlet(10, 1, 1), T=4" in page
    result = run("compare", "--predictions", path, "--streams-file", streams_path, "--out", out)
    assert "The model is" in result.stdout


def test_probability_zero_is_an_infinite_gap(streams, streams_path, bayes, tmp_path):
    certain = np.full_like(bayes, -np.inf)
    certain[..., 0] = 0.0
    path = saved(tmp_path / "q.npz", streams.symbols, certain)
    result = run(
        "compare", "--predictions", path, "--streams-file", streams_path, "--out", tmp_path / "out"
    )
    assert result.exit_code == 0, result.stderr
    assert "its gap is infinite" in " ".join(result.stdout.split())


@cache
def drawn(process):
    return draw_streams(process, 20, 3)


@pytest.mark.parametrize("kind", PROCESSES.values(), ids=list(PROCESSES))
@pytest.mark.parametrize("suffix", [".npz", ".nc"])
def test_every_process_has_its_streams_file(kind, suffix, tmp_path):
    process = kind.examples()[0]
    wanted = drawn(process)
    write_streams(tmp_path / f"a{suffix}", wanted)
    found = read_streams(tmp_path / f"a{suffix}")
    assert found.process == process
    assert found.seed == 3
    for name in ("symbols", "latent", "pairs"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    log_p = process.log_predictive(found.symbols)
    came = np.take_along_axis(log_p, found.symbols[..., None].astype(int), -1)
    assert np.isfinite(came).all()  # every row, those of pairs too, is possible
    for n, (first, second, shared) in enumerate(found.pairs):
        assert second == found.streams + n
        one, other = found.symbols[[first, second]]
        np.testing.assert_array_equal(one[:shared], other[:shared])
        assert one[shared] != other[shared]


def test_pairs_differ_first_at_every_drawn_place(streams):
    length = streams.length
    assert length <= MOST_PAIRS
    assert set(streams.pairs[:, 2]) == {t for t in range(length) if t % 4 != 3}


# Each makes rows that use the future out of what Bayes says, knowing the symbols.
def one_place_early(bayes, symbols):
    return np.concatenate([bayes[:, 1:], bayes[:, :1]], axis=1)


def knows_a_later_symbol(bayes, symbols):
    """At place 4 alone, a little more on the symbol that comes at place 9."""
    q = np.exp(bayes)
    q[:, 4] = 0.999 * q[:, 4] + 0.001 * np.eye(4)[symbols[:, 9]]
    with np.errstate(divide="ignore"):
        return np.log(q)


def other_order(bayes, symbols):
    return np.concatenate([bayes[1:STREAMS], bayes[:1], bayes[STREAMS:]])


def random(bayes, symbols):
    noise = np.random.default_rng(0).normal(size=bayes.shape)
    return np.log(np.exp(noise) / np.exp(noise).sum(-1, keepdims=True))


@pytest.mark.parametrize(
    ("cheat", "says"),
    [
        (one_place_early, "seem to be one place early"),
        (knows_a_later_symbol, "place 4 should be equal.* they look ahead"),
        (other_order, "they look ahead, are of other streams"),
        (random, "they look ahead, are of other streams, or are random"),
    ],
)
def test_looking_ahead_is_refused(cheat, says, streams, streams_path, bayes, tmp_path):
    path = saved(tmp_path / "q.npz", streams.symbols, cheat(bayes, streams.symbols))
    line = refused("compare", "--predictions", path, "--streams-file", streams_path)
    assert re.search(says, line), line


def test_rounding_is_not_looking_ahead(streams, streams_path, bayes, tmp_path):
    # As large as the rounding of float32 in an LSTM, and as what single precision stores.
    noise = np.random.default_rng(0).uniform(-2e-6, 2e-6, bayes.shape)
    path = saved(tmp_path / "q.npz", streams.symbols, (bayes + noise).astype(np.float32))
    found, said = scored(path, streams_path)
    assert said == ""
    assert 0 <= found["gap"]["mean"] < 1e-10
    assert SAME_TOLERANCE > 4e-6  # two rows, each off by 2e-6


@pytest.mark.parametrize("process", [PROCESS, ChangePoints((1, 1, 1), 0.3)], ids=lambda p: p.name)
def test_late_rows_are_warned_of_and_others_are_not(process, tmp_path):
    streams = draw_streams(process, STREAMS, 0)
    bayes = process.log_predictive(streams.symbols)
    soft = np.log(0.9 * np.exp(bayes) + 0.1 / 4)
    first = np.full_like(bayes[:, :1], -np.log(4))
    late = np.concatenate([first, soft[:, :-1]], axis=1)
    constant = np.broadcast_to(first, bayes.shape)
    for name, rows in {"late": late, "soft": soft, "constant": constant}.items():
        assert lags(rows, streams) == (name == "late"), name
    if process == PROCESS:
        write_streams(tmp_path / "s.npz", streams)
        _, said = scored(saved(tmp_path / "q.npz", streams.symbols, late), tmp_path / "s.npz")
        assert "one place late" in said


def changed(values, index, value):
    values = values.copy()
    values[index] = value
    return values


REFUSALS = {
    "half": (lambda x, q: (x, q.astype(np.float16)), "float16, too coarse"),
    "whole numbers": (lambda x, q: (x, np.zeros(q.shape, int)), "expected float32 or float64"),
    "float symbols": (lambda x, q: (x.astype(float), q), "expected whole numbers"),
    "no pairs": (lambda x, q: (x[:STREAMS], q[:STREAMS]), "predict on all its rows"),
    "no first row": (lambda x, q: (x, q[:, 1:]), "row 0 is the prediction before any symbol"),
    "no RESET": (lambda x, q: (x, q[..., :-1]), "the last outcome is RESET"),
    "flat": (lambda x, q: (x, q.reshape(-1)), "has the shape"),
    "other count": (lambda x, q: (x[:7], q[:7]), "of other streams?"),
    "other streams": (
        lambda x, q: (changed(x, (5, 8), 2 - x[5, 8]), q),
        "1 of .* rows differ, first row 5 at place 8",
    ),
    "NaN": (lambda x, q: (x, changed(q, (3, 7, 0), np.nan)), "NaN in row 3 at place 7"),
    "probabilities": (lambda x, q: (x, np.exp(q)), "row 0 at place 0 sum to .*natural logarithms"),
    "infinite": (lambda x, q: (x, changed(q, (1, 2, 0), np.inf)), "row 1 at place 2 sum to inf"),
    "not normal": (
        lambda x, q: (x, changed(q, (6, 5), q[6, 5] + 1e-4)),
        "row 6 at place 5 sum to 1.0001",
    ),
    "base 2": (lambda x, q: (x, q / np.log(2)), "row 0 at place 0 sum to"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_fit_is_refused_in_one_line(name, streams, streams_path, bayes, tmp_path):
    spoil, says = REFUSALS[name]
    path = saved(tmp_path / "q.npz", *spoil(streams.symbols, bayes))
    out = tmp_path / "out"
    line = refused("compare", "--predictions", path, "--streams-file", streams_path, "--out", out)
    assert re.search(says, line), line
    assert str(path) in line
    assert not out.exists()


def test_missing_arrays_and_other_files_are_refused(streams, streams_path, bayes, tmp_path):
    def said(predictions, streams_file=streams_path):
        return refused("compare", "--predictions", predictions, "--streams-file", streams_file)

    whole = saved(tmp_path / "q.npz", streams.symbols, bayes)
    np.savez(tmp_path / "x.npz", symbols=streams.symbols, q=bayes)
    assert "has no log_probabilities" in said(tmp_path / "x.npz")
    assert "no file" in said(tmp_path / "none.npz")
    assert "should end in .npz" in said(tmp_path / "q.csv")
    assert "is not a streams file: it has no pairs, settings; meta" in said(whole, whole)
    parts = dict(np.load(streams_path))
    for lacks in ("latent", "pairs", "settings"):
        np.savez(tmp_path / "part.npz", **{k: v for k, v in parts.items() if k != lacks})
        assert f"it has no {lacks}; meta-learn streams" in said(whole, tmp_path / "part.npz")
    np.savez(tmp_path / "p.npz", symbols=np.array([{}], object), log_probabilities=bayes)
    assert "pickled objects" in said(tmp_path / "p.npz")
    for suffix in (".npz", ".nc"):
        path = saved(tmp_path / f"cut{suffix}", streams.symbols, bayes)
        data = path.read_bytes()
        for part in (data[: len(data) // 2], b"", b"nonsense" * 50):
            path.write_bytes(part)
            assert "was it cut" in said(path)
    at = whole.read_bytes().rindex(bayes[-1].tobytes()) + 40
    flipped = bytearray(whole.read_bytes())
    flipped[at] ^= 1
    whole.write_bytes(bytes(flipped))
    assert "was it cut" in said(whole)


def test_headers_that_lie_are_refused(streams_path, tmp_path):
    path = tmp_path / "q.npz"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000000), }"
    content = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("symbols.npy", content)
        archive.writestr("log_probabilities.npy", content)
    line = refused("compare", "--predictions", path, "--streams-file", streams_path)
    assert "declares" in line


def test_a_changed_streams_file_is_refused(streams, streams_path, bayes, tmp_path):
    predictions = saved(tmp_path / "q.npz", streams.symbols, bayes)
    whole = dict(np.load(streams_path))

    def said(**changes):
        path = tmp_path / "changed.npz"
        np.savez(path, **(whole | changes))
        return refused("compare", "--predictions", predictions, "--streams-file", path)

    settings = json.loads(str(whole["settings"]))
    other = settings | {"process": settings["process"] | {"alpha": [1.0, 1.0, 1.0]}}
    assert "damaged" in said(symbols=changed(whole["symbols"], (0, 0), 2 - whole["symbols"][0, 0]))
    assert "damaged" in said(settings=np.array(json.dumps(other)))
    assert "format 9" in said(settings=np.array(json.dumps(settings | {"format": 9})))
    assert "not those of a streams file" in said(settings=np.array("[1]"))
    assert "is not a streams file" in said(pairs=whole["pairs"][1:])
    assert "is not a streams file" in said(latent=np.zeros(3))


def test_wrong_use_is_one_line(streams_path, tmp_path):
    assert "go together" in refused("compare", "--predictions", "q.npz")
    assert "go together" in refused("compare", "--streams-file", "s.npz")
    both = ("compare", "--predictions", "q.npz", "--streams-file", streams_path)
    for option, value in (
        ("--alpha", "1,1"),
        ("--checkpoint", "a"),
        ("--p", "1,0"),
        ("--seed", 1),
        ("--seeds", 2),
        ("--streams", 9),
        ("--test-T", 3),
    ):
        assert f"{option} cannot be given with --predictions" in refused(*both, option, value)
    assert "say what makes the streams" in refused("streams", "--out", tmp_path / "a.npz")
    assert "should end in" in refused(
        "streams", "--alpha", "1,1", "--T", 3, "--out", tmp_path / "a"
    )
    assert list(tmp_path.glob("a*")) == []


def test_the_pytorch_example(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="the example needs the bench extra", exc_type=ImportError)
    streams_path, predictions = tmp_path / "streams.npz", tmp_path / "q.npz"
    made = run("streams", "--alpha", "1,1", "--T", 4, "--streams", 200, "--out", streams_path)
    assert made.exit_code == 0, made.stderr
    arguments = [streams_path, predictions, "--iterations", 60, "--batch", 16]
    monkeypatch.setattr(sys, "argv", [EXAMPLE.name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    found, said = scored(predictions, streams_path)
    assert said == ""
    # Knows when RESET comes and more than a memoryless predictor does.
    assert found["reset"]["miss"] < 0.1
    assert found["gap"]["mean"] < found["gap"]["memoryless"]
