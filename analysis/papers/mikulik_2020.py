"""Mikulik et al. (2020): does a network behave as Bayes does, and can each simulate the other?

On categorical prediction. Both ways of their comparison of computations are those of
``hidden.simulation``; behaviour is KL between the two predictions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import jax
import numpy as np

from analysis.hidden.controls import initial_learner
from analysis.hidden.simulation import WAYS, Simulation, measure_simulation
from analysis.intervals import Estimate, student_log
from analysis.papers.mikulik_2020_figures import panels, says, tables
from analysis.papers.paper import Claim, Findings, How, Paper
from meta_learning.learner import TEST
from meta_learning.processes import DirichletCategorical
from meta_learning.recipes import make_recipe

# Twenty draws of three symbols, every p as likely as every other.
PROCESS = DirichletCategorical((1.0, 1.0, 1.0), 21)


@dataclass(frozen=True)
class Sizes:
    """hidden: width of the LSTM. tasks: held out; the maps are fitted on as many or more."""

    hidden: int
    iterations: int
    seeds: int
    tasks: int


FULL = Sizes(32, 4_000, 3, 1_000)
QUICK = Sizes(32, 1_000, 2, 300)


def run(how: How) -> Findings:
    """Trained and untrained networks, each with Bayes, both ways."""
    sizes = QUICK if how.quick else FULL
    seeds = range(how.seed, how.seed + sizes.seeds)
    # A stream holds whole tasks.
    recipe = make_recipe(
        iterations=sizes.iterations, batch_size=4, unroll=5 * int(PROCESS.task_length)
    )
    learners = how.train(PROCESS, recipe, "lstm", sizes.hidden, seeds)
    key = jax.random.fold_in(jax.random.key(how.seed), TEST)
    found: list[Simulation] = []
    for seed, learner in zip(seeds, learners, strict=True):
        both = {"trained": learner, "untrained": initial_learner(learner)}
        simulation = measure_simulation(both, PROCESS, key, sizes.tasks)
        assert isinstance(simulation, Simulation)
        found.append(simulation)
        identity = simulation.identity["trained"]["network_bayes"]
        how.say(f"seed {seed}: KL(network || Bayes) {identity.mean:.2g} nats a symbol")
    ours = {}
    for name in ("trained", "untrained"):
        for of in ("network_bayes", "bayes_network"):
            ours[f"identity.{name}.{of}"] = _over(s.identity[name][of] for s in found)
        for way in WAYS:
            for of in ("network", "bayes"):
                ours[f"{way}.{name}.{of}"] = _over(s.mean[way][name][of] for s in found)
    by_draws = {
        way: {
            of: [[e.mean for e in s.by_draws[way][of]] for s in found]
            for of in ("network", "bayes")
        }
        for way in WAYS
    }
    curves = {
        "draws": found[0].draws.tolist(),
        "by_draws": by_draws,
        "identity": ours["identity.trained.network_bayes"].document(),
        "rows": {key: estimate.document() for key, estimate in ours.items()},
        "fitted": found[0].fitted,
        "tasks": sizes.tasks,
        "hidden": sizes.hidden,
    }
    return Findings(ours, curves, list(seeds))


def _over(each: Iterable[Estimate]) -> Estimate:
    """The mean over seeds, with Student's t of the logarithm."""
    return student_log(np.array([estimate.mean for estimate in each], np.float64))


_PICTURE = "The paper shows it as a picture."
PAPER = Paper(
    name="mikulik-2020",
    title="Meta-trained agents implement Bayes-optimal agents",
    authors="Mikulik et al. (2020)",
    arxiv="2010.11223",
    setting=(
        "LSTMs predict symbols whose probabilities are drawn anew for every task, and are compared "
        "with the Bayes-optimal predictor: in what they predict, and by simulation, where a learned map "
        "takes the state of one to that of the other, which runs on from there, both ways."
    ),
    assumed=(
        "Three symbols, p ~ Dirichlet(1, 1, 1), tasks of 20 draws; the width, the recipe and the number "
        "of symbols of training.",
        "Maps are linear, one for every number of draws, and judged on tasks that they have not seen.",
    ),
    differs=(
        "The dissimilarity is KL in nats a symbol over the rest of the task, not their distances of "
        "states and of outputs: an exact simulation has 0.",
    ),
    claims=(
        Claim(
            "identity.trained.network_bayes",
            "Behaviour: KL(network || Bayes)",
            "nats a symbol",
            None,
            note=_PICTURE,
        ),
        Claim("identity.trained.bayes_network", "KL(Bayes || network)", "nats a symbol", None),
        Claim(
            "bayes_from_state.trained.network",
            "Bayes run on from the network's state: KL(network || that)",
            "nats a symbol",
            None,
            note=_PICTURE,
        ),
        Claim(
            "bayes_from_state.untrained.network",
            "The same of a network that was not trained",
            "nats a symbol",
            None,
        ),
        Claim(
            "network_from_belief.trained.network",
            "The network run on from Bayes's belief: KL(network || that)",
            "nats a symbol",
            None,
            note=_PICTURE,
        ),
        Claim(
            "network_from_belief.trained.bayes",
            "The network run on from Bayes's belief: KL(Bayes || that)",
            "nats a symbol",
            None,
        ),
    ),
    run=run,
    tables=tables,
    panels=panels,
    says=says,
)
