"""Cells and models: against other programs' cells, and against their own step loop."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from autoregressive import model as model_module
from autoregressive import unroll as unroll_module
from autoregressive.cells import CELLS, GRU, LSTM, RECURRENT
from autoregressive.model import cell_params, make_model
from autoregressive.unroll import recurrent_unroll, scan_unroll, span_length

recurrent_cells = pytest.mark.parametrize("kind", RECURRENT.values(), ids=RECURRENT)
# (inputs, batch, length): a single input, one-hot widths, wide ones, a single place.
SIZES = [(1, 1, 7), (4, 3, 6), (8, 1, 2), (9, 3, 6), (17, 2, 1), (4, 2, 1)]


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def made(kind, inputs, batch, length, hidden=5, seed=0):
    """A cell with parameters and a state that are random everywhere, in float64, and inputs."""
    cell = kind(inputs, hidden)
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(cell.init, jax.random.key(0))
    params = {name: jnp.asarray(0.7 * rng.normal(size=s.shape)) for name, s in shapes.items()}
    state = tuple(jnp.asarray(0.5 * rng.normal(size=s.shape)) for s in cell.initial_state((batch,)))
    return cell, params, state, jnp.asarray(rng.normal(size=(length, batch, inputs)))


def test_lstm_is_the_one_of_jax_and_cudnn(float64):
    cell, params, (h, c), xs = made(LSTM, 3, 4, 6)
    first = {"b_ih": {0: params["b"] - 0.3}, "b_hh": {0: jnp.full_like(params["b"], 0.3)}}
    outputs, last_h, last_c = rnn.lstm_ref(
        xs.swapaxes(0, 1), h[None], c[None], {0: params["w_ih"]}, {0: params["w_hh"]},
        first["b_ih"], first["b_hh"], jnp.full((4,), 6, jnp.int32), 3, 5, 1, 0.0, False,
    )  # fmt: skip
    last, hs = cell.unroll(params, (h, c), xs)
    np.testing.assert_allclose(hs.swapaxes(0, 1), outputs, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(last[0], last_h[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(last[1], last_c[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("kind", "name"), [(LSTM, "LSTM"), (GRU, "GRU")])
def test_cell_is_the_one_of_pytorch(float64, kind, name):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    cell, params, state, xs = made(kind, 3, 4, 6)
    theirs = getattr(torch.nn, name)(3, 5).double()
    bias_hh = np.zeros_like(params["b"])
    if "b_hn" in params:
        bias_hh[2 * cell.hidden :] = params["b_hn"]
    values = (params["w_ih"], params["w_hh"], params["b"], bias_hh)
    with torch.no_grad():
        for place, value in zip(theirs.parameters(), values, strict=True):
            place.copy_(torch.from_numpy(np.array(value)))
        first = [torch.from_numpy(np.array(s))[None] for s in state]
        outputs, last = theirs(
            torch.from_numpy(np.array(xs)), first if len(first) > 1 else first[0]
        )
    ours_last, ours = cell.unroll(params, state, xs)
    np.testing.assert_allclose(ours, outputs.numpy(), rtol=1e-12, atol=1e-14)
    lasts = last if len(first) > 1 else (last,)
    for mine, other in zip(ours_last, lasts, strict=True):
        np.testing.assert_allclose(mine, other[0].numpy(), rtol=1e-12, atol=1e-14)


@recurrent_cells
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_unroll_equals_the_step_loop(float64, kind, size):
    cell, params, state, xs = made(kind, *size)
    step, outputs, now = jax.jit(cell.step), [], state
    for x in xs:
        now, h = step(params, now, x)
        outputs.append(h)
    for last, hs in (cell.unroll(params, state, xs), scan_unroll(cell, params, state, xs)):
        np.testing.assert_allclose(hs, outputs, rtol=1e-12, atol=1e-14)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-12, 1e-14), last, now)


@pytest.fixture(params=["one span", "single places", "spans and a rest"])
def spans(request, monkeypatch):
    """How many places the backward pass works on at a time."""
    if request.param == "single places":
        monkeypatch.setattr(unroll_module, "_SPAN_NUMBERS", 1)
    if request.param == "spans and a rest":
        monkeypatch.setattr(unroll_module, "span_length", lambda length, most: -(-length * 2 // 5))


@recurrent_cells
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gradients_of_the_unroll_equal_autodiff(float64, spans, kind, size):
    cell, params, state, xs = made(kind, *size)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=s.shape) for s in state]
    on_outputs = rng.normal(size=(*xs.shape[:2], cell.hidden))

    def through(unroll):
        def value(params, state, xs):
            last, hs = unroll(cell, params, state, xs)
            ends = sum((w * s).sum() for w, s in zip(weights, last, strict=True))
            return ends + (on_outputs * hs).sum()

        return jax.jit(jax.grad(value, argnums=(0, 1, 2)))(params, state, xs)

    ours, autodiff = through(recurrent_unroll), through(scan_unroll)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-10, 1e-12), ours, autodiff)


@recurrent_cells
@pytest.mark.parametrize("timescale", [None, 2.0, 20.0])
def test_initial_parameters_and_state(kind, timescale):
    cell = kind(4, 6)
    params = cell.init(jax.random.key(0), timescale)
    assert params["w_ih"].shape == (cell.gates * 6, 4)
    assert params["w_hh"].shape == (cell.gates * 6, 6)
    assert all(p.dtype == jnp.float32 and np.isfinite(p).all() for p in params.values())
    again, other = (cell.init(jax.random.key(k), timescale) for k in (0, 1))
    np.testing.assert_array_equal(params["w_hh"], again["w_hh"])
    assert (params["w_hh"] != other["w_hh"]).any()
    for s in cell.initial_state((2, 3)):
        np.testing.assert_array_equal(s, np.zeros((2, 3, 6)))


@recurrent_cells
def test_gradients_in_float32_are_close_to_float64(kind):
    with jax.enable_x64(True):
        cell, params, state, xs = made(kind, 4, 3, 30)

        def value(params, dtype):
            cast = jax.tree.map(lambda a: a.astype(dtype), (params, state, xs))
            return (recurrent_unroll(cell, *cast)[1] ** 2).sum()

        wide = jax.grad(value)(params, jnp.float64)
        narrow = jax.grad(value)(params, jnp.float32)
    for name in wide:
        size = np.abs(wide[name]).max()
        np.testing.assert_allclose(narrow[name], wide[name], rtol=0, atol=2e-5 * size)


@pytest.fixture(params=CELLS)
def model_and_inputs(request):
    model = make_model(request.param, 6, 4, 4, (8, 5))
    params = model.init(jax.random.key(0))
    return model, params, jax.random.normal(jax.random.key(1), (3, 12, 4))


def test_model_unroll_equals_its_step_loop(model_and_inputs):
    model, params, xs = model_and_inputs
    last, logits = model.unroll(params, model.initial_state((3,)), xs)
    state, step = model.initial_state((3,)), jax.jit(model.step)
    for t in range(xs.shape[1]):
        state, row = step(params, state, xs[:, t])
        np.testing.assert_allclose(row, logits[:, t], rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6), state, last)


@pytest.mark.parametrize(
    ("length", "at_most", "expected"),
    [(783, 32, 29), (783, 128, 87), (100, 128, 100), (101, 10, 10), (7, 0, 1), (1, 50, 1)],
)
def test_spans_divide_the_length_where_they_can(length, at_most, expected):
    assert span_length(length, at_most) == expected


@pytest.mark.parametrize("chunk", [1, 100, 200, 10**9])
def test_chunked_read_out_equals_the_whole(model_and_inputs, monkeypatch, chunk):
    model, params, xs = model_and_inputs
    monkeypatch.setattr(model_module, "_READOUT_CHUNK", chunk)

    def value(params):
        return (model.logits(params, xs) ** 2).sum()

    def unchunked(params):
        state = model.initial_state((3,))
        _, hs = model.cell.unroll(cell_params(params), state, xs.swapaxes(0, 1))
        for n in range(3):
            hs = jnp.maximum(hs, 0) @ params[f"readout.{n}.w"].T + params[f"readout.{n}.b"]
        return (hs**2).sum()

    ours, plain = (jax.jit(jax.value_and_grad(f))(params) for f in (value, unchunked))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-6), ours, plain)


def test_changing_an_input_changes_no_earlier_row(model_and_inputs):
    model, params, xs = model_and_inputs
    logits = jax.jit(model.logits)
    before = np.asarray(logits(params, xs))
    for t in range(xs.shape[1]):
        after = np.asarray(logits(params, xs.at[:, t].add(1.0)))
        np.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert (after[:, t] != before[:, t]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnn", 4, 4, 4), "unknown cell 'rnn'"),
        (("lstm", 0, 4, 4), "sizes must be 1 or more"),
        (("lstm", 4, 4, 0), "sizes must be 1 or more"),
        (("gru", 4, 4, 4, (8, 0)), "sizes must be 1 or more"),
    ],
)
def test_sizes_and_names_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_model(*arguments)
