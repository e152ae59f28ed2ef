"""Modules of other JAX libraries as cells, in every command."""

from __future__ import annotations

import json
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TRAIN
from laws import (
    changing_an_input_changes_no_earlier_row,
    model_unroll_equals_its_step_loop,
    parameters_and_state_are_float32_and_follow_the_key,
)
from naive import gru_step, lstm_step
from registries import FOLDER, registries_as_they_were
from running import run

from autoregressive.cells import CELLS
from autoregressive.cells.from_jax import from_jax
from autoregressive.model import make_model
from meta_learning.learner import Learner

LIBRARIES = {"equinox-gru": ("equinox", "equinox_gru"), "flax-lstm": ("flax", "flax_lstm")}
libraries = pytest.mark.parametrize("name", LIBRARIES)


def example(name):
    """Registers an example's cell; skips where its library is not installed."""
    library, file = LIBRARIES[name]
    pytest.importorskip(library, reason=f"{library} is not installed: extra models")
    runpy.run_path(str(FOLDER / f"{file}.py"))
    return CELLS[name]


@pytest.fixture
def as_users():
    """Modules of users may add axes in silence, as NumPy and JAX do."""
    with jax.numpy_rank_promotion("allow"), registries_as_they_were():
        yield


@libraries
def test_laws(name, as_users):
    parameters_and_state_are_float32_and_follow_the_key(example(name))
    model_unroll_equals_its_step_loop(name)
    changing_an_input_changes_no_earlier_row(name)


@libraries
def test_it_computes_what_its_library_says(name, as_users):
    """With the library's weights in the equations in NumPy."""
    cell = example(name)(3, 5)
    params = {k: np.asarray(v, np.float64) for k, v in cell.init(jax.random.key(0)).items()}
    xs = np.random.default_rng(0).normal(size=(6, 2, 3))
    if name == "equinox-gru":
        own = {"w_ih": params["cell.weight_ih"], "w_hh": params["cell.weight_hh"]}
        own |= {"b": params["cell.bias"], "b_hn": params["cell.bias_n"]}
        expected = (np.zeros((2, 5)),)
    else:
        gates = {"i": "i", "f": "f_", "g": "g", "o": "o"}
        own = {
            "w_ih": np.concatenate([params[f"i{g}.kernel.value"].T for g in gates.values()]),
            "w_hh": np.concatenate([params[f"h{g}.kernel.value"].T for g in gates]),
            "b": np.concatenate([params[f"h{g}.bias.value"] for g in gates]),
        }
        expected = (np.zeros((2, 5)),) * 2
    state = cell.initial_state((2,))
    step = jax.jit(cell.step)
    for x in xs:
        state, h = step({k: jnp.asarray(v, jnp.float32) for k, v in params.items()}, state, x)
        if name == "equinox-gru":
            expected = gru_step(own, expected, x)
            mean = expected[0].mean(1, keepdims=True)
            wanted = (expected[0] - mean) / np.sqrt(expected[0].var(1, keepdims=True) + 1e-5)
        else:
            expected = lstm_step(own, expected, x)
            wanted = expected[0]
        np.testing.assert_allclose(h, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("equinox-gru", ("audit", "--only-gap", "--tasks", 40)),
        ("flax-lstm", ("hidden", "--streams", 40)),
    ],
)
def test_commands_take_it_and_its_checkpoint(name, command, as_users, tmp_path):
    example(name)
    out = tmp_path / "out"
    trained = run(*TRAIN, "--cell", name, "--out", out, "--quiet")
    assert trained.exit_code == 0, trained.stderr
    network = out / "network-seed0.safetensors"
    result = run(*command, "--checkpoint", network, "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["cell"] == name
    again = Learner.load(network)
    first = again.model.init(jax.random.key(0))
    assert again.params.keys() == first.keys()
    # Trained: all of them moved.
    assert all((again.params[k] != first[k]).any() for k in first if "bias" not in k)
    copy = tmp_path / "copy.safetensors"
    again.save(copy)
    symbols = np.array([[0, 1, 2, 3, 0, 0, 1, 3]])
    np.testing.assert_array_equal(
        Learner.load(copy).log_predictive(symbols), again.log_predictive(symbols)
    )


def module(inputs, hidden, key):
    """A pytree of no library, with parameters of all ranks and leaves that are none."""
    keys = jax.random.split(key, 3)
    return {
        "in": jax.random.normal(keys[0], (hidden, inputs)),
        "mix": jax.random.normal(keys[1], (2, hidden, hidden)) / hidden,
        "scale": jnp.float32(0.9),
        "after": jnp.tanh,
        "times": 2,
    }


def module_step(module, state, x):
    h = module["scale"] * state["h"] @ module["mix"].sum(0) + module["in"] @ x
    h = module["after"](module["times"] * h)
    return {"h": h, "seen": state["seen"] + 1.0}, h


def module_state(inputs, hidden):
    return {"h": jnp.zeros(hidden), "seen": jnp.zeros(())}


def test_any_pytree_with_parameters_of_any_rank(as_users):
    CELLS["own"] = from_jax(module, module_step, module_state)
    model_unroll_equals_its_step_loop("own")
    model = make_model("own", 6, 4, 4)
    params = model.init(jax.random.key(0))
    shapes = {k: v.shape for k, v in params.items() if k.startswith("cell.")}
    assert shapes == {"cell.in": (6, 4), "cell.mix": (2, 36), "cell.scale": (1,)}
    own = module(4, 6, jax.random.split(jax.random.key(0))[0])
    state, x = module_state(4, 6), jnp.arange(4.0)
    _, ours = model.cell.step(
        {k.removeprefix("cell."): v for k, v in params.items()}, model.initial_state(), x
    )
    np.testing.assert_allclose(ours, module_step(own, state, x)[1], rtol=1e-6)


def decay_step(module, state, x):
    state = module["scale"] * state + module["in"] @ x
    return state, state


def decay_unroll(module, state, xs):
    def after(one, other):
        return other[0] * one[0], other[0] * one[1] + other[1]

    terms = (xs @ module["in"].T).at[0].add(module["scale"] * state)
    factors = jnp.broadcast_to(module["scale"], terms.shape)
    states = jax.lax.associative_scan(after, (factors, terms))[1]
    return states[-1], states


def test_a_module_with_an_unroll_of_its_own_agrees_with_its_step(as_users):
    """And the unroll is what a network runs by: one that is wrong is seen."""

    def zeros(inputs, hidden):
        return jnp.zeros(hidden)

    CELLS["own"] = from_jax(module, decay_step, zeros, decay_unroll)
    model_unroll_equals_its_step_loop("own")
    CELLS["wrong"] = from_jax(module, decay_step, zeros, lambda m, s, xs: (s, 0 * xs @ m["in"].T))
    with pytest.raises(AssertionError):
        model_unroll_equals_its_step_loop("wrong")
    short = from_jax(module, decay_step, zeros, lambda m, s, xs: (s, xs))(4, 6)
    with pytest.raises(ValueError, match=r"output is \(5, 4\), expected \(5, 6\)"):
        short.unroll(short.init(jax.random.key(0)), short.initial_state((2,)), jnp.zeros((5, 2, 4)))


def test_what_a_checkpoint_cannot_hold_is_named():
    def make(inputs, hidden, key):
        return {**module(inputs, hidden, key), "steps": jnp.zeros((), jnp.int32)}

    with pytest.raises(ValueError, match="array steps is int32"):
        from_jax(make, module_step, module_state)(4, 6).init(jax.random.key(0))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda m, s, x: (s, x), r"output is \(4,\), expected \(6,\)"),
        (lambda m, s, x: (s["h"], s["h"]), "another state than it takes"),
    ],
)
def test_steps_of_other_shapes_are_refused(step, message):
    cell = from_jax(module, step, module_state)(4, 6)
    with pytest.raises(ValueError, match=message):
        cell.step(cell.init(jax.random.key(0)), cell.initial_state(), jnp.zeros(4))
