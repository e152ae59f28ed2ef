"""Checkpoints: what was saved comes back, and nothing else ever does."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as to_safetensors

from autoregressive import checkpoint
from autoregressive.checkpoint import CheckpointError
from meta_learning.learner import Learner, learner_model

TENSORS = {
    "weights": np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    "iteration": np.array([7], np.int32),
    "loss": np.array([0.5, np.nan, -np.inf]),
    "empty": np.zeros((0, 3), np.float32),
}
HEADER = {"kind": "test", "numbers": [1, 2.5, None], "text": "Ünïcode"}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, TENSORS, HEADER)
    return path


def assert_as_saved(loaded):
    tensors, header = loaded
    assert header == HEADER
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        np.testing.assert_array_equal(tensors[name], value)


def one_line_of(path):
    with pytest.raises(CheckpointError) as error:
        checkpoint.load(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


def refused_or_as_saved(path):
    """A change that the format allows, like a space in its padding, may load: as it was saved."""
    loaded = []
    with suppress(CheckpointError):
        loaded.append(checkpoint.load(path))
    for one in loaded:
        assert_as_saved(one)


def test_round_trip(path):
    assert_as_saved(checkpoint.load(path))


def test_every_truncation_is_refused(path):
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        one_line_of(path)
    path.write_bytes(whole + b"\0")
    one_line_of(path)


def test_every_flipped_bit_is_noticed(path):
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            refused_or_as_saved(path)


in_one_folder = settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@in_one_folder
@given(st.data())
def test_changed_bytes_are_noticed(path, data):
    checkpoint.save(path, TENSORS, HEADER)
    changed = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    path.write_bytes(changed)
    refused_or_as_saved(path)


@in_one_folder
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(path, content):
    path.write_bytes(content)
    one_line_of(path)


def crafted(path, tensors=TENSORS, header=HEADER, version=checkpoint.FORMAT):
    """A file whose checksum is right, whatever is in it: not every file comes from a friend."""
    text = header if isinstance(header, str) else json.dumps(header)
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    entry = f"{version} {checkpoint.tensors_digest(arrays, text)} {text}"
    path.write_bytes(to_safetensors(arrays, {"meta-learn": entry}))


def test_files_that_are_no_checkpoints_are_refused(path, tmp_path):
    assert "no checkpoint at" in one_line_of(tmp_path / "missing")
    assert "not a file" in one_line_of(tmp_path)
    path.write_bytes(to_safetensors(TENSORS))
    assert "not one that meta-learn wrote" in one_line_of(path)
    crafted(path, version=7)
    assert "format 7, expected 2" in one_line_of(path)
    for header in ("[]", "1", "null", '"x"', "{", "[" * 100_000):
        crafted(path, header=header)
        one_line_of(path)


def test_equal_checkpoints_are_equal_files(path):
    before = path.read_bytes()
    for _ in range(5):
        checkpoint.save(path, TENSORS, HEADER)
        assert path.read_bytes() == before


def test_a_failing_write_leaves_the_old_file_and_nothing_beside_it(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, {"other": np.zeros(3)}, {})
    assert_as_saved(checkpoint.load(path))
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(path):
    program = (
        "import resource, sys, numpy; from autoregressive import checkpoint;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "checkpoint.save(sys.argv[1], {'w': numpy.zeros(10_000)}, {})"
    )
    run = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True)
    assert "File too large" in run.stderr
    assert_as_saved(checkpoint.load(path))
    assert list(path.parent.iterdir()) == [path]


SETTINGS = {
    "num_symbols": 3,
    "cell": "lstm",
    "hidden": 4,
    "seed": 0,
    "process": {"name": "dirichlet-categorical", "alpha": [1.0, 1.0, 1.0], "T": 4},
}


@pytest.fixture(scope="module")
def learner():
    model = learner_model(3, "lstm", 4)
    history = {
        "symbols": np.arange(2),
        "train_loss": np.zeros(2),
        "held_out_loss": np.zeros(2),
        "held_out_gap": np.zeros(2),
        "bayes_loss": np.array(0.5),
    }
    return Learner(model, model.init(jax.random.key(0)), 3, SETTINGS, history)


def test_learner_round_trip(learner, tmp_path):
    learner.save(tmp_path / "a")
    again = Learner.load(tmp_path / "a")
    assert again.settings == learner.settings
    assert again.model == learner.model
    symbols = np.array([[0, 1, 2, 3, 0]])
    np.testing.assert_array_equal(again.log_predictive(symbols), learner.log_predictive(symbols))


def spoiled(learner, **changes):
    arrays = {f"params.{k}": np.array(v) for k, v in learner.params.items()}
    arrays |= {f"history.{k}": np.array(v) for k, v in learner.history.items()}
    return arrays, {"kind": "meta-learner", **SETTINGS, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "gru"}, "another architecture"),
        ({"hidden": 5}, "another architecture"),
        ({"num_symbols": 2}, "another architecture"),
        ({"hidden": 2**20}, "another architecture"),
        ({"hidden": 10**30}, "header"),
        ({"hidden": -1}, "header"),
        ({"hidden": None}, "header"),
        ({"cell": "rnn"}, "unknown cell 'rnn': expected one of gru, .*lstm, .* --load FILE"),
        ({"cell": ["lstm"]}, "header"),
        ({"kind": "unfinished"}, "expected a 'meta-learner'"),
        ({"seed": "../../../escaped"}, "header"),
        ({"recipe": []}, "header"),
        ({"recipe": {"iterations": None}}, "header"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(learner, tmp_path, changes, message):
    crafted(tmp_path / "a", *spoiled(learner, **changes))
    with pytest.raises(CheckpointError, match=message):
        Learner.load(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("params.cell.b", np.full(16, np.nan, np.float32), "NaN or infinity"),
        ("params.cell.b", np.full(16, np.inf, np.float32), "NaN or infinity"),
        ("params.cell.b", np.zeros(17, np.float32), "another architecture"),
        ("params.cell.b", np.zeros(16), "another architecture"),
        ("params.more", np.zeros(16), "another architecture"),
        ("history.train_loss", np.zeros(3), "learning curves"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(learner, tmp_path, name, value, message):
    arrays, header = spoiled(learner)
    crafted(tmp_path / "a", arrays | {name: value}, header)
    with pytest.raises(CheckpointError, match=message):
        Learner.load(tmp_path / "a")


def test_missing_tensors_are_refused(learner, tmp_path):
    for name in ("params.cell.b", "history.bayes_loss"):
        arrays, header = spoiled(learner)
        del arrays[name]
        crafted(tmp_path / "a", arrays, header)
        with pytest.raises(CheckpointError):
            Learner.load(tmp_path / "a")
