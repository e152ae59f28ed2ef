"""Training written by hand: the same numbers as ``fit``, and so as ``meta-learn compare``."""

import jax
import numpy as np
import optax

from autoregressive.scores import kl, log_softmax
from meta_learning import DirichletCategorical
from meta_learning.learner import HELD_OUT, INIT, TRAINING, encode, learner_model
from meta_learning.processes import drawn_places
from meta_learning.recipes import make_recipe


def train_by_hand(process, recipe, seed=0, cell="lstm", hidden=32):
    """The model and its parameters after the recipe's iterations."""
    model = learner_model(process.num_symbols, cell, hidden)
    key = jax.random.key(seed)
    params = model.init(jax.random.fold_in(key, INIT), recipe.timescale)
    optimizer = recipe.optimization.transformation(recipe.iterations)
    state = optimizer.init(params)

    def loss(params, symbols):
        logits = model.logits(params, encode(symbols, process.num_symbols))
        return optax.softmax_cross_entropy_with_integer_labels(logits, symbols).mean()

    @jax.jit
    def update(params, state, symbols):
        change, state = optimizer.update(jax.grad(loss)(params, symbols), state, params)
        return optax.apply_updates(params, change), state

    batches = jax.random.fold_in(key, TRAINING)
    for iteration in range(recipe.iterations):
        key_now = jax.random.fold_in(batches, iteration)
        symbols = process.sample(key_now, recipe.batch_size, recipe.unroll)
        params, state = update(params, state, symbols)
    return model, params


if __name__ == "__main__":
    process = DirichletCategorical((10, 1, 1), T=20)
    model, params = train_by_hand(process, make_recipe("coursework", iterations=200))
    symbols = process.sample(jax.random.fold_in(jax.random.key(0), HELD_OUT), 512, 100)
    log_q = log_softmax(model.logits(params, encode(symbols, process.num_symbols)))
    log_bayes = process.log_predictive(symbols)
    gap = kl(log_bayes, log_q)[:, drawn_places(100, process.T)].mean()
    print(f"KL(Bayes || network): {np.round(gap, 4)} nats a drawn symbol")
