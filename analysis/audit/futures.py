"""Futures of a task, sampled from a predictor's own probabilities: networks and exact machines alike.

A predictor reads a history, then draws a symbol from its own probabilities, reads it and goes on. A
network runs in float32; a machine, whose belief starts anew at every RESET, in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int, Int32, Integer, PRNGKeyArray, PyTree, Shaped

from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Params
from autoregressive.precision import float64
from meta_learning.learner import Learner
from meta_learning.processes.machine import Machine

# Rolls in one compiled call: their states stay in a processor's cache.
_CHUNK_ROLLS = 2**13
# What a predictor holds: a network's state, or a machine's belief.
State: TypeAlias = PyTree[Shaped[AnyArray, "..."]]
# Counts of futures.
Rolled = Integer[np.ndarray, "tasks rolls symbols"]
# Between draws: state, logits, counts, and the log probability of no RESET so far.
Carry = tuple[
    State, Float[Array, "rows outcomes"], Int32[Array, "rows symbols"], Float[Array, " rows"]
]
# One predictor's futures, as a function of key, streams, places and draws (``_sample``): their counts,
# and the mean probability of a RESET among them.
Futures = Callable[
    [PRNGKeyArray, Integer[np.ndarray, "tasks length"], int, int], tuple[Rolled, float]
]


@runtime_checkable
class StepModel(Protocol):
    """What reads symbol by symbol: ``autoregressive.model.Model`` or ``BeliefModel``. Hashable."""

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        """The state before the first input, with leading axes ``batch``."""

    def step(
        self, params: Params, state: State, x: Float[Array, "batch outcomes"]
    ) -> tuple[State, Float[Array, "batch outcomes"]]:
        """x one-hot (batch, K+1) -> the new state and logits (batch, K+1) for what follows."""


@dataclass(frozen=True)
class BeliefModel:
    """A machine with a network's interface: its state is its belief, which RESET clears.

    draws: of a task, for which the machine makes room in its belief.
    """

    machine: Machine
    draws: int

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        """The machine's initial belief, with leading axes ``batch``."""
        begin = self.machine.initial_belief(self.draws)
        return jax.tree.map(lambda a: jnp.broadcast_to(a, (*batch, *jnp.shape(a))), begin)

    def step(
        self, params: Params, state: State, x: Float[Array, "batch outcomes"]
    ) -> tuple[State, Float[Array, "batch outcomes"]]:
        """x one-hot (batch, K+1) -> beliefs and logits (batch, K+1), RESET's -inf; no ``params``.

        The logits are float32, as a network's: then equal keys choose equal symbols.
        """
        K = self.machine.num_symbols

        def one(
            belief: State, x: Float[Array, " outcomes"]
        ) -> tuple[State, Float[Array, " outcomes"]]:
            after = self.machine.update(belief, x[:K].argmax())
            begin = self.machine.initial_belief(self.draws)
            belief = jax.tree.map(lambda new, old: jnp.where(x[K] > 0, new, old), begin, after)
            return belief, jnp.append(self.machine.log_predictive_of(belief), -jnp.inf)

        belief, log_p = jax.vmap(one)(state, x)
        return belief, log_p.astype(jnp.float32)


def network_futures(learner: Learner, rolls: int) -> Futures:
    """Samples futures of a network, ``rolls`` of each history."""
    return partial(_sample, learner.model, learner.num_symbols, rolls, learner.params)


def machine_futures(machine: Machine, rolls: int, draws: int) -> Futures:
    """Samples futures of an exact machine, ``rolls`` of each history. draws: of a task."""

    def sample(
        key: PRNGKeyArray, streams: Integer[np.ndarray, "tasks length"], places: int, more: int
    ) -> tuple[Rolled, float]:
        with float64():
            belief = BeliefModel(machine, draws)
            return _sample(belief, machine.num_symbols, rolls, {}, key, streams, places, more)

    return sample


def _sample(
    predictor: StepModel,
    K: int,
    rolls: int,
    params: Params,
    key: PRNGKeyArray,
    streams: Integer[np.ndarray, "tasks length"],
    places: int,
    draws: int,
) -> tuple[Rolled, float]:
    """Counts (tasks, rolls, K) of ``draws`` symbols sampled after the first ``places`` of each stream,
    and the mean probability of a RESET among them. Errors: ValueError for outputs that are not finite.
    """
    tasks = len(streams)
    rows = min(tasks, max(1, _CHUNK_ROLLS // rolls))
    counts, early = [], []
    for index, start in enumerate(range(0, tasks, rows)):
        chunk = streams[start : start + rows]
        # A short last chunk is padded, so that one compiled program serves all.
        padded = np.pad(chunk, ((0, rows - len(chunk)), (0, 0)))
        key_now = jax.random.fold_in(key, index)
        some, ends = sample_rows(predictor, K, rolls, params, key_now, padded, places, draws)
        counts.append(np.asarray(some)[: len(chunk)])
        early.append(np.asarray(ends, np.float64)[: len(chunk)])
    ended = np.concatenate(early)
    if not np.isfinite(ended).all():
        raise ValueError("the network's outputs are not finite on some history; train it anew")
    return np.concatenate(counts), float(ended.mean())


@partial(jax.jit, static_argnums=(0, 1, 2))
def sample_rows(
    predictor: StepModel,
    K: int,
    rolls: int,
    params: Params,
    key: PRNGKeyArray,
    streams: Integer[Array, "tasks length"],
    places: Int[Array, ""],
    draws: Int[Array, ""],
) -> tuple[Int32[Array, "tasks {rolls} {K}"], Float[Array, "tasks {rolls}"]]:
    """Counts int32 (tasks, rolls, K) of futures after the first ``places`` of streams, int (tasks,
    length), and the probability of a RESET in each (tasks, rolls). ``places`` and ``draws`` are traced:
    one compiled program serves all histories."""

    def advance(
        state: State, symbols: Integer[Array, " rows"]
    ) -> tuple[State, Float[Array, "rows outcomes"]]:
        return predictor.step(params, state, jax.nn.one_hot(symbols, K + 1, dtype=jnp.float32))

    tasks = streams.shape[0]
    start = advance(predictor.initial_state((tasks,)), jnp.full((tasks,), K))
    state, logits = lax.fori_loop(0, places, lambda t, c: advance(c[0], streams[:, t]), start)
    state, logits = jax.tree.map(lambda a: jnp.repeat(a, rolls, axis=0), (state, logits))

    def draw(t: Int[Array, ""], carry: Carry) -> Carry:
        state, logits, counts, log_on = carry
        symbols = jax.random.categorical(jax.random.fold_in(key, t), logits[:, :K])
        counts = counts + jax.nn.one_hot(symbols, K, dtype=jnp.int32)
        # A leak is small: log1p keeps the digits that summing the K probabilities would lose.
        log_on = log_on + jnp.log1p(-jax.nn.softmax(logits)[:, K])
        return (*advance(state, symbols), counts, log_on)

    many = tasks * rolls
    begin = (state, logits, jnp.zeros((many, K), jnp.int32), jnp.zeros(many, jnp.float32))
    *_, counts, log_on = lax.fori_loop(0, draws, draw, begin)
    return counts.reshape(tasks, rolls, K), -jnp.expm1(log_on).reshape(tasks, rolls)
