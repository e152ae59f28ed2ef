"""Networks of images whose posterior is known at any size: a Markov chain and a hidden Markov model over
the pixels in order, as cells like any other, with the exact answer by forward-backward in NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array

from autoregressive.cells.base import Cell, Params, State
from autoregressive.model import Model
from autoregressive.pixels.network import PixelNetwork


@dataclass(frozen=True)
class ChainCell(Cell):
    """A hidden Markov model as a cell: its state is p(hidden state | pixels so far).

    Parameters: ``transition`` (K, K), rows sum to 1; ``emission`` (K,) of a 1. At a step the pixel is
    seen and the hidden state moves on; the output is the positive and the negative part of the next
    pixel's logit, which a linear read-out puts together. start: p(hidden state) at the first pixel.
    """

    start: tuple[float, ...] = ()

    def init(self, key: Array, timescale: float | None = None) -> Params:
        raise NotImplementedError

    def initial_state(self, batch: tuple[int, ...] = ()) -> State:
        start = jnp.asarray(np.array(self.start))
        return (jnp.broadcast_to(start, (*batch, len(self.start))),)

    def step(self, params: Params, state: State, x: Array) -> tuple[State, Array]:
        one = params["emission"].reshape((1,) * (x.ndim - 1) + (-1,))
        seen = state[0] * jnp.where(x > 0.5, one, 1 - one)
        belief = (seen / seen.sum(-1, keepdims=True)) @ params["transition"]
        p = (belief * one).sum(-1, keepdims=True)
        z = jnp.log(p) - jnp.log1p(-p)
        return (belief,), jnp.concatenate([jnp.maximum(z, 0), jnp.maximum(-z, 0)], -1)


def chain_network(
    transition: np.ndarray, emission: np.ndarray, start: np.ndarray, places: int
) -> PixelNetwork:
    """A hidden Markov model over ``places`` pixels as a pixel network."""
    cell = ChainCell(1, 2, tuple(float(p) for p in start))
    params = {
        "cell.transition": np.asarray(transition, np.float64),
        "cell.emission": np.asarray(emission, np.float64),
        "readout.0.w": np.array([[1.0, -1.0]]),
        "readout.0.b": np.zeros(1),
    }
    first = float(np.asarray(start) @ np.asarray(emission))
    return PixelNetwork(Model(cell, 1, ()), params, places, first, {})


def markov(places: int) -> PixelNetwork:
    """A Markov chain: the hidden state is the pixel but for a probability of 1e-9; ink comes in runs."""
    near = 1e-9
    return chain_network(
        np.array([[0.93, 0.07], [0.25, 0.75]]),
        np.array([near, 1 - near]),
        np.array([0.9, 0.1]),
        places,
    )


def hidden_markov(places: int) -> PixelNetwork:
    """Six hidden states that last and show themselves only in part: three kinds of texture, in
    which ink alternates, is rare or is common."""
    transition = np.full((6, 6), 0.004)
    for a, b, stay in ((0, 1, 0.15), (2, 3, 0.8), (4, 5, 0.5)):
        rest = 1 - 4 * 0.004
        transition[a, a] = transition[b, b] = rest * stay
        transition[a, b] = transition[b, a] = rest * (1 - stay)
    emission = np.array([0.92, 0.08, 0.03, 0.2, 0.95, 0.6])
    return chain_network(transition, emission, np.full(6, 1 / 6), places)


def draw(network: PixelNetwork, count: int, seed: int) -> np.ndarray:
    """Images (count, P) from the model itself."""
    transition, emission, start = _arrays(network)
    rng = np.random.default_rng(seed)
    images = np.empty((count, network.places), np.uint8)
    for image in images:
        state = rng.choice(len(start), p=start)
        for t in range(network.places):
            image[t] = rng.random() < emission[state]
            state = rng.choice(len(start), p=transition[state])
    return images


def exact(network: PixelNetwork, image: np.ndarray) -> tuple[float, np.ndarray]:
    """log p(observed from the first missing pixel f on | before f) and p(x_k = 1 | observed) of the
    missing ones, by forward-backward. image: 0, 1 and -1 (P,)."""
    transition, emission, start = _arrays(network)
    likelihood = np.where(image[:, None] > 0, emission, 1 - emission)
    likelihood[image < 0] = 1.0
    forward = np.empty((len(image), len(start)))  # p(hidden state at t | observed before t)
    logs = np.empty(len(image))
    belief = start
    for t, now in enumerate(likelihood):
        forward[t] = belief
        mass = (belief * now).sum()
        logs[t] = np.log(mass)
        belief = (belief * now / mass) @ transition
    backward = np.ones(len(start))  # observed after t given the hidden state at t, up to a factor
    marginals = np.empty(len(image))
    for t in range(len(image) - 1, -1, -1):
        joint = forward[t] * likelihood[t] * backward
        marginals[t] = (joint * emission).sum() / joint.sum()
        backward = transition @ (likelihood[t] * backward)
        backward = backward / backward.sum()
    first = int((image < 0).argmax())
    return float(logs[first:].sum()), marginals[image < 0]


def _arrays(network: PixelNetwork) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cell = network.model.cell
    assert isinstance(cell, ChainCell)
    names = ("cell.transition", "cell.emission")
    transition, emission = (np.asarray(network.params[name], float) for name in names)
    return transition, emission, np.array(cell.start)
