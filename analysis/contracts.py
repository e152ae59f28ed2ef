"""Whether processes and cells of the user's own give what they must, before anything is trained: by
their shapes, and a process by the probabilities and coordinates of two short streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from analysis import extensions
from autoregressive.precision import float64

# Places of the streams that a process is tried on.
_LENGTH = 12

if TYPE_CHECKING:
    from meta_learning.processes import Process


def check_process(process: Process) -> None:
    """Nothing for a process of the package. Errors: ValueError where ``--load`` brought it and its
    belief changes its shape, its predictive is no distribution over the symbols, or its coordinates
    are no finite vectors."""
    if process.name not in extensions.members("process"):
        return
    what = f"the process {process.name!r}"
    with float64():
        belief = _shapes(f"{what}: initial_belief", lambda: process.initial_belief(4))
        symbol = jax.ShapeDtypeStruct((), jnp.int32)
        after = _shapes(f"{what}: update", process.update, belief, symbol)
        if after != belief:
            raise ValueError(
                f"{what}: update gives {_show(after)}; expected the belief's own shapes and types, "
                f"as initial_belief gives them: {_show(belief)}"
            )
        said = _shapes(f"{what}: log_predictive_of", process.log_predictive_of, belief)
    wanted = (process.num_symbols,)
    if getattr(said, "shape", None) != wanted or said.dtype.kind != "f":
        raise ValueError(
            f"{what}: log_predictive_of gives {_show(said)}; expected floats of shape {wanted}, "
            "log p of each symbol"
        )
    _check_coordinate_shapes(what, process)
    streams = process.sample_with_latent(jax.random.key(0), 2, _LENGTH)
    process.log_predictive(streams.symbols)
    process.log_predictive_given_latent(streams)
    for name, values in process.coordinates_along(streams.symbols).items():
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            stream, place, _ = wrong[0]
            raise ValueError(
                f"{what}: coordinates gives {name!r} with {values[tuple(wrong[0])]} at place {place} of "
                f"stream {stream} (both counted from 0); expected finite numbers"
            )


def _check_coordinate_shapes(what: str, process: Process) -> None:
    """Errors: ValueError where ``coordinates`` gives no dict of float vectors, or other ones for a
    belief that takes in more draws."""

    def found(draws: int) -> PyTree:
        return _shapes(
            f"{what}: coordinates", lambda: process.coordinates(process.initial_belief(draws))
        )

    with float64():
        first, more = found(1), found(_LENGTH)
    if not isinstance(first, dict) or not all(
        isinstance(name, str)
        and getattr(leaf, "ndim", None) == 1
        and jnp.issubdtype(leaf.dtype, jnp.floating)
        for name, leaf in first.items()
    ):
        raise ValueError(
            f"{what}: coordinates gives {_show(first)}; expected a dict of float vectors by name"
        )
    if more != first:
        raise ValueError(
            f"{what}: coordinates gives {_show(first)} of a belief for 1 draw, and {_show(more)} of one "
            f"for {_LENGTH}; expected the same names and shapes"
        )


def check_cell(name: str) -> None:
    """Nothing for a cell of the package. Errors: ValueError where ``--load`` brought it and its
    parameters, state or output are not what ``Cell`` says."""
    if name not in extensions.members("cell"):
        return
    from autoregressive.cells import CELLS
    from autoregressive.cells.base import Cell

    what, (batch, inputs, hidden) = f"the cell {name!r}", (2, 3, 4)
    cell = CELLS[name](inputs, hidden)
    if not isinstance(cell, Cell):
        raise ValueError(f"{what} gives a {type(cell).__name__}; expected a Cell(inputs, hidden)")
    params = _shapes(f"{what}: init", lambda: cell.init(jax.random.key(0)))
    if not isinstance(params, dict) or not all(
        getattr(leaf, "dtype", None) == jnp.float32 for leaf in params.values()
    ):
        raise ValueError(f"{what}: init gives {_show(params)}; expected a dict of float32 arrays")
    state = _shapes(f"{what}: initial_state", lambda: cell.initial_state((batch,)))
    x = jax.ShapeDtypeStruct((batch, inputs), jnp.float32)
    stepped = _shapes(f"{what}: step", cell.step, params, state, x)
    if not isinstance(stepped, tuple) or len(stepped) != 2:
        raise ValueError(f"{what}: step gives {_show(stepped)}; expected (new state, output)")
    after, out = stepped
    if after != state:
        raise ValueError(
            f"{what}: step gives the state {_show(after)}; expected the shapes and types of "
            f"initial_state: {_show(state)}"
        )
    if getattr(out, "shape", None) != (batch, hidden) or out.dtype != jnp.float32:
        raise ValueError(
            f"{what}: step gives the output {_show(out)}; expected float32 of shape "
            f"{(batch, hidden)}, (batch, hidden)"
        )


def _shapes(what: str, function: Callable[..., PyTree], *given: PyTree) -> PyTree:
    """What a function would return, as shapes. Errors: its own; ValueError where it gives no arrays."""
    try:
        return jax.eval_shape(function, *given)
    except TypeError as error:
        if extensions.place_of(error):
            raise
        raise ValueError(f"{what} gives no arrays: {str(error).splitlines()[0]}") from None


def _show(value: PyTree) -> str:
    """Shapes in short: "(float64(3,), int32())"."""
    return str(jax.tree.map(lambda leaf: _Shown(f"{leaf.dtype}{leaf.shape}"), value))


class _Shown(str):
    """A text that a tree shows without quotes."""

    __repr__ = str.__str__
