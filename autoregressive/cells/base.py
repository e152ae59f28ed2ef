"""What a cell is: a causal sequence layer with a state.

A cell is a small frozen value that holds its sizes; its parameters live in a plain dict, so that a
training loop can be written by hand:

    cell = LSTM(inputs=4, hidden=32)
    params = cell.init(key)
    state = cell.initial_state((batch,))
    state, h = cell.step(params, state, x)      # x: (batch, 4), h: (batch, 32)

How a cell runs over whole sequences is chosen in ``autoregressive.unroll``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray, PyTree

from autoregressive.broadcast import AnyArray, affine, align

if TYPE_CHECKING:
    Params = dict[str, Array]
    State = tuple[Array, ...]
else:  # NumPy's float64 parameters are what in-painting and the tests' judges run with
    Params = dict[str, Float[AnyArray, "..."]]
    State = tuple[Float[AnyArray, "..."], ...]
# Gates, or their cotangents: one array or several.
Gates = tuple[Float[Array, "..."], ...]


@dataclass(frozen=True)
class Cell(ABC):
    """A causal sequence layer: what comes out at place t depends on the inputs up to t only.

    ``inputs`` and ``hidden`` are the sizes of the input and of the output at each place.
    """

    inputs: int
    hidden: int

    @abstractmethod
    def init(self, key: PRNGKeyArray, timescale: float | None = None) -> Params:
        """Random parameters. ``timescale`` is the longest memory, in steps, that the initial gates
        should span; None leaves the cell's plain initialisation."""

    @abstractmethod
    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        """The state before the first input, zeros, with leading axes ``batch``."""

    @abstractmethod
    def step(
        self, params: Params, state: State, x: Float[AnyArray, "*batch {self.inputs}"]
    ) -> tuple[State, Float[Array, "*places {self.hidden}"]]:
        """One place. Returns the new state and the output. Their leading axes are those of ``x``
        and of the state, broadcast against each other."""


class ParallelCell(Cell):
    """A cell that knows a faster way over all places than the loop over ``step``."""

    @abstractmethod
    def unroll(
        self, params: Params, state: State, xs: Float[AnyArray, "T B {self.inputs}"]
    ) -> tuple[State, Float[Array, "T B {self.hidden}"]]:
        """All places at once, time first, equal to the loop over ``step`` up to rounding.

        Returns the last state and the outputs.
        """


@dataclass(frozen=True)
class RecurrentCell(Cell):
    """A gated cell: a matrix product with the input and one with the hidden state, then element-wise
    gates, then the new state. The split is what lets one hand-written backward pass serve every such
    cell. ``state[0]`` is the hidden state, which is also the output.

    The pre-activations of the gates come from the input and from the hidden state, each (..., gates *
    hidden). Their cotangents are packed in blocks of ``hidden``, because both sides share most of
    them: ``input_blocks`` and ``hidden_blocks`` say which block each gate's is. ``gate_by_gate``: the
    loop over places goes by ``next_state``, for cells whose gates are not alike: where one array holds
    the inputs of them all, XLA does not use a CPU's vectors.
    """

    gates: ClassVar[int]
    blocks: ClassVar[int]
    input_blocks: ClassVar[tuple[int, ...]]
    hidden_blocks: ClassVar[tuple[int, ...]]
    gate_by_gate: ClassVar[bool] = False

    @abstractmethod
    def activations(
        self, from_input: Float[Array, "*#batch rows"], from_hidden: Float[Array, "*#batch rows"]
    ) -> Gates:
        """The gates after their nonlinearities, from both pre-activations."""

    @abstractmethod
    def advance(self, state: State, activations: Gates) -> State:
        """The new state."""

    @abstractmethod
    def factors(self, before: State, after: State, activations: Gates) -> PyTree[Array]:
        """What ``pull_back`` multiplies cotangents with: arrays (..., hidden)."""

    @abstractmethod
    def pull_back(self, factors: PyTree[Array], d_after: State) -> tuple[State, Gates]:
        """From the cotangent of the new state: that of the state before it, without what passes
        through the hidden product, and those of the pre-activations, ``blocks`` of (..., hidden)."""

    @abstractmethod
    def next_state(
        self,
        state: State,
        from_input: Sequence[Float[Array, "..."]],
        from_hidden: Sequence[Float[Array, "..."]],
    ) -> State:
        """``advance`` after ``activations``, with the pre-activations gate by gate (..., hidden): for
        ``gate_by_gate``, and for kernels, which can neither split nor join arrays."""

    def hidden_bias(self, params: Params) -> Float[Array, " rows"] | None:
        """A bias, gates * hidden rows, added to the product with the hidden state, if there is one."""
        return None

    def from_input(
        self, params: Params, x: Float[AnyArray, "*batch {self.inputs}"]
    ) -> Float[Array, "*batch {self.gates*self.hidden}"]:
        """Pre-activations from inputs."""
        if self.inputs == 1:  # so it fuses with the gates
            return jnp.asarray(x) * align(params["w_ih"][:, 0], x) + align(params["b"], x)
        return affine(params["w_ih"], params["b"], x)

    def from_hidden(
        self, params: Params, h: Float[Array, "*batch {self.hidden}"]
    ) -> Float[Array, "*batch {self.gates*self.hidden}"]:
        """Pre-activations from hidden states."""
        bias = self.hidden_bias(params)
        return h @ params["w_hh"].T if bias is None else affine(params["w_hh"], bias, h)

    def step(
        self, params: Params, state: State, x: Float[AnyArray, "*batch {self.inputs}"]
    ) -> tuple[State, Float[Array, "*places {self.hidden}"]]:
        # A state and an input may have leading axes that only the other one has.
        ours, theirs = self.from_input(params, x), self.from_hidden(params, state[0])
        gates = self.activations(align(ours, theirs), align(theirs, ours))
        state = self.advance(tuple(align(s, ours) for s in state), gates)
        return state, state[0]

    def _weights(self, key: PRNGKeyArray) -> Params:
        """Glorot-uniform over the joint matrix of input and hidden state, zero biases."""
        key_ih, key_hh = jax.random.split(key)
        width = self.gates * self.hidden
        bound = (6.0 / (self.inputs + self.hidden + width)) ** 0.5
        return {
            "w_ih": jax.random.uniform(key_ih, (width, self.inputs), jnp.float32, -bound, bound),
            "w_hh": jax.random.uniform(key_hh, (width, self.hidden), jnp.float32, -bound, bound),
            "b": jnp.zeros((width,), jnp.float32),
        }


def log_timescales(key: PRNGKeyArray, hidden: int, timescale: float) -> Float[Array, " {hidden}"]:
    """log of uniform draws from 1 to timescale - 1 (Tallec and Ollivier 2018, 'chrono')."""
    return jnp.log(jax.random.uniform(key, (hidden,), jnp.float32, 1.0, max(timescale - 1, 1.001)))
