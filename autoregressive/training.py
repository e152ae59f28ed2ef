"""Training any model on any source of batches: compiled chunks, several seeds in one program.

Where JAX takes the CPU for two devices (``autoregressive.devices``), each has half of a batch.

``fit`` is a generator. It yields after every chunk, so that the caller decides what to print, what to
save and when to stop. The state that it yields is all that is needed to resume with the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float, Int, Key, PyTree, Shaped

from autoregressive.devices import HALF, PATIENT, find_pair
from autoregressive.matrices import one_lapack_thread
from autoregressive.pace import TRAINING, tell
from autoregressive.vectors import WIDE

# A chunk runs in pieces of about so many seconds: Ctrl-C is only heard between two of them.
_PIECE_S = 2.0
# Iterations of a piece: what is drawn for more of them than run in it is lost.
_MOST_AT_ONCE = 500
# With fewer rows in a batch, halves take more processor time than the whole.
_FEWEST_SHARED = 8

# Parameters, batches and data are trees of arrays; ``Loss`` and ``Draw`` agree on which.
# (params, batch) -> the loss to descend, and the loss to report.
Loss = Callable[[PyTree[Array], PyTree[Array]], tuple[Float[Array, ""], Float[Array, ""]]]
# (data, key, start, n) -> the batches of iterations start .. start + n - 1, stacked; n is static.
Draw = Callable[[PyTree[Array], Key[Array, ""], Int[Array, ""], int], PyTree[Array]]


class TrainState(NamedTuple):
    """Everything that training resumes from. Every leaf has a leading axis of seeds."""

    params: PyTree[Array]
    opt_state: PyTree[Array]
    average: PyTree[Array]
    iteration: Int[Array, "..."]


class Progress(NamedTuple):
    """What ``fit`` yields: the state after a chunk, and the mean of the reported loss in it, by seed."""

    state: TrainState
    iteration: int
    loss: Float[np.ndarray, " seeds"]


# No learning rate has had a say in them yet.
NEVER_FINITE = (
    "before any update the network's first predictions are not finite, whatever the learning rate: look "
    "at the cell, or at the data"
)


class TrainingDiverged(RuntimeError):
    """The loss stopped being finite, or never was. The message has the iteration and the last finite
    loss."""


@dataclass(frozen=True)
class Trainer:
    """How to train: a loss, an optimiser, and where batches come from.

    averaging: the span, in iterations, of the exponential moving average of the parameters; 0 keeps
    none, and ``TrainState.average`` is then empty. rows: of a batch, the first axis of each of its
    leaves, where its loss is the mean of its halves' losses; 0 where it is not.
    """

    loss: Loss
    optimizer: optax.GradientTransformation
    draw: Draw
    averaging: float = 0.0
    rows: int = 0

    def find_pair(self) -> Mesh | None:
        """The two devices that share a batch; None where one has all of it."""
        return find_pair() if self.rows >= _FEWEST_SHARED and self.rows % 2 == 0 else None

    def init(self, params: PyTree[Array]) -> TrainState:
        """The state before the first iteration. params: leaves with a leading axis of seeds."""
        seeds = jax.tree.leaves(params)[0].shape[0]
        average = jax.tree.map(jnp.zeros_like, params) if self.averaging else ()
        return TrainState(
            params, jax.vmap(self.optimizer.init)(params), average, jnp.zeros((seeds,), jnp.int32)
        )

    def get_params(self, state: TrainState) -> PyTree[Array]:
        """The parameters to predict with: their moving average, corrected for its start at 0, or the
        latest where no average is kept."""
        if not self.averaging:
            return state.params
        weight = 1 - (1 - 1 / self.averaging) ** jnp.maximum(state.iteration, 1)
        started = state.iteration > 0

        def pick(
            average: Shaped[Array, " seeds *own"], latest: Shaped[Array, " seeds *own"]
        ) -> Shaped[Array, " seeds *own"]:
            shape = (-1,) + (1,) * (average.ndim - 1)
            return jnp.where(started.reshape(shape), average / weight.reshape(shape), latest)

        return jax.tree.map(pick, state.average, state.params)

    def _gradients(
        self, params: PyTree[Array], batch: PyTree[Array], shared: bool
    ) -> tuple[PyTree[Array], Float[Array, ""]]:
        gradients = jax.grad(self.loss, has_aux=True)
        if not shared:
            return gradients(params, batch)
        found = {leaf.shape[:1] for leaf in jax.tree.leaves(batch)}
        if found != {(self.rows,)}:
            raise ValueError(f"expected batches of {self.rows} rows, got leaves of {sorted(found)}")
        half, n = lax.axis_index(HALF), self.rows // 2
        of_half = jax.tree.map(lambda b: lax.dynamic_slice_in_dim(b, half * n, n), batch)
        # As one vector: the devices wait for each other once.
        vector, unravel = ravel_pytree(gradients(params, of_half))
        return unravel(lax.pmean(vector, HALF))

    def _update(
        self, state: TrainState, batch: PyTree[Array], shared: bool
    ) -> tuple[TrainState, Float[Array, ""]]:
        grads, reported = self._gradients(state.params, batch, shared)
        updates, opt_state = self.optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average: PyTree[Array] = ()
        if self.averaging:
            average = optax.incremental_update(params, state.average, 1 / self.averaging)
        return TrainState(params, opt_state, average, state.iteration + 1), reported

    def run(
        self,
        state: TrainState,
        data: PyTree[Array],
        keys: Shaped[Array, " seeds"],
        start: Int[Array, ""],
        n: Int[Array, ""],
        most: int,
        shared: bool = False,
    ) -> tuple[TrainState, Float[Array, "seeds {most}"]]:
        """``n`` <= ``most`` iterations from ``start`` on. Returns the state, and the reported losses,
        zero beyond ``n``. Seeds run one after the other, so that each has the bits that it has alone.

        shared: whether this is one of the two devices of a ``HALF`` axis."""
        Losses = Float[Array, " most"]

        def one_seed(seed: tuple[TrainState, Key[Array, ""]]) -> tuple[TrainState, Losses]:
            state, key = seed
            batches = self.draw(data, key, start, most)

            def body(
                i: Int[Array, ""], carry: tuple[TrainState, Losses]
            ) -> tuple[TrainState, Losses]:
                state, losses = carry
                batch = jax.tree.map(lambda b: lax.dynamic_index_in_dim(b, i, 0, False), batches)
                state, reported = self._update(state, batch, shared)
                return state, losses.at[i].set(reported.astype(jnp.float32))

            return lax.fori_loop(0, n, body, (state, jnp.zeros((most,), jnp.float32)))

        return lax.map(one_seed, (state, keys))


class Program(NamedTuple):
    """``Trainer.run`` compiled for its devices.

    run: (state, data, keys, start, n) -> the state, and the losses. place: puts a tree of arrays where
    ``run`` has it, ``take`` on one device.
    """

    run: Callable[..., tuple[TrainState, Array]]
    place: Callable[[PyTree[Array]], PyTree[Array]]
    take: Callable[[PyTree[Array]], PyTree[Array]]


def make_program(trainer: Trainer, most: int) -> Program:
    """``trainer.run`` for up to ``most`` iterations, on two devices where they share batches."""
    pair = trainer.find_pair()
    if pair is None:
        run = partial(trainer.run, most=most)
        return Program(jax.jit(run, compiler_options=WIDE), lambda tree: tree, lambda tree: tree)
    # Both have everything, and take their halves of what they draw.
    all_of_it = PartitionSpec()
    shared = jax.shard_map(
        partial(trainer.run, most=most, shared=True),
        mesh=pair,
        in_specs=all_of_it,
        out_specs=all_of_it,
        check_vma=False,  # of random keys it cannot be told
    )
    return Program(
        jax.jit(shared, compiler_options=WIDE | PATIENT),
        partial(jax.device_put, device=NamedSharding(pair, all_of_it)),
        partial(jax.device_put, device=pair.devices[0]),
    )


def fit(
    trainer: Trainer,
    state: TrainState,
    keys: Shaped[Array, " seeds"],
    data: PyTree[Array],
    stops: Sequence[int],
) -> Iterator[Progress]:
    """Trains from ``state`` through the iteration counts ``stops``, yielding at each.

    keys: one random key a seed. What iteration i draws depends on the key and i alone, so that a
    resumed run ends with the same bits. data: passed to the trainer's ``draw``. Every few seconds it
    tells how far it has come (``pace.TRAINING``). Errors: TrainingDiverged where the loss is not finite.
    """
    start = int(state.iteration[0])
    # A piece's batches are drawn at once, as many in every piece. The longest chunk of the whole run, so
    # that a resumed run compiles the same program.
    most = min(int(max(np.diff([0, *stops]), default=0)), _MOST_AT_ONCE)
    stops = [s for s in stops if s > start]
    if not stops:
        return
    program = make_program(trainer, most)
    state, data, keys = program.place((state, data, keys))

    @one_lapack_thread()
    def run(state: TrainState, first: int, n: int) -> tuple[TrainState, Array]:
        return jax.block_until_ready(program.run(state, data, keys, jnp.int32(first), jnp.int32(n)))

    tell(TRAINING, start, stops[-1])
    # Compiled by a call without iterations: the first ones are timed to choose the pieces.
    run(state, start, 0)
    tell(TRAINING, start, stops[-1])
    last_loss, piece = np.nan, 1
    for stop in stops:
        losses: list[Float[np.ndarray, "seeds n"]] = []
        while start < stop:
            n = min(piece, stop - start, most)
            begun = time.monotonic()
            state, here = run(state, start, n)
            losses.append(np.asarray(here)[:, :n])
            piece = max(1, int(n * _PIECE_S / max(time.monotonic() - begun, 1e-9)))
            _check_finite(losses[-1], start, last_loss)
            last_loss, start = float(losses[-1][:, -1].mean()), start + n
            tell(TRAINING, start, stops[-1])
        yield Progress(program.take(state), stop, np.concatenate(losses, 1).mean(1))


def _check_finite(losses: Float[np.ndarray, "seeds n"], start: int, before: float) -> None:
    """Errors: TrainingDiverged where a loss is not finite. losses: of the iterations after ``start``.
    before: the last loss before them, NaN if there is none."""
    if np.isfinite(losses).all():
        return
    bad = int(np.argmin(np.isfinite(losses).all(0)))
    if start + bad == 0:
        raise TrainingDiverged(f"the loss was not finite at iteration 1: {NEVER_FINITE}")
    before = losses[:, bad - 1].mean() if bad else before
    last = (
        f"the last finite loss was {before:.4f} nats"
        if np.isfinite(before)
        else "there was no finite loss before it"
    )
    raise TrainingDiverged(
        f"the loss was not finite at iteration {start + bad + 1}; {last}. Try a smaller learning rate."
    )
