"""How many directions of the state carry its variance, and how many carry the prediction.

Directions are found on one half of the streams and judged on the other. A state projected on the first
m directions is the mean state plus m coordinates; read out, it predicts q_m. With KL_m the mean of
KL(q || q_m) in nats, and q the prediction of the whole state,

    share of the prediction carried by m directions = 1 - KL_m / KL_0,

where KL_0 is lost by reading out the mean state. The number needed is the smallest m from which on the
share stays at 99% or more.

Directions are ranked in two ways. By variance: principal components of the states at all places. By
what the prediction feels: coordinates are scaled to unit variance over drawn places and ranked by
E[J^T F J] there, with J the Jacobian of the logits and F = diag(q) - q q^T the Fisher information of the
prediction. To second order the KL lost is half the trace of that over the directions left out (an
active subspace, Constantine 2015, under the prediction's own metric). This ranking is of h alone, which
is all that the read-out sees. The second order only ranks; shares are exact KL of projected states.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Bool, Float, Float32, Float64

from analysis.hidden.states import States
from analysis.intervals import Estimate, resampled_means
from autoregressive.cells.base import Params
from autoregressive.model import Model
from meta_learning.learner import Learner

ENOUGH = 0.99
# Projections are put through the read-out for at most so many directions.
MOST_DIRECTIONS = 64
_STATES_FOR_RANKING = 4_000
_ROWS = 2**15
# Below it a variance is rounding (the square of float64's): a state that never changes has no scale.
_NO_VARIANCE = 1e-32


class Principal(NamedTuple):
    """Principal components. mean (D,); eigenvalues of the covariance (D,), largest first;
    directions (D, D), one a column."""

    mean: Float64[np.ndarray, " D"]
    eigenvalues: Float64[np.ndarray, " D"]
    directions: Float64[np.ndarray, "D D"]


class Basis(NamedTuple):
    """Coordinates ``encode @ (state - mean)``, and back: ``mean + decode @ coordinates``.
    mean (D,), encode (R, D), decode (D, R)."""

    mean: Float64[np.ndarray, " D"]
    encode: Float64[np.ndarray, "R D"]
    decode: Float64[np.ndarray, "D R"]


@dataclass(frozen=True)
class Share:
    """share: of the whole, carried by the first m directions, m = 0, 1, .. . whole: the variance, or
    KL_0 in nats. needed: the number that carries 99%; None where MOST_DIRECTIONS are not enough."""

    share: Float64[np.ndarray, " sizes"]
    whole: float
    needed: Estimate


@dataclass(frozen=True)
class Dimensions:
    """One space of the state ("h", "c", "hc").

    eigenvalues: of the covariance over all places of the first half of the streams, (D,).
    shares: "variance"; where h is in the space also "prediction" (KL over drawn places) and
    "prediction_with_reset" (over all places), by rank of variance; for h alone "ranked_prediction"
    (over drawn places), by what the prediction feels. All on the second half of the streams, with 95%
    intervals over its streams, the directions held fixed.
    """

    space: str
    eigenvalues: Float64[np.ndarray, " D"]
    shares: dict[str, Share]


def principal_components(values: Float[np.ndarray, "*places D"]) -> Principal:
    """Principal components of values (..., D), with the covariance over all other axes."""
    flat = np.asarray(values, np.float64).reshape(-1, values.shape[-1])
    mean = flat.mean(0)
    centred = flat - mean
    eigenvalues, directions = np.linalg.eigh(centred.T @ centred / len(flat))
    eigenvalues, directions = np.maximum(eigenvalues[::-1], 0.0), directions[:, ::-1]
    # A direction's sign is arbitrary: its largest entry is made positive.
    largest = np.abs(directions).argmax(0)
    signs = np.where(directions[largest, np.arange(len(largest))] < 0, -1.0, 1.0)
    return Principal(mean, eigenvalues, directions * signs)


def coordinates(
    values: Float64[np.ndarray, "*places D"], principal: Principal, count: int
) -> Float64[np.ndarray, "*places count"]:
    """Values (..., D) along the first ``count`` directions: (..., count)."""
    return (values - principal.mean) @ principal.directions[:, :count]


def measure_dimensions(
    learner: Learner,
    fitted: States,
    held_out: States,
    space: str,
    drawn: Bool[np.ndarray, " L"],
) -> Dimensions:
    """The dimensions of one space. drawn: which places hold a drawn symbol, bool (L,)."""
    principal = principal_components(fitted.space(space))
    values = held_out.space(space)
    squares = coordinates(values, principal, values.shape[-1]) ** 2
    shares = {"variance": _share_of_variance(squares.mean(1))}
    if "h" in space:
        by_variance = Basis(principal.mean, principal.directions.T, principal.directions)
        bases = {"prediction": by_variance}
        if space == "h":
            bases["ranked_prediction"] = prediction_basis(learner, fitted.space("h")[:, drawn])
        for name, basis in bases.items():
            lost = prediction_lost(learner, held_out, values, basis)
            shares[name] = _share_of_prediction(lost[:, drawn].mean(1))
            if name == "prediction" and not drawn.all():
                shares["prediction_with_reset"] = _share_of_prediction(lost.mean(1))
    return Dimensions(space, principal.eigenvalues, shares)


def prediction_basis(learner: Learner, h: Float64[np.ndarray, "*places D"]) -> Basis:
    """Directions of h ranked by what the prediction feels, as the module says. h: at drawn places,
    (..., D).

    Directions whose variance is below 1e-10 of the largest, float32's rounding, are left out.
    """
    flat = h.reshape(-1, h.shape[-1])
    principal = principal_components(flat)
    # At random: a fixed stride would pick the same places of every task.
    count = min(_STATES_FOR_RANKING, len(flat))
    sample = flat[np.random.default_rng(0).choice(len(flat), count, replace=False)]
    logits, jacobian = _logits_and_jacobian(
        learner.model, learner.params, jnp.asarray(sample, jnp.float32)
    )
    q = np.asarray(jax.nn.softmax(logits), np.float64)[..., None]
    # An outcome of probability 0 does not count, however steep its logit: 0 times inf is NaN.
    felt = np.where(q > 0, np.asarray(jacobian, np.float64), 0.0)
    felt = np.sqrt(q) * (felt - (q * felt).sum(1, keepdims=True))
    kept = principal.eigenvalues > 1e-10 * principal.eigenvalues[0]
    kept[0] = True
    scale = np.sqrt(np.maximum(principal.eigenvalues[kept], _NO_VARIANCE))
    directions = principal.directions[:, kept]
    felt = felt.reshape(-1, h.shape[-1]) @ (directions * scale)
    turn = np.linalg.eigh(felt.T @ felt / len(sample))[1][:, ::-1]
    return Basis(principal.mean, turn.T @ (directions / scale).T, directions * scale @ turn)


def prediction_lost(
    learner: Learner, states: States, values: Float64[np.ndarray, "B L D"], basis: Basis
) -> Float32[np.ndarray, "B L sizes"]:
    """KL(q || q_m) in nats for m = 0 .. min(R, MOST_DIRECTIONS), R the basis's size.

    values: ``states`` in the space of the basis, h first, (B, L, D). Returns float32 (B, L, m + 1).
    """
    width = states.parts["h"].shape[-1]
    rank = min(len(basis.encode), MOST_DIRECTIONS)
    flat = (values - basis.mean).reshape(-1, values.shape[-1]) @ basis.encode[:rank].T
    log_q = states.log_q.reshape(len(flat), -1)
    back, mean = (
        jnp.asarray(a, jnp.float32) for a in (basis.decode[:width, :rank].T, basis.mean[:width])
    )
    out = np.empty((len(flat), rank + 1), np.float32)
    rows = min(_ROWS, len(flat))
    for start in range(0, len(flat), rows):
        # The last chunk overlaps the one before it where it is short: one compiled program serves all.
        first = min(start, len(flat) - rows)
        chunk = slice(first, first + rows)
        out[chunk] = _lost(
            learner.model,
            learner.params,
            mean,
            back,
            jnp.asarray(flat[chunk], jnp.float32),
            jnp.asarray(log_q[chunk], jnp.float32),
        )
    return out.reshape(*values.shape[:-1], rank + 1)


def number_needed(
    shares: Float[np.ndarray, "*curves sizes"], enough: float = ENOUGH
) -> Float64[np.ndarray, "*curves"]:
    """The smallest m from which on the share stays at ``enough`` or more; infinite where there is none.
    shares: for m = 0 .. M, (..., M+1)."""
    stays = np.logical_and.accumulate((shares >= enough)[..., ::-1], axis=-1)[..., ::-1]
    return np.where(stays[..., -1], stays.argmax(-1), np.inf)


def _share_of_variance(by_stream: Float64[np.ndarray, "streams D"]) -> Share:
    """by_stream: mean squares of the coordinates, (streams, D)."""

    def share(
        squares: Float64[np.ndarray, "*curves D"],
    ) -> Float64[np.ndarray, "*curves D+1"]:
        total = np.cumsum(squares, axis=-1)
        with np.errstate(invalid="ignore"):
            # The last entry is 1 by construction; rounding must not leave it below.
            part = np.minimum(total / total[..., -1:], 1.0)
        return np.concatenate([np.zeros_like(part[..., :1]), part], axis=-1)

    mean = by_stream.mean(0)
    return _share(share(mean), share(resampled_means(by_stream)), float(mean.sum()))


def _share_of_prediction(by_stream: Float32[np.ndarray, "streams sizes"]) -> Share:
    """by_stream: mean KL_m, (streams, M+1)."""

    def share(
        lost: Float64[np.ndarray, "*curves sizes"],
    ) -> Float64[np.ndarray, "*curves sizes"]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return 1 - lost / lost[..., :1]

    by_stream = by_stream.astype(np.float64)
    mean = by_stream.mean(0)
    return _share(share(mean), share(resampled_means(by_stream)), float(mean[0]))


def _share(
    share: Float64[np.ndarray, " sizes"],
    resampled: Float64[np.ndarray, "resamples sizes"],
    whole: float,
) -> Share:
    centre = number_needed(share)
    low, high = np.quantile(number_needed(resampled), [0.025, 0.975], method="nearest")
    count = [float(v) if np.isfinite(v) else None for v in (centre, low, high)]
    return Share(share, whole, Estimate(*count))


@partial(jax.jit, static_argnums=0)
def _logits_and_jacobian(
    model: Model, params: Params, h: Float[Array, "n D"]
) -> tuple[Float[Array, "n outcomes"], Float[Array, "n outcomes D"]]:
    def read_out(one: Float[Array, " D"]) -> Float[Array, " outcomes"]:
        return model.read_out(params, one)

    return jax.vmap(read_out)(h), jax.vmap(jax.jacobian(read_out))(h)


@partial(jax.jit, static_argnums=0)
def _lost(
    model: Model,
    params: Params,
    mean: Float[Array, " h"],
    back: Float[Array, "R h"],
    coordinates: Float[Array, "n R"],
    log_q: Float[Array, "n outcomes"],
) -> Float[Array, "n R+1"]:
    q = jnp.exp(log_q)

    def kl(h: Float[Array, "n h"]) -> Float[Array, " n"]:
        terms = q * (log_q - jax.nn.log_softmax(model.read_out(params, h)))
        return jnp.where(q > 0, terms, 0.0).sum(-1)

    def add(
        h: Float[Array, "n h"], direction: tuple[Float[Array, " h"], Float[Array, " n"]]
    ) -> tuple[Float[Array, "n h"], Float[Array, " n"]]:
        along, coordinate = direction
        h = h + coordinate[:, None] * along[None]
        return h, kl(h)

    start = jnp.broadcast_to(mean, (len(coordinates), len(mean)))
    _, lost = lax.scan(add, start, (back, coordinates.T))
    return jnp.concatenate([kl(start)[None], lost]).T
