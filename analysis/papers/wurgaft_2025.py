"""Wurgaft et al. (2025), Raventós et al. (2023): networks on pools of tasks, between remembering the
pool and learning what it was drawn from, by the pool's size and over training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float64

from analysis.intervals import Estimate, student, student_probability, student_share
from analysis.papers.paper import Claim, Findings, How, Paper
from analysis.papers.rational import fit_posterior
from analysis.papers.two_predictors import crossing, exponent, measure, mixture_losses
from analysis.papers.wurgaft_2025_figures import panels, says, tables
from autoregressive.cells.transformer import Transformer
from autoregressive.scores import kl, log_softmax
from meta_learning.learner import INIT, TEST, Learner, learner_model
from meta_learning.processes import TaskPool
from meta_learning.recipes import Recipe, make_recipe
from meta_learning.training import learner_settings, train_stages

ALPHA = (1.0,) * 8
# Tasks of 32 draws.
T = 33
POOLS = (4, 16, 64, 256, 1024, 4096)
_CELL = "transformer-rotary"
# Halvings to the stage that stands beside the last one.
_SIXTEENTH = 4


@dataclass(frozen=True)
class Sizes:
    """hidden: width. iterations: of training, of ``batch`` tasks each. halves: how many times they
    are halved for the first stage; there are two stages a halving. tasks: of either test."""

    hidden: int
    iterations: int
    halves: int
    seeds: int
    tasks: int
    batch: int = 32

    @property
    def stages(self) -> list[int]:
        """Iterations after which a network is looked at."""
        steps = range(2 * self.halves, -1, -1)
        return sorted({max(1, round(self.iterations * 2 ** (-step / 2))) for step in steps})


FULL = Sizes(32, 4_000, 7, 3, 300)
QUICK = Sizes(32, 500, 4, 2, 100)


@dataclass(frozen=True)
class Test:
    """Draws of tasks, and what both predictors say of them, log-probabilities in nats."""

    streams: np.ndarray
    memorising: Float64[np.ndarray, "tasks draws symbols"]
    generalising: Float64[np.ndarray, "tasks draws symbols"]

    @classmethod
    def of(cls, pool: TaskPool, new: bool, tasks: int) -> Test:
        """Tasks of the pool, or new ones of its prior."""
        key = jax.random.fold_in(jax.random.key(pool.pool_seed), TEST)
        source = pool.prior if new else pool
        streams = np.asarray(source.sample(jax.random.fold_in(key, int(new)), tasks, T))
        draws = streams[:, :-1]
        return cls(
            streams, pool.log_predictive_along(draws), pool.prior.log_predictive_along(draws)
        )


def run(how: How) -> Findings:
    """Every pool, over its training; what follows by pool and by time."""
    sizes = QUICK if how.quick else FULL
    seeds = list(range(how.seed, how.seed + sizes.seeds))
    recipe = make_recipe(
        "coursework",
        iterations=sizes.iterations,
        batch_size=sizes.batch,
        unroll=T,
        learning_rate=0.003,
    )
    networks: list[dict[str, Any]] = []
    for pool in POOLS:
        for seed in seeds:
            networks.append(_over_training(TaskPool(ALPHA, pool, seed, T), recipe, sizes))
        shares = [n["rows"][-1]["relative"] for n in networks if n["pool"] == pool]
        how.say(f"pool of {pool}: relative distance {np.mean(shares):.2f} (1: remembers the pool)")
    by_seed = [_of_seed([n for n in networks if n["seed"] == seed]) for seed in seeds]
    ours = {
        f"relative.{pool}": _over(
            (n["rows"][-1]["relative"] for n in networks if n["pool"] == pool), student_probability
        )
        for pool in POOLS
    }
    ours |= {
        name: _over((of[name] for of in by_seed), student_share if name == "theory" else student)
        for name in NUMBERS
    }
    curves = {
        "pools": list(POOLS),
        "draws": T - 1,
        "symbols": sizes.batch * T,
        "hidden": sizes.hidden,
        "tasks": sizes.tasks,
        "networks": [{k: v for k, v in n.items() if k != "losses"} for n in networks],
        "by_seed": by_seed,
    }
    return Findings(ours, curves, seeds)


def _over_training(pool: TaskPool, recipe: Recipe, sizes: Sizes) -> dict[str, Any]:
    """What is measured after every stage of the training of one network."""
    old, new = Test.of(pool, False, sizes.tasks), Test.of(pool, True, sizes.tasks)
    rows, losses = [], []
    start = _untrained(pool, recipe, sizes)
    trained = train_stages(start, pool, recipe, sizes.stages)
    for done, learner in zip(sizes.stages, trained, strict=True):
        log_q = learner.log_predictive(old.streams)[:, :-1, :-1]
        log_new = learner.log_predictive(new.streams)[:, :-1, :-1]
        between = measure(log_q, old.memorising, old.generalising)
        log_new = log_softmax(log_new)
        rows.append(
            {
                "iterations": done,
                **between._asdict(),
                "new_first": float(kl(new.memorising, log_new).mean()),
                "new_second": float(kl(new.generalising, log_new).mean()),
            }
        )
        losses.append(mixture_losses(log_q, old.memorising, old.generalising))
    return {
        "pool": pool.pool,
        "seed": pool.pool_seed,
        "apart": float(kl(old.memorising, old.generalising).mean()),
        "rows": rows,
        "losses": np.array(losses),
    }


def _untrained(pool: TaskPool, recipe: Recipe, sizes: Sizes) -> Learner:
    """A network before training: one layer, which sees the whole task. Its seed is the pool's."""
    seed = pool.pool_seed
    model = learner_model(pool.num_symbols, _CELL, sizes.hidden)
    assert isinstance(model.cell, Transformer)
    model = dataclasses.replace(model, cell=dataclasses.replace(model.cell, window=T, layers=1))
    params = model.init(jax.random.fold_in(jax.random.key(seed), INIT), recipe.timescale)
    settings = learner_settings(pool, recipe, _CELL, sizes.hidden, seed)
    return Learner(model, params, pool.num_symbols, settings)


def _of_seed(networks: list[dict[str, Any]]) -> dict[str, Any]:
    """Numbers over all pools of one seed: of the names in ``NUMBERS``, None where there is none, and
    what they come from."""
    tasks = [n["pool"] for n in networks]
    log_tasks = np.log2(tasks).tolist()
    stages = [row["iterations"] for row in networks[0]["rows"]]
    relative = np.array([[row["relative"] for row in n["rows"]] for n in networks])
    away = np.array([[row["new_second"] for row in n["rows"]] for n in networks])
    # Twice as long: there are two stages a halving, and the steps never get smaller.
    longer = np.log(away[:, -2:]).mean(1) - np.log(away[:, -4:-2]).mean(1)
    early = max(0, len(stages) - 1 - 2 * _SIXTEENTH)
    theory = fit_posterior(
        tasks, stages, len(ALPHA), [n["apart"] for n in networks],
        np.array([n["losses"] for n in networks]),
    )  # fmt: skip
    remembered = [_remembered(stages, of) for of in relative]
    stopped = [_stopped(stages, of) for of in away]
    return {
        "crossover": _within(log_tasks, relative[:, -1], 0.5),
        "crossover_before": _within(log_tasks, relative[:, early], 0.5),
        "threshold": _within(log_tasks, longer, 0.0),
        "stopping": exponent(tasks, stopped),
        "remembering": exponent(tasks, remembered),
        "theory": theory.correlation(relative),
        "remembered": remembered,
        "stopped": stopped,
        "posterior": theory.document(),
        "before": stages[early],
    }


def _within(x: list[float], y: Float64[np.ndarray, " pools"], level: float) -> float:
    """``crossing``, or the end of the range beyond which it lies."""
    found = crossing(x, y.tolist(), level)
    return found if found is not None else x[-1] if y[-1] >= level else x[0]


def _remembered(stages: list[int], relative: Float64[np.ndarray, " stages"]) -> float | None:
    """Iterations after which the network is nearer to the pool's Bayes for good."""
    found = crossing(np.log(stages).tolist(), (-relative).tolist(), -0.5)
    # The other way round: it is -relative that falls.
    return None if found is None else float(np.exp(found))


def _stopped(stages: list[int], away: Float64[np.ndarray, " stages"]) -> float | None:
    """Iterations after which KL(generalising Bayes || network) on new tasks is least; None where that
    is the first or the last stage."""
    at = int(np.argmin(away))
    return float(stages[at]) if 0 < at < len(stages) - 1 else None


def _over(
    each: Iterable[float | None], estimate: Callable[[np.ndarray], Estimate] = student
) -> Estimate:
    """The mean over seeds with its interval; none where a seed has no number."""
    values = list(each)
    if any(value is None for value in values):
        return Estimate(None, None, None)
    return estimate(np.array(values, np.float64))


_PICTURE = "1 is Bayes of the pool, 0 Bayes of its prior. The paper shows it as a picture."
NUMBERS = {
    "crossover": Claim(
        "crossover",
        "Pool with a relative distance of 1/2",
        "log2 of tasks",
        None,
        note="2 or 12 where it lies beyond the pools.",
    ),
    "crossover_before": Claim(
        "crossover_before", "The same after 1/16 of the training", "log2 of tasks", None
    ),
    "threshold": Claim(
        "threshold",
        "Pool above which longer training leads towards Bayes of the prior on new tasks",
        "log2 of tasks",
        11.5,
        0.5,
        note=(
            "Of Raventós et al., their smaller transformer on linear regression: between 2^11 and 2^12 "
            "tasks; 2^14 to 2^15 for the larger one. Here from half of the training to all of it; "
            "2 or 12 where it lies beyond the pools."
        ),
    ),
    "stopping": Claim(
        "stopping",
        "Iterations until nearest to Bayes of the prior on new tasks: exponent",
        "of the tasks",
        0.47,
        0.005,
        note="Of Raventós et al., linear regression, pools of up to 2^10 tasks.",
    ),
    "remembering": Claim(
        "remembering",
        "Iterations until nearer to Bayes of the pool for good: exponent",
        "of the tasks",
        1.0,
        0.0,
        "least",
        note="The paper says superlinear, by a picture.",
    ),
    "theory": Claim(
        "theory",
        "Correlation of relative distances with the fitted posterior",
        "",
        0.9907,
        0.00005,
        note="Of the authors' published code: 8 symbols, contexts of 128, MLP of four times the width.",
    ),
}
PAPER = Paper(
    name="wurgaft-2025",
    title="In-context learning strategies emerge rationally",
    authors="Wurgaft et al. (2025), Raventós et al. (2023)",
    arxiv="2506.17859",
    setting=(
        "Urns: a context is 128 to 320 draws of 8, 12 or 16 symbols from one of D vectors p, which are "
        "drawn once from Dirichlet(1, .., 1), D from 4 to 4,096. Transformers of one layer, one head "
        "and 64 units learn for 100,000 steps of 64 contexts, at a constant rate after a warm-up. They "
        "are held to Bayes of the D vectors (memorising) and Bayes of the Dirichlet (generalising), by "
        "the KL both ways; a posterior with three fitted numbers weighs the two by loss and complexity. "
        "Raventós et al. (2023, arXiv:2306.15063) ask the same of linear regression in 8 dimensions "
        "with 16 examples."
    ),
    assumed=(
        "What is published of Wurgaft et al. is taken from the abstract and the authors' code "
        "(DanielWurgaft/rational-icl): the paper's text could not be had.",
        "A predictor's complexity is 32 bits for each number that it holds, D times 8 or 8; theirs is "
        "the length of a compressed array and of code.",
        "Numbers by pool are interpolated by lines in log2 of the tasks. Every seed has a pool, tests "
        "and a network of its own; intervals are over seeds.",
    ),
    differs=(
        "8 symbols, contexts of 32 draws, 4.2 million symbols of training; there 819 million or more.",
        "A rotary transformer of one layer, four heads and 32 units with a hidden layer before its "
        "output; Adam at a constant 0.003, batches of 32; there 0.0005 and 64.",
        "Of Raventós et al. the questions are asked again, on urns: a threshold is one of a task, a "
        "network and a length of training.",
    ),
    claims=(
        *(
            Claim(
                f"relative.{pool}",
                f"Pool of {pool:,}: relative distance",
                "",
                None,
                note=_PICTURE if pool == POOLS[0] else "",
            )
            for pool in POOLS
        ),
        *NUMBERS.values(),
    ),
    run=run,
    tables=tables,
    panels=panels,
    says=says,
)
