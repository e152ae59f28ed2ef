"""Cells made of modules of any JAX library: Equinox, Flax NNX, or plain functions of a pytree.

    CELLS["mine"] = from_jax(make, step, initial_state)

A module is whatever pytree ``make`` returns. Its floating arrays are the parameters, named by where they
stand in it; all else belongs to the architecture and is made anew from the sizes. Nothing of those
libraries is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple, cast

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Cell, ParallelCell, Params, State

# (inputs, hidden, key) -> module.
Make = Callable[[int, int, Array], Any]
# (module, state, x (inputs,)) -> the new state, and the output (hidden,).
Step = Callable[[Any, Any, Array], tuple[Any, Array]]
# (module, state, xs (T, inputs)) -> the last state, and the outputs (T, hidden).
Unroll = Callable[[Any, Any, Array], tuple[Any, Array]]
# (inputs, hidden) -> the state before the first input.
InitialState = Callable[[int, int], Any]


class _Functions(NamedTuple):
    """What a user gives."""

    make: Make
    step: Step
    initial_state: InitialState
    unroll: Unroll | None = None


class _Structure(NamedTuple):
    """A module without its parameters. names: of parameters, in order. where: their places among the
    leaves. shapes: of the module's own arrays. leaves: all leaves, None for parameters."""

    names: list[str]
    where: list[int]
    shapes: list[tuple[int, ...]]
    leaves: list[Any]
    tree: Any


def from_jax(
    make: Make, step: Step, initial_state: InitialState, unroll: Unroll | None = None
) -> type[Cell]:
    """A cell, to be put into ``CELLS``, from a recurrent module of another JAX library.

    make(inputs, hidden, key): the module with random parameters, any pytree.
    step(module, state, x): one place of one sequence, x (inputs,); the new state, and what comes out,
    (hidden,).
    initial_state(inputs, hidden): the state before the first input, any pytree of float arrays.
    unroll(module, state, xs): all places of one sequence at once, xs (T, inputs), where the module
    knows a faster way than the loop over ``step``, and equal to it: the last state, and the outputs
    (T, hidden).

    Training, saving, loading and every command treat its parameters as those of any cell. Errors, when
    a network is made: ValueError where an array of the module is not of floating point (state of a
    random generator, counters), for which a checkpoint has no place, or where shapes are not as above.
    """
    functions = _Functions(make, step, initial_state, unroll)
    base = _FromJax if unroll is None else _ParallelFromJax
    return cast(type[Cell], type("FromJax", (base,), {"functions": functions}))


@dataclass(frozen=True)
class _FromJax(Cell):
    """State: the leaves of the module's own state."""

    functions: ClassVar[_Functions]

    def init(self, key: PRNGKeyArray, timescale: float | None = None) -> Params:
        """As the module's library makes them: ``timescale`` is not for it."""
        structure = _structure(self)
        leaves = jax.tree.leaves(self.functions.make(self.inputs, self.hidden, key))
        values = (jnp.asarray(leaves[where], jnp.float32) for where in structure.where)
        return {
            name: value.reshape(_flat(value.shape))
            for name, value in zip(structure.names, values, strict=True)
        }

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        own = jax.tree.leaves(self.functions.initial_state(self.inputs, self.hidden))
        first = (jnp.asarray(leaf, jnp.float32) for leaf in own)
        return tuple(
            jnp.broadcast_to(s.reshape((1,) * len(batch) + s.shape), (*batch, *s.shape))
            for s in first
        )

    def step(
        self, params: Params, state: State, x: Float[AnyArray, "*batch {self.inputs}"]
    ) -> tuple[State, Float[Array, "*places {self.hidden}"]]:
        own = jax.tree.leaves(_state_of(self))
        axes = [s.ndim - leaf.ndim for s, leaf in zip(state, own, strict=True)]
        before = [s.shape[:n] for s, n in zip(state, axes, strict=True)]
        batch = jnp.broadcast_shapes(x.shape[:-1], *before)
        wide = [
            jnp.broadcast_to(s, (*batch, *leaf.shape)).reshape(-1, *leaf.shape)
            for s, leaf in zip(state, own, strict=True)
        ]
        xs = jnp.broadcast_to(x, (*batch, self.inputs)).reshape(-1, self.inputs)
        own_step, wanted = self.functions.step, (self.hidden,)
        after, h = jax.vmap(lambda s, x: self._call(own_step, params, s, x, wanted))(
            tuple(wide), xs
        )
        return (
            tuple(s.reshape(*batch, *s.shape[1:]) for s in after),
            h.reshape(*batch, self.hidden),
        )

    def _call(
        self, function: Step, params: Params, state: State, x: Array, wanted: tuple[int, ...]
    ) -> tuple[State, Array]:
        """The module's step or unroll on one sequence. wanted: the shape of what comes out."""
        structure = _structure(self)
        leaves = list(structure.leaves)
        for name, where, shape in zip(*structure[:3], strict=True):
            leaves[where] = jnp.asarray(params[name]).reshape(shape)
        module = jax.tree.unflatten(structure.tree, leaves)
        tree: Any = jax.tree.structure(_state_of(self))
        after, h = function(module, jax.tree.unflatten(tree, state), x)
        found: Any = jax.tree.structure(after)
        if found != tree or [s.shape for s in jax.tree.leaves(after)] != [s.shape for s in state]:
            name = "step" if len(wanted) == 1 else "unroll"
            raise ValueError(f"the module's {name} returns another state than it takes: {found}")
        if h.shape != wanted:
            raise ValueError(f"the module's output is {h.shape}, expected {wanted}")
        # A module may count in float32 whatever it is given.
        same = tuple(a.astype(s.dtype) for a, s in zip(jax.tree.leaves(after), state, strict=True))
        return same, h


@dataclass(frozen=True)
class _ParallelFromJax(_FromJax, ParallelCell):
    """With the module's own way over all places."""

    def unroll(
        self, params: Params, state: State, xs: Float[AnyArray, "T B {self.inputs}"]
    ) -> tuple[State, Float[Array, "T B {self.hidden}"]]:
        own = self.functions.unroll
        assert own is not None, "a cell without an unroll is no parallel one"
        wanted = (len(xs), self.hidden)
        every = jax.vmap(lambda s, x: self._call(own, params, s, x, wanted), (0, 1), (0, 1))
        return every(state, xs)


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    """As a vector or a matrix, which is what optimisers and checkpoints hold."""
    if len(shape) in (1, 2):
        return shape
    return (shape[0], -1) if shape else (1,)


@cache
def _state_of(cell: _FromJax) -> Any:
    """The shapes of a state without a batch."""
    return jax.eval_shape(lambda: cell.functions.initial_state(cell.inputs, cell.hidden))


@cache
def _structure(cell: _FromJax) -> _Structure:
    """What a module is beside its parameters: traced, so that no memory is taken for these."""
    found: list[Any] = []

    def arrays(key: Array) -> list[Array]:
        module = cell.functions.make(cell.inputs, cell.hidden, key)
        paths, tree = jax.tree.flatten_with_path(module)
        found[:] = [tree, *paths]
        return [leaf for _, leaf in paths if isinstance(leaf, Array)]

    shapes = iter(jax.eval_shape(arrays, jax.random.key(0)))
    tree, *paths = found
    names, where, own, leaves = [], [], [], []
    for place, (path, leaf) in enumerate(paths):
        if not isinstance(leaf, Array):
            leaves.append(leaf)
            continue
        shape = next(shapes)
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        if not jnp.issubdtype(shape.dtype, jnp.floating):
            raise ValueError(
                f"the module's array {name} is {shape.dtype}: parameters are of floating point, and "
                "nothing else of a module is kept in checkpoints; leave it out of the module"
            )
        names.append(name)
        where.append(place)
        own.append(shape.shape)
        leaves.append(None)
    return _Structure(names, where, own, leaves, tree)
