"""Pixel networks with random weights, and what they say of images by NumPy."""

from __future__ import annotations

import jax
import numpy as np
from naive import logits_by_loops, sigmoid

from autoregressive.pixels.network import PixelNetwork, pixel_model

PLACES = 12


def network(cell="lstm", places=PLACES, hidden=6):
    """Random weights, three times as large as initial ones, so that pixels depend on each other."""
    model = pixel_model(cell, hidden, (5,))
    params = jax.tree.map(lambda leaf: 3 * leaf, model.init(jax.random.key(0)))
    return PixelNetwork(model, params, places, 0.2, {})


def naive_log_prob(net, images):
    """log p(x_0 .. x_{P-1}) in float64 NumPy, from the equations of the cells. images: (n, P)."""
    seen = np.asarray(images, np.float64).T[:-1, :, None]
    logits = logits_by_loops(net.model, net.params, seen)[..., 0]
    signs = np.where(images == 1, 1, -1).T
    first = np.log(np.where(images[:, 0] == 1, net.first_pixel, 1 - net.first_pixel))
    return first + np.log(sigmoid(signs[1:] * logits)).sum(0)


def masked(pixels, places):
    out = np.array(pixels, int)
    out[..., places] = -1
    return out
