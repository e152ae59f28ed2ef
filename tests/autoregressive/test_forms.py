"""The forms of the unroll: kernels by interpretation, cuDNN's weights, and which form is chosen."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn
from jax.sharding import AbstractDevice, AbstractMesh, use_abstract_mesh

from autoregressive.cells import GRU, LSTM, RECURRENT
from autoregressive.cells.transformer import Transformer
from autoregressive.model import make_model
from autoregressive.unroll import backends
from autoregressive.unroll import pallas as kernel
from autoregressive.unroll.cudnn import cudnn_weights
from autoregressive.unroll.scan import SCANS, recurrent_unroll, scan_unroll
from autoregressive.versions import environment

recurrent_cells = pytest.mark.parametrize("kind", RECURRENT.values(), ids=RECURRENT)


def made(kind, inputs, batch, length, hidden=16):
    """A cell with parameters and a state that are random everywhere, and inputs, float32."""
    cell = kind(inputs, hidden)
    keys = iter(jax.random.split(jax.random.key(0), 20))

    def noise(shape):
        return 0.4 * jax.random.normal(next(keys), shape)

    params = {name: noise(v.shape) for name, v in cell.init(jax.random.key(1)).items()}
    state = tuple(noise(s.shape) for s in cell.initial_state((batch,)))
    return cell, params, state, noise((length, batch, inputs))


def value_and_gradients(unroll, cell, params, state, xs):
    def value(params, state, xs):
        last, hs = unroll(cell, params, state, xs)
        return (hs**2).sum() + sum((s**3).sum() for s in last), (last, hs)

    return jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2), has_aux=True))(params, state, xs)


def by_kernels(cell, params, state, xs):
    return recurrent_unroll(cell, params, state, xs, kernel.INTERPRETED)


@recurrent_cells
@pytest.mark.parametrize("size", [(1, 16, 5), (3, 17, 4)], ids=str)
def test_interpreted_kernels_equal_the_plain_scan(kind, size):
    given = made(kind, *size)
    ours, plain = (value_and_gradients(unroll, *given) for unroll in (by_kernels, scan_unroll))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), ours, plain)


# JAX 0.12 says that this way will go: it is one of several forms, tried before it is used.
@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated")
@recurrent_cells
def test_kernels_lower_to_one_call_forwards_and_one_backwards(kind):
    cell, params, state, xs = made(kind, 3, 20, 4, hidden=32)

    def value(params):
        return recurrent_unroll(cell, params, state, xs, kernel.KERNELS)[1].sum()

    # JAX 0.12 asks which card it compiles for, where there is none.
    card = AbstractDevice(device_kind="NVIDIA H100 80GB HBM3", num_cores=132, platform="gpu")
    with use_abstract_mesh(AbstractMesh((), (), abstract_device=card)):
        lowered = jax.jit(jax.grad(value)).trace(params).lower(lowering_platforms=("cuda",))
    assert lowered.as_text().count("xla.gpu.triton") == 2


def test_kernels_are_tried_before_they_are_used(monkeypatch):
    kernel.why_no_kernels.cache_clear()
    assert "do not compile here" in kernel.why_no_kernels(LSTM(1, 32))
    assert "16, 32, 64 hidden units" in kernel.why_no_kernels(LSTM(1, 33))
    kernel.why_no_kernels.cache_clear()
    monkeypatch.setattr(kernel, "KERNELS", kernel.INTERPRETED)
    # Inside a compiled program too, where a form is chosen.
    asked = []
    jax.jit(lambda x: asked.append(kernel.why_no_kernels(GRU(1, 16))) or x)(1.0)
    assert asked == [""]

    def halved(*arguments):
        last, states = SCANS.forward(*arguments)
        return last, tuple(s / 2 for s in states)

    kernel.why_no_kernels.cache_clear()
    monkeypatch.setattr(kernel, "KERNELS", SCANS._replace(forward=halved))
    assert kernel.why_no_kernels(GRU(1, 16)) == "kernels and scans disagree here"
    kernel.why_no_kernels.cache_clear()


def test_weights_for_cudnn_are_those_that_its_reference_reads():
    cell, params, (h, c), xs = made(LSTM, 3, 4, 6, hidden=5)
    weights = cudnn_weights(params)
    assert weights.shape == (rnn.get_num_params_in_lstm(3, 5, 1, False),)
    unpacked = rnn.unpack_lstm_weights(weights, 3, 5, 1, False)
    lengths = jnp.full((4,), 6, jnp.int32)
    with jax.numpy_rank_promotion("allow"):
        outputs, last_h, last_c = rnn.lstm_ref(
            jnp.swapaxes(xs, 0, 1), h[None], c[None], *unpacked, lengths, 3, 5, 1, 0.0, False
        )
    last, hs = scan_unroll(cell, params, (h, c), xs)
    np.testing.assert_allclose(jnp.swapaxes(outputs, 0, 1), hs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last_h[0], last[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last_c[0], last[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "backend", "cell", "dtype", "expected"),
    [
        (None, "cpu", LSTM(1, 32), "float32", "spans"),
        ("scan", "cpu", LSTM(1, 32), "float32", "scan"),
        ("cudnn", "cpu", LSTM(1, 32), "float32", "spans"),
        (None, "gpu", LSTM(1, 32), "float32", "kernels"),
        (None, "gpu", GRU(1, 32), "float64", "spans"),
        (None, "gpu", Transformer(1, 32), "float32", "spans"),
        ("spans", "gpu", LSTM(1, 32), "float32", "spans"),
        ("cudnn", "gpu", LSTM(1, 32), "float32", "cudnn"),
        ("cudnn", "gpu", GRU(1, 32), "float32", "spans"),
    ],
)
def test_the_form_chosen(monkeypatch, asked, backend, cell, dtype, expected):
    monkeypatch.delenv(backends.ASK, raising=False)
    if asked is not None:
        monkeypatch.setenv(backends.ASK, asked)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(kernel, "why_no_kernels", lambda cell: "")
    assert backends.choose_backend(cell, jnp.dtype(dtype)) == expected


def test_what_cannot_be_had_is_said_once(monkeypatch, caplog):
    monkeypatch.setenv(backends.ASK, "kernels")
    monkeypatch.setattr(backends, "_logged", set())
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert backends.choose_backend(LSTM(1, 32), jnp.dtype("float32")) == "spans"
    assert [r.getMessage() for r in caplog.records] == [
        "META_LEARN_UNROLL=kernels: there is no GPU; the scan is used"
    ]


WITHOUT = """
import importlib, logging, pkgutil, sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if any(name == b or name.startswith(b + ".") for b in {blocked!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
logging.basicConfig(format="%(message)s", level=logging.WARNING)
import analysis, autoregressive, meta_learning
for package in (autoregressive, meta_learning, analysis):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name not in ("autoregressive.unroll.pallas", "analysis.__main__"):
            importlib.import_module(module.name)
import jax
from meta_learning import DirichletCategorical
from meta_learning.recipes import make_recipe
from meta_learning.training import train

def step(seed):
    recipe = make_recipe("coursework", iterations=1, batch_size=2, unroll=6)
    return train(DirichletCategorical((1, 1), 3), recipe, seeds=[seed], hidden=16)

step(0)
from autoregressive.unroll import backends
assert backends.used_backends() == ["spans"]
# JAX imports parts of it by itself; what is asked for is jax.experimental's.
assert not [name for name in sys.modules if name.startswith("jax.experimental.pallas")]
# As on a machine with a GPU, whose programs run here.
jax.default_backend = lambda: "gpu"
jax.clear_caches()
step(1)
assert backends.used_backends() == ["spans"]
"""


@pytest.mark.parametrize(
    ("blocked", "says"),
    [
        (
            ("jax.experimental.pallas", "jax.experimental.rnn"),
            "kernels: this JAX has no Pallas as it is used here; the scan is used",
        ),
        (
            ("jax.experimental.pallas.triton",),
            "kernels: this JAX has no way from Pallas to Triton; the scan is used",
        ),
    ],
    ids=["without Pallas", "without Triton"],
)
def test_a_jax_without_the_kernels_route_costs_one_line(blocked, says):
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(blocked=blocked)],
        capture_output=True,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    assert found.returncode == 0, found.stderr
    assert found.stderr.splitlines() == [says]


def test_an_unknown_form_is_refused(monkeypatch):
    monkeypatch.setenv(backends.ASK, "fast")
    with pytest.raises(ValueError, match="META_LEARN_UNROLL is 'fast': expected auto, spans"):
        backends.choose_backend(LSTM(1, 32), jnp.dtype("float32"))


def test_the_form_used_is_in_the_manifest(monkeypatch):
    monkeypatch.setattr(backends, "_used", set())
    assert environment()["unroll"] == []
    model = make_model("gru", 4, 1, 1)
    model.logits(model.init(jax.random.key(0)), jnp.zeros((1, 3, 1)))
    assert environment()["unroll"] == ["spans"]
