"""The two loops over places as one GPU kernel each (Pallas, by way of Triton).

A program of the grid takes some rows of the batch through all places, with the state and the recurrent
weights in registers; a loop of small kernels would spend its time on launching them. Float32, with dot
products at full precision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.experimental import pallas as pl
from jaxtyping import Float, Int, PyTree

from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Params, RecurrentCell, State
from autoregressive.unroll.scan import SCANS, Loops, recurrent_unroll

# A piece of memory that a kernel reads and writes as an array.
Ref = Any
# Rows of the batch in one program: the fewest that a dot product takes.
_ROWS = 16
# Hidden sizes whose weights fit into registers.
SIZES = (16, 32, 64)


def kernel_forward(
    cell: RecurrentCell,
    params: Params,
    state: State,
    xs: Float[AnyArray, "T B {cell.inputs}"],
    keep: int | None,
    *,
    interpret: bool = False,
) -> tuple[State, tuple[Float[Array, "T B {cell.hidden}"], ...]]:
    """As ``scan_forward``."""
    n, (length, batch, _) = cell.hidden, xs.shape
    kept = len(state) if keep is None else keep
    bias = cell.hidden_bias(params)
    if bias is None:
        bias = jnp.zeros((cell.gates * n,), xs.dtype)

    def kernel(inputs: Ref, weights: Ref, biases: Ref, *refs: Ref) -> None:
        firsts, lasts, states = refs[: len(state)], refs[len(state) : -kept], refs[-kept:]
        gates = [pl.ds(g * n, n) for g in range(cell.gates)]
        w = [weights[:, gate] for gate in gates]
        b = [biases[:, gate] for gate in gates]

        def place(t: Int[Array, ""], now: State) -> State:
            from_hidden = [_dot(now[0], v) + u for v, u in zip(w, b, strict=True)]
            now = cell.next_state(now, [inputs[t, :, gate] for gate in gates], from_hidden)
            for ref, value in zip(states, now[:kept], strict=True):
                ref[t, :, :] = value
            return now

        now = lax.fori_loop(0, length, place, tuple(ref[...] for ref in firsts))
        for ref, value in zip(lasts, now, strict=True):
            ref[...] = value

    rows = -(-batch // _ROWS) * _ROWS
    whole = pl.BlockSpec((n, cell.gates * n), lambda i: (0, 0))
    of_bias = pl.BlockSpec((1, cell.gates * n), lambda i: (0, 0))
    outs = _call(
        kernel,
        rows,
        [_places(length, cell.gates * n), whole, of_bias, *[_state(n)] * len(state)],
        [*[_state(n)] * len(state), *[_places(length, n)] * kept],
        [(rows, n)] * len(state) + [(length, rows, n)] * kept,
        interpret,
    )(
        _pad(cell.from_input(params, xs), rows),
        params["w_hh"].T,
        bias[None],
        *[_pad(s, rows) for s in state],
    )
    lasts, states = outs[: len(state)], outs[len(state) :]
    return tuple(s[:batch] for s in lasts), tuple(s[:, :batch] for s in states)


def kernel_backward(
    cell: RecurrentCell,
    w_hh: Float[Array, "{cell.blocks*cell.hidden} {cell.hidden}"],
    d_state: State,
    d_outputs: Float[Array, "T B {cell.hidden}"],
    factors: PyTree[Float[Array, "T B {cell.hidden}"]],
    *,
    interpret: bool = False,
) -> tuple[State, Float[Array, "T B {cell.blocks*cell.hidden}"]]:
    """As ``scan_backward``."""
    n, (length, batch, _) = cell.hidden, d_outputs.shape
    leaves, tree = jax.tree.flatten(factors)

    def kernel(d_out: Ref, weights: Ref, *refs: Ref) -> None:
        parts = len(d_state)
        of_factors, d_lasts = refs[: len(leaves)], refs[len(leaves) : len(leaves) + parts]
        d_firsts, packed = refs[len(leaves) + parts : -1], refs[-1]
        blocks = [pl.ds(b * n, n) for b in range(cell.blocks)]
        w = [weights[block, :] for block in blocks]

        def place(i: Int[Array, ""], now: State) -> State:
            t = length - 1 - i
            here = jax.tree.unflatten(tree, [ref[t, :, :] for ref in of_factors])
            before, d = cell.pull_back(here, (now[0] + d_out[t, :, :], *now[1:]))
            d_h = before[0]
            for block, value, v in zip(blocks, d, w, strict=True):
                packed[t, :, block] = value
                d_h = d_h + _dot(value, v)
            return (d_h, *before[1:])

        now = lax.fori_loop(0, length, place, tuple(ref[...] for ref in d_lasts))
        for ref, value in zip(d_firsts, now, strict=True):
            ref[...] = value

    rows = -(-batch // _ROWS) * _ROWS
    whole = pl.BlockSpec((cell.blocks * n, n), lambda i: (0, 0))
    of_places, of_state = _places(length, n), _state(n)
    *d_first, packed = _call(
        kernel,
        rows,
        [of_places, whole, *[of_places] * len(leaves), *[of_state] * len(d_state)],
        [*[of_state] * len(d_state), _places(length, cell.blocks * n)],
        [(rows, n)] * len(d_state) + [(length, rows, cell.blocks * n)],
        interpret,
    )(
        _pad(d_outputs, rows),
        w_hh,
        *[_pad(leaf, rows) for leaf in leaves],
        *[_pad(d, rows) for d in d_state],
    )
    return tuple(d[:batch] for d in d_first), packed[:, :batch]


# On a GPU spans save no time, only memory: as few as that allows.
KERNELS = Loops(kernel_forward, kernel_backward, 2**28)
# The same on any device, slowly, for tests.
INTERPRETED = Loops(
    partial(kernel_forward, interpret=True), partial(kernel_backward, interpret=True), 2**28
)


@cache
def why_no_kernels(cell: RecurrentCell) -> str:
    """Why this machine cannot run the kernels for a cell like this; empty where it can.

    It can where the kernels compile here, and agree with the scans on the outputs and gradients of a
    small case.
    """
    if cell.hidden not in SIZES:
        return f"kernels exist for {', '.join(map(str, SIZES))} hidden units"
    small = dataclasses.replace(cell, inputs=2)

    def through(loops: Loops) -> PyTree[np.ndarray]:
        keys = jax.random.split(jax.random.key(0))
        xs = jax.random.normal(keys[1], (3, 5, 2), jnp.float32)

        def value(params: Params) -> Float[Array, ""]:
            state = small.initial_state((5,))
            return (recurrent_unroll(small, params, state, xs, loops)[1] ** 2).sum()

        with jax.default_matmul_precision("highest"):
            found = jax.jit(jax.value_and_grad(value))(small.init(keys[0]))
        return jax.tree.map(np.asarray, found)

    try:
        # In another thread: the caller may be tracing a program, and this must run, not be traced.
        with ThreadPoolExecutor(1) as pool:
            ours, scans = pool.map(through, (KERNELS, SCANS))
    except ImportError:
        return "this JAX has no way from Pallas to Triton"
    except Exception as error:  # whatever a compiler of another version says
        return f"kernels do not compile here ({type(error).__name__})"
    close = jax.tree.map(lambda a, b: np.allclose(a, b, rtol=1e-4, atol=1e-5), ours, scans)
    return "" if all(jax.tree.leaves(close)) else "kernels and scans disagree here"


def _dot(a: Float[Array, "m k"], b: Float[Array, "k n"]) -> Float[Array, "m n"]:
    return jnp.dot(a, b, precision=lax.Precision.HIGHEST)


def _places(length: int, width: int) -> pl.BlockSpec:
    return pl.BlockSpec((length, _ROWS, width), lambda i: (0, i, 0))


def _state(width: int) -> pl.BlockSpec:
    return pl.BlockSpec((_ROWS, width), lambda i: (i, 0))


def _pad(value: Float[Array, "*places B width"], rows: int) -> Float[Array, "*places {rows} width"]:
    """The batch, the last axis but one, filled up with zeros."""
    room = [(0, 0)] * value.ndim
    room[-2] = (0, rows - value.shape[-2])
    return jnp.pad(value, room)


def _call(
    kernel: Callable[..., None],
    rows: int,
    ins: Sequence[pl.BlockSpec],
    outs: Sequence[pl.BlockSpec],
    shapes: Sequence[tuple[int, ...]],
    interpret: bool,
) -> Callable[..., Sequence[Array]]:
    """The kernel as a function of arrays. ins, outs: how they are cut. shapes: of the outputs.

    Errors: ImportError where JAX has no way to Triton, unless interpreted.
    """
    params = None
    if not interpret:
        from jax.experimental.pallas import triton

        params = triton.CompilerParams(num_warps=4, num_stages=1)
    return pl.pallas_call(
        kernel,
        grid=(rows // _ROWS,),
        in_specs=ins,
        out_specs=outs,
        out_shape=[jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes],
        compiler_params=params,
        interpret=interpret,
    )
