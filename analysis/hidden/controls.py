"""Controls for what is measured of a trained network: the same one before, and early in, training."""

from __future__ import annotations

from typing import NamedTuple

import jax

from autoregressive.optimization import Optimization
from meta_learning.learner import INIT, Learner
from meta_learning.processes import Process
from meta_learning.recipes import Recipe
from meta_learning.training import train_start

# The share of its iterations after which a network is "early".
EARLY = 0.02


class Early(NamedTuple):
    """A network early in its training. learner: None where there is none. says: what it is, or why there
    is none, in a sentence."""

    learner: Learner | None
    says: str


def initial_learner(learner: Learner) -> Learner:
    """The network that training started from: the same architecture, seed and initial time scale."""
    recipe = learner.settings.get("recipe", {})
    how = recipe.get("optimization")
    longest = how.get("timescale") if isinstance(how, dict) else None
    timescale = None
    if isinstance(longest, int | float) and longest > 0:
        timescale = float(min(longest, recipe.get("unroll", longest)))
    key = jax.random.fold_in(jax.random.key(learner.settings.get("seed", 0)), INIT)
    params = learner.model.init(key, timescale)
    return Learner(learner.model, params, learner.num_symbols, learner.settings)


def early_learner(learner: Learner, process: Process) -> Early:
    """The network after the first ``EARLY`` of its iterations, trained anew with the seed, streams and
    schedule of its settings."""
    recipe = _recipe(learner)
    if recipe is None:
        return Early(None, "How the network was trained is not known: none early in training here.")
    iterations = max(1, round(EARLY * recipe.iterations))
    if iterations >= recipe.iterations:
        return Early(None, "The network was trained for one iteration: there is none earlier.")
    early = train_start(learner, process, recipe, iterations)
    return Early(
        early,
        f"Early: the same training, stopped after {iterations:,} of {recipe.iterations:,} iterations.",
    )


def _recipe(learner: Learner) -> Recipe | None:
    """The recipe in a network's settings; None where there is none, or another program's."""
    settings = learner.settings
    if not {"recipe", "seed"} <= settings.keys():
        return None
    try:
        recipe = dict(settings["recipe"])
        return Recipe(**recipe | {"optimization": Optimization(**recipe["optimization"])})
    except (KeyError, TypeError, ValueError):
        return None
