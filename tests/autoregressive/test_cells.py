"""Cells and models: against other programs' cells, and against their own step loop."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn
from laws import (
    OF_CELLS,
    OF_RECURRENT_CELLS,
    gradients_of_the_unroll_equal_autodiff,
    made,
    small_model,
    unroll_equals_the_step_loop,
)

from autoregressive import model as model_module
from autoregressive.cells import CELLS, GRU, LSTM, RECURRENT
from autoregressive.model import Model, cell_params, make_model
from autoregressive.unroll import scan as unroll_module
from autoregressive.unroll.scan import portable_unroll, recurrent_unroll, span_length

recurrent_cells = pytest.mark.parametrize("kind", RECURRENT.values(), ids=RECURRENT)
# (inputs, batch, length): a single input, one-hot widths, wide ones, a single place.
SIZES = [(1, 1, 7), (4, 3, 6), (8, 1, 2), (9, 3, 6), (17, 2, 1), (4, 2, 1)]


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def test_lstm_is_the_one_of_jax_and_cudnn(float64):
    cell, params, (h, c), xs = made(LSTM, 3, 4, 6)
    first = {"b_ih": {0: params["b"] - 0.3}, "b_hh": {0: jnp.full_like(params["b"], 0.3)}}
    weights = ({0: params["w_ih"]}, {0: params["w_hh"]}, first["b_ih"], first["b_hh"])
    lengths = jnp.full((4,), 6, jnp.int32)
    with jax.numpy_rank_promotion("allow"):
        outputs, last_h, last_c = rnn.lstm_ref(
            xs.swapaxes(0, 1), h[None], c[None], *weights, lengths, 3, 5, 1, 0.0, False
        )
    last, hs = portable_unroll(cell, params, (h, c), xs)
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
    ours_last, ours = portable_unroll(cell, params, state, xs)
    np.testing.assert_allclose(ours, outputs.numpy(), rtol=1e-12, atol=1e-14)
    lasts = last if len(first) > 1 else (last,)
    for mine, other in zip(ours_last, lasts, strict=True):
        np.testing.assert_allclose(mine, other[0].numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("law", OF_RECURRENT_CELLS, ids=lambda law: law.__name__)
@recurrent_cells
def test_laws_of_recurrent_cells(kind, law):
    law(kind)


@pytest.mark.parametrize("law", OF_CELLS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", CELLS)
def test_laws(name, law):
    law(name)


@pytest.mark.parametrize("size", SIZES, ids=str)
@recurrent_cells
def test_unroll_and_its_gradients_equal_those_of_the_step_loop(kind, size):
    unroll_equals_the_step_loop(kind, *size)
    gradients_of_the_unroll_equal_autodiff(kind, *size)


@pytest.mark.parametrize("spans", ["single places", "spans and a rest"])
@recurrent_cells
def test_gradients_by_spans_equal_autodiff(kind, spans, monkeypatch):
    if spans == "single places":
        monkeypatch.setattr(unroll_module, "span_length", lambda length, most: 1)
    else:
        monkeypatch.setattr(unroll_module, "span_length", lambda length, most: 3)
    gradients_of_the_unroll_equal_autodiff(kind, 1, 2, 7)
    gradients_of_the_unroll_equal_autodiff(kind, 4, 3, 6)


@pytest.mark.parametrize("length", [2, 7])
@recurrent_cells
def test_two_halves_equal_the_step_loop(kind, length, monkeypatch):
    monkeypatch.setattr(unroll_module, "_HALVED", 1)
    monkeypatch.setattr(unroll_module, "_HALVED_PLACES", 2)
    lengths = []

    def noted(cell, params, state, xs):
        lengths.append(len(xs))
        return recurrent_unroll(cell, params, state, xs)

    monkeypatch.setattr(unroll_module, "recurrent_unroll", noted)
    unroll_equals_the_step_loop(kind, 4, 3, length)
    gradients_of_the_unroll_equal_autodiff(kind, 1, 3, length)
    assert set(lengths) == {length // 2, length - length // 2}


@pytest.mark.parametrize(
    ("length", "at_most", "expected"),
    [(783, 32, 29), (783, 128, 87), (100, 128, 100), (101, 10, 10), (7, 0, 1), (1, 50, 1)],
)
def test_spans_divide_the_length_where_they_can(length, at_most, expected):
    assert span_length(length, at_most) == expected


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


@pytest.mark.parametrize("chunk", [1, 100, 200, 10**9])
@pytest.mark.parametrize("name", ["lstm", "gru", "transformer"])
def test_chunked_read_out_equals_the_whole(name, monkeypatch, chunk):
    model, params, xs = small_model(name)
    monkeypatch.setattr(model_module, "_READOUT_CHUNK", chunk)

    def value(params):
        return (model.logits(params, xs) ** 2).sum()

    def unchunked(params):
        state = model.initial_state((3,))
        _, hs = portable_unroll(model.cell, cell_params(params), state, xs.swapaxes(0, 1))
        for n in range(3):
            hs = jnp.maximum(hs, 0) @ params[f"readout.{n}.w"].T
            hs = hs + params[f"readout.{n}.b"][None, None]
        return (hs**2).sum()

    ours, plain = (jax.jit(jax.value_and_grad(f))(params) for f in (value, unchunked))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-6), ours, plain)


@pytest.mark.parametrize(("name", "length", "span"), [("lstm", 12, 4), ("gru", 11, 5)])
def test_a_very_long_sequence_computed_again_in_spans_equals_the_whole(
    name, monkeypatch, length, span
):
    model, params, xs = small_model(name)
    xs, start = xs[:, :length], jax.tree.map(lambda s: s + 0.3, model.initial_state((3,)))
    lengths = []

    def unroll(self, params, state, xs, unchanged=Model._unroll):
        lengths.append(xs.shape[1])
        return unchanged(self, params, state, xs)

    def value(params, start):
        last, logits = model.unroll(params, start, xs)
        return (logits**2).sum() + sum((s**2).sum() for s in last)

    def gradients():
        # A function of its own each time, so that nothing compiled before is taken.
        return jax.jit(jax.value_and_grad(lambda *a: value(*a), argnums=(0, 1)))(params, start)

    monkeypatch.setattr(Model, "_unroll", unroll)
    whole = gradients()
    monkeypatch.setattr(model_module, "_RECOMPUTED", {})
    monkeypatch.setattr(model_module, "_RECOMPUTED_ELSEWHERE", 0)
    monkeypatch.setattr(model_module, "_RECOMPUTED_SPAN", 5 * xs.shape[0] * model.cell.hidden)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-4, 1e-5), gradients(), whole)
    assert lengths[0] == length and set(lengths[1:]) == {span, length % span} - {0}


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
