"""A reference predictor: counts that fade, for any process.

    meta-learn --load forgetting.py compare --process change-points --param hazard=0.05

With n_k the sum of 0.9^age over the places of the task at which k came, p(x_t = k | x_<t) is
(n_k + 1/2) / sum (n + 1/2): the rule of Krichevsky and Trofimov, with a memory of about ten symbols.
"""

import numpy as np

from meta_learning.processes import drawn_places, with_reset
from meta_learning.references import REFERENCES

KEEP = 0.9


def forgetting(prior, symbols):
    """symbols: int (..., L). Returns log p(x_t | x_<t), float64 (..., L, K+1)."""
    symbols, K, T = np.asarray(symbols), prior.num_symbols, prior.task_length
    came = symbols[..., None] == np.arange(K)
    weights = np.empty(came.shape)
    counts = np.zeros((*symbols.shape[:-1], K))
    for t, drawn in enumerate(drawn_places(symbols.shape[-1], T)):
        weights[..., t, :] = counts + 0.5
        counts = KEEP * counts + came[..., t, :] if drawn else np.zeros_like(counts)
    return with_reset(np.log(weights / weights.sum(-1, keepdims=True)), T)


REFERENCES["forgetting"] = forgetting

if __name__ == "__main__":
    from analysis.cli import main

    main()
