"""Edelman et al. (2024), Park et al. (2024): Markov chains that begin at their stationary distribution.

The rule that counts pairs and adds one is not Bayes there: the first symbol tells something of the
chain, too. What that costs is exact; which rule a network follows over its training is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64, Integer

from analysis.all_histories.file import all_histories
from analysis.intervals import Estimate, student_log
from analysis.papers.edelman_2024_figures import panels, says, tables
from analysis.papers.paper import Claim, Findings, How, Paper
from autoregressive.precision import float64
from autoregressive.scores import kl
from meta_learning.learner import INIT, TEST, Learner, learner_model
from meta_learning.processes import StationaryChain
from meta_learning.processes.stationary import stationary_means
from meta_learning.recipes import make_recipe
from meta_learning.training import learner_settings, train_stages

# The first symbol and ten more, over all histories of which sums are exact.
SHORT = 12
CELLS = ("transformer", "lstm")
_WIDTH = 32


@dataclass(frozen=True)
class Sizes:
    """T: of the chains of three symbols whose training is followed. stages: of that training, in
    iterations. streams: that it is judged on. short: iterations on tasks of eleven draws."""

    T: int
    stages: tuple[int, ...]
    batch: int
    streams: int
    seeds: int
    short: int


FULL = Sizes(51, (5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_000), 32, 300, 3, 4_000)
QUICK = Sizes(31, (5, 10, 20, 40, 80, 160, 320), 32, 100, 2, 500)


def run(how: How) -> Findings:
    """What the rule costs, by place; networks on short tasks; phases of training."""
    sizes = QUICK if how.quick else FULL
    seeds = range(how.seed, how.seed + sizes.seeds)
    short = {K: AllHistories.of(StationaryChain((1.0,) * K, SHORT)) for K in (2, 3)}
    cost = {
        K: of.gap(of.process.ladder()["bigram"].log_predictive_along(of.symbols))
        for K, of in short.items()
    }
    error = quadrature_error()
    how.say(
        f"bigram rule: {cost[2].sum():.4f} nats over ten symbols of two, {cost[3].sum():.4f} of three"
    )
    gaps = {}
    for cell in CELLS:
        recipe = make_recipe(iterations=sizes.short, batch_size=4, unroll=9 * SHORT)
        learners = how.train(short[2].process, recipe, cell, _WIDTH, seeds)
        said = [learner.log_predictive(short[2].symbols)[..., :-1] for learner in learners]
        gaps[cell] = [float(short[2].gap(log_q).mean()) for log_q in said]
        how.say(f"{cell}-{_WIDTH}: exact gap {np.mean(gaps[cell]):.2g} nats a symbol")
    phases = [follow(seed, sizes) for seed in seeds]
    for seed, rows in zip(seeds, phases, strict=True):
        how.say(f"phases of seed {seed}: {', '.join(order_of(rows))}")
    ordered = [order_of(rows) == ["uniform", "unigram", "bigram"] for rows in phases]
    return Findings(
        {
            "two_largest": Estimate(float(cost[2].max()), None, None),
            "two_sum": Estimate(float(cost[2].sum()), None, None),
            "three_largest": _within(float(cost[3].max()), error),
            "three_sum": _within(float(cost[3].sum()), error * len(cost[3])),
            "order": Estimate(float(np.mean(ordered)), None, None),
            **{cell: student_log(np.array(each)) for cell, each in gaps.items()},
        },
        {
            "excess": {str(K): values.tolist() for K, values in cost.items()},
            "quadrature_error": error,
            "T": sizes.T,
            "phases": phases,
            "gaps": gaps,
        },
        list(seeds),
    )


class AllHistories(NamedTuple):
    """All histories of a task. symbols: int (rows, D). bayes: nats, (rows, D, K). weight: p(history) at
    the first of the rows that begin with it, 0 at others."""

    process: StationaryChain
    symbols: Integer[np.ndarray, "rows draws"]
    bayes: Float64[np.ndarray, "rows draws symbols"]
    weight: Float64[np.ndarray, "rows draws"]

    @classmethod
    def of(cls, process: StationaryChain) -> AllHistories:
        """Those of ``process``."""
        histories = all_histories(process)
        symbols = histories.symbols[: histories.rows]
        bayes = process.log_predictive_along(symbols)
        own = np.take_along_axis(bayes, symbols[..., None].astype(np.int64), -1)[..., 0]
        before = np.concatenate([np.zeros((len(own), 1)), np.cumsum(own, axis=1)[:, :-1]], axis=1)
        return cls(process, symbols, bayes, np.where(histories.prefixes, np.exp(before), 0.0))

    def gap(
        self, log_q: Float64[np.ndarray, "rows draws symbols"]
    ) -> Float64[np.ndarray, " draws"]:
        """KL(Bayes || q) at every draw, nats: the mean over all histories, without sampling error."""
        return (self.weight * kl(self.bayes, log_q)).sum(0)


def quadrature_error() -> float:
    """The largest error of log p of three symbols, nats, against a rule of a higher order, after
    the first symbol, where it is largest."""
    with float64():
        few, many = (
            np.asarray(stationary_means(jnp.ones((3, 3)), jnp.array(0), jnp.array(0), order).next)
            for order in (6, 9)
        )
    return float(np.abs(np.log(few / few.sum()) - np.log(many / many.sum())).max())


def follow(seed: int, sizes: Sizes) -> list[dict[str, Any]]:
    """KL(rule || network), nats a symbol, over the training of a transformer on three symbols."""
    process = StationaryChain((1.0,) * 3, sizes.T)
    recipe = make_recipe(
        "coursework", iterations=sizes.stages[-1], batch_size=sizes.batch, unroll=sizes.T
    )
    model = learner_model(3, "transformer", _WIDTH)
    params = model.init(jax.random.fold_in(jax.random.key(seed), INIT), recipe.timescale)
    start = Learner(
        model, params, 3, learner_settings(process, recipe, "transformer", _WIDTH, seed)
    )
    key = jax.random.fold_in(jax.random.key(0), TEST)
    streams = np.asarray(process.sample(key, sizes.streams, sizes.T))
    said = rules(process, streams)
    learners = [start, *train_stages(start, process, recipe, sizes.stages)]
    rows = []
    for done, learner in zip((0, *sizes.stages), learners, strict=True):
        log_q = learner.log_predictive(streams)[:, :-1, :-1]
        log_q = log_q - np.logaddexp.reduce(log_q, axis=-1, keepdims=True)
        distance = {name: float(kl(log_p, log_q).mean()) for name, log_p in said.items()}
        rows.append({"iterations": done, **distance})
    return rows


def rules(
    process: StationaryChain, streams: np.ndarray
) -> Mapping[str, Float64[np.ndarray, "streams draws symbols"]]:
    """log p of every rule at the draws of streams of one task, nats."""
    ladder, K = process.ladder(), process.num_symbols
    machines = {"unigram": ladder["iid_dirichlet"], "bigram": ladder["bigram"], "bayes": process}
    draws = streams[:, :-1]
    said = {name: machine.log_predictive_along(draws) for name, machine in machines.items()}
    return {"uniform": np.full((*draws.shape, K), -np.log(K)), **said}


def order_of(rows: list[dict[str, Any]]) -> list[str]:
    """The rules that a network is nearest to, one after another; Bayes counts as the bigram rule, from
    which it differs least."""
    nearest = [
        min((row[name], name) for name in ("uniform", "unigram", "bigram"))[1] for row in rows
    ]
    return [name for name, _ in groupby(nearest)]


def _within(value: float, error: float) -> Estimate:
    return Estimate(value, max(0.0, value - error), value + error)


_OPTIMAL = "The paper has the bigram rule for the solution: nothing would be lost."
PAPER = Paper(
    name="edelman-2024",
    title="The evolution of statistical induction heads: in-context learning Markov chains",
    authors="Edelman et al. (2024), Park et al. (2024)",
    arxiv="2402.11004",
    setting=(
        "Every context is a Markov chain whose rows are drawn from Dirichlet(1, .., 1) and which begins "
        "at its own stationary distribution; two-layer transformers learn to predict it, first "
        "uniformly, then by single symbols (unigrams), then by pairs (bigrams). Park et al. (2024, "
        "arXiv:2412.01003) draw the chains from a pool, and find the same rules."
    ),
    assumed=(
        "Two and three symbols; contexts of 50 draws; the width, the batch and the learning rate.",
        "A phase is the rule from which KL(rule || network) is least, the mean over places.",
    ),
    differs=(
        "The transformer has MLPs beside its attention, and a read-out with a hidden layer.",
        "Chains are not drawn from a pool (`task-pool` has that question).",
    ),
    claims=(
        Claim(
            "two_largest",
            "Two symbols: bigram rule above Bayes, largest",
            "nats a symbol",
            0.0,
            5e-5,
            note=_OPTIMAL,
        ),
        Claim(
            "two_sum",
            "Two symbols: the same over the ten symbols after the first",
            "nats",
            0.0,
            5e-5,
        ),
        Claim(
            "three_largest",
            "Three symbols: bigram rule above Bayes, largest",
            "nats a symbol",
            0.0,
            5e-5,
        ),
        Claim(
            "three_sum",
            "Three symbols: the same over the ten symbols after the first",
            "nats",
            0.0,
            5e-5,
        ),
        Claim(
            "order",
            "Networks that pass from uniform to unigram to bigram",
            "share of seeds",
            1.0,
            note="The paper shows KL from every rule as a picture.",
        ),
        Claim(
            "transformer",
            "Two symbols, eleven draws, transformer: exact gap",
            "nats a symbol",
            None,
        ),
        Claim("lstm", "Two symbols, eleven draws, LSTM: exact gap", "nats a symbol", None),
    ),
    run=run,
    tables=tables,
    panels=panels,
    says=says,
)
