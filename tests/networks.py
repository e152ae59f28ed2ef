"""Networks with random weights for the tests of the audit, and what they predict by NumPy."""

import jax
import numpy as np
from naive import logits_by_loops

from analysis.audit.tree import count_walk
from meta_learning.learner import Learner, learner_model


def learner(K=3, cell="lstm", hidden=6, scale=3.0):
    """Random weights, larger than initial ones, so that the order of the draws matters."""
    model = learner_model(K, cell, hidden)
    params = jax.tree.map(lambda leaf: scale * leaf, model.init(jax.random.key(1)))
    return Learner(model, params, K, {})


def naive_log_predictive(net, history):
    """log q(. | RESET, history) over K+1 outcomes in float64, from the equations of the cells."""
    symbols = [net.num_symbols, *history]
    xs = np.eye(net.num_symbols + 1)[symbols][:, None]
    logits = logits_by_loops(net.model, net.params, xs)[-1, 0]
    return logits - np.log(np.exp(logits).sum())


def deep(monkeypatch, hidden=6):
    """Small chunks, so that a small tree has a stem and several chunks of branches."""
    monkeypatch.setattr(count_walk, "_CHUNK_UNITS", {"cpu": 27 * hidden})
    monkeypatch.setattr(count_walk, "_CHUNK_UNITS_ELSEWHERE", 27 * hidden)
