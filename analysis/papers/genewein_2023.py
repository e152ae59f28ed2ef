"""Genewein et al. (2023): sources whose probabilities switch at unknown places, the two exact predictors
that the paper holds its networks to, and LSTMs beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jaxtyping import Float64, PRNGKeyArray

from analysis.intervals import Estimate, Mean, Means, estimates, student_log
from analysis.papers.genewein_2023_figures import PREDICTORS, SOURCES, panels, says, tables
from analysis.papers.paper import Claim, Findings, How, Paper
from analysis.papers.switching import Predict, enumeration_error, halves, regrets
from meta_learning.learner import TEST, Learner
from meta_learning.processes import ChangePoints, DirichletCategorical, LiveAndDie, PartitionTree
from meta_learning.processes.stretches import Stretches
from meta_learning.recipes import make_recipe

# Of one predictor, a row a seed where there are some.
OfSeeds = Float64[np.ndarray, "seeds streams"]
# KT throughout, as in the paper.
ALPHA = (0.5, 0.5)
# Symbols of the histories whose segmentations are enumerated.
_SMALL = 8
# Every so many-th place of a curve is kept.
_EVERY = 4


@dataclass(frozen=True)
class Sizes:
    """depth: of the tree, which has 2^depth places, the length of streams. hidden, iterations, seeds,
    batch: of the networks. streams: of the test. hazards: how many halves of 1 are tried."""

    depth: int
    hidden: int
    iterations: int
    seeds: int
    streams: int
    hazards: int
    batch: int = 4

    @property
    def length(self) -> int:
        return int(2**self.depth)


FULL = Sizes(8, 32, 6_000, 3, 4_000, 8)
QUICK = Sizes(6, 32, 600, 2, 1_000, 4)


def sources_of(sizes: Sizes) -> dict[str, Stretches]:
    """What streams are drawn from. The first two are the paper's, which networks are trained on."""
    return {
        "partition_tree": PartitionTree(ALPHA, sizes.depth),
        "live_and_die": LiveAndDie(ALPHA),
        "change_points": ChangePoints(ALPHA, 0.05),
    }


def run(how: How) -> Findings:
    """Regret of every predictor on every source; and where the exact ones are not Bayes."""
    sizes = QUICK if how.quick else FULL
    sources = sources_of(sizes)
    seeds = list(range(how.seed, how.seed + sizes.seeds))
    recipe = make_recipe(iterations=sizes.iterations, batch_size=sizes.batch, unroll=sizes.length)
    trained = {
        f"lstm_{name}": how.train(sources[name], recipe, "lstm", sizes.hidden, seeds)
        for name in ("partition_tree", "live_and_die")
    }
    exact: dict[str, Predict] = {
        "partition_tree": sources["partition_tree"].log_predictive,
        "live_and_die": sources["live_and_die"].log_predictive,
        "no_change_points": DirichletCategorical(ALPHA, float("inf")).log_predictive,
    }
    key = jax.random.fold_in(jax.random.key(how.seed), TEST)
    ours: dict[str, Estimate] = {}
    curves: dict[str, dict[str, list[float]]] = {}
    for number, (name, source) in enumerate(sources.items()):
        own = exact | ({} if name in exact else {name: source.log_predictive})
        found, curves[name] = _on_source(
            source, own, trained, jax.random.fold_in(key, number), sizes
        )
        ours |= {f"{name}.{k}": v for k, v in found.items()}
        regret = found[f"{name}.regret"].mean
        how.say(f"{source.title}: Bayes's regret {regret:.3g} nats over {sizes.length} symbols")
    by_hazard = _by_hazard(exact, jax.random.fold_in(key, len(sources)), sizes)
    for name, small in {
        "partition_tree": PartitionTree(ALPHA, 3),
        "live_and_die": LiveAndDie(ALPHA),
    }.items():
        ours[f"{name}.enumeration"] = Estimate(enumeration_error(small, _SMALL), None, None)
    ours["live_and_die.most"] = Estimate(max(by_hazard["live_and_die"]), None, None)
    return Findings(
        ours,
        {
            "length": sizes.length,
            "streams": sizes.streams,
            "hidden": sizes.hidden,
            "symbols": recipe.symbols,
            "every": _EVERY,
            "regret": curves,
            "estimates": {k: e.document() for k, e in ours.items()},
            "by_hazard": by_hazard,
        },
        seeds,
    )


def _on_source(
    source: Stretches,
    exact: dict[str, Predict],
    trained: dict[str, list[Learner]],
    key: PRNGKeyArray,
    sizes: Sizes,
) -> tuple[dict[str, Estimate], dict[str, list[float]]]:
    """Regret and gap over a stream of each predictor, and the cumulative regret by place. Intervals are
    over streams, of networks over seeds."""
    predictors = dict(exact)
    for name, learners in trained.items():
        predictors |= {f"{name}/{n}": one.log_predictive for n, one in enumerate(learners)}
    found = regrets(source, predictors, key, sizes.streams, sizes.length)
    values: dict[str, OfSeeds] = {}
    curves = {}
    for name in [*exact, *trained]:
        of = [v for k, v in found.items() if k.split("/")[0] == name]
        for part, quantity in enumerate(("regret", "gap")):
            values[f"{name}.{quantity}"] = np.stack([one[part] for one in of])
        curve = np.cumsum(np.mean([one[2] for one in of], axis=0))
        curves[name] = np.round(curve[_EVERY - 1 :: _EVERY], 5).tolist()
    return _over_streams_or_seeds(values), curves


def _over_streams_or_seeds(values: dict[str, OfSeeds]) -> dict[str, Estimate]:
    out: dict[str, Estimate] = {}
    for name, value in values.items():
        out |= estimates({name: value}, {name: partial(_of, name)}, {name: student_log})
    return out


def _of(name: str, means: Means) -> Mean | float:
    return means[name]


def _by_hazard(
    exact: dict[str, Predict], key: PRNGKeyArray, sizes: Sizes
) -> dict[str, list[float]]:
    """KL(Bayes || predictor) over a stream of change points, by hazard."""
    hazards = halves(sizes.hazards)
    out: dict[str, list[float]] = {"hazard": hazards} | {name: [] for name in exact}
    for hazard in hazards:
        process = ChangePoints(ALPHA, hazard)
        for name, (_, gap, _) in regrets(
            process, exact, key, sizes.streams // 4, sizes.length
        ).items():
            out[name].append(float(gap.mean()))
    return out


def _claims() -> Sequence[Claim]:
    out = [
        Claim(
            f"{name}.enumeration",
            f"{PREDICTORS[name][0]}: largest difference from Bayes of its source, by enumeration",
            "nats",
            0.0,
            1e-12,
            note=note,
        )
        for name, note in (
            ("partition_tree", "The paper calls both Bayes-optimal; all histories of 8 symbols."),
            ("live_and_die", ""),
        )
    ]
    for source, title in SOURCES.items():
        for name, (predictor, *_) in PREDICTORS.items():
            if name == "change_points" and source != name:
                continue
            out.append(
                Claim(f"{source}.{name}.regret", f"{title}: {predictor}, regret", "nats", None)
            )
            if name != source:
                out.append(
                    Claim(
                        f"{source}.{name}.gap", f"{title}: {predictor}, gap to Bayes", "nats", None
                    )
                )
    out.append(
        Claim(
            "live_and_die.most",
            "Change points: live and die, largest gap to Bayes of any hazard tried",
            "nats",
            None,
        )
    )
    return out


PAPER = Paper(
    name="genewein-2023",
    title="Memory-based meta-learning on non-stationary distributions",
    authors="Genewein et al. (2023)",
    arxiv="2302.03067",
    setting=(
        "Binary sources that are piecewise stationary, p from Beta(1/2, 1/2) in every piece: "
        "switches from the prior of partition tree weighting (PTW), and after the n-th symbol of "
        "a piece with probability 1/(2n) (LIN). RNNs, LSTMs and transformers trained on fresh "
        "sequences by Adam with batches of 128. The regret is the sum over places of KL(p || q), "
        "p the true probabilities, in nats; beside the networks stand PTW and the linear "
        "live-and-die coder (LAD)."
    ),
    assumed=(
        "Sequences of 256 symbols, a tree of depth 8.",
        "The regret is printed as curves and boxes only: no number of the paper's text could be "
        "had.",
    ),
    differs=(
        "An LSTM of 32 units, SOAP with a cosine schedule, 6.1 million symbols; there some "
        "billions.",
        "The first symbol is scored, too.",
        "Change points at a constant hazard of 0.05 are a third source, on which no network was "
        "trained.",
    ),
    claims=tuple(_claims()),
    run=run,
    tables=tables,
    panels=panels,
    says=says,
)
