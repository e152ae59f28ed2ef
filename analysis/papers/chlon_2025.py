"""Chlon et al. (2025): how far a transformer's prediction depends on the order of exchangeable symbols,
with and without positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from analysis.audit.exact_gap import exact_gap
from analysis.intervals import Estimate, student_log
from analysis.papers.chlon_2025_figures import NETWORKS, panels, says, tables
from analysis.papers.filtering import Histories
from analysis.papers.orders import order_variance, same_symbols, same_symbols_and_last
from analysis.papers.paper import Claim, Findings, How, Paper
from autoregressive.cells import RotaryTransformer, Transformer, UnplacedTransformer
from autoregressive.model import Model
from autoregressive.training import fit
from autoregressive.training_runs import get_seed
from meta_learning.learner import INIT, TRAINING, Learner, make_trainer
from meta_learning.processes import DirichletCategorical
from meta_learning.recipes import Recipe, make_recipe
from meta_learning.training import learner_settings

# A step of float32 at 1, squared: what rounding may leave of a variance.
_ROUNDING = 2.0**-46
# The kinds of ``NETWORKS``: a cell and its layers.
KINDS: Mapping[str, tuple[type[Transformer], int]] = {
    "one_layer": (UnplacedTransformer, 1),
    "unplaced": (UnplacedTransformer, 2),
    "distance": (Transformer, 2),
    "rotary": (RotaryTransformer, 2),
}


@dataclass(frozen=True)
class Sizes:
    """draws: of a task. hidden: width."""

    draws: int
    hidden: int
    iterations: int
    seeds: int
    batch: int = 30


FULL = Sizes(12, 32, 1_500, 3)
QUICK = Sizes(8, 32, 200, 2)


def run(how: How) -> Findings:
    """Every kind of transformer on Bernoulli tasks."""
    sizes = QUICK if how.quick else FULL
    seeds = list(range(how.seed, how.seed + sizes.seeds))
    process = DirichletCategorical((1.0, 1.0), sizes.draws + 1)
    # The same histories as of a task: RESET is not among them.
    histories = Histories.of(DirichletCategorical((1.0, 1.0), float("inf")), sizes.draws)
    recipe = make_recipe(
        iterations=sizes.iterations, batch_size=sizes.batch, unroll=sizes.draws + 1
    )
    networks = []
    ours: dict[str, Estimate] = {}
    for kind in KINDS:
        trained = _trained(kind, process, recipe, sizes, seeds)
        rows = [_measured(learner, process, histories) for learner in trained]
        networks.append({"kind": kind, "rows": rows})
        for key in ("variance", "variance_last", "gap", "order"):
            ours[f"{kind}.{key}"] = student_log(np.array([np.mean(row[key]) for row in rows]))
        how.say(
            f"{NETWORKS[kind][0]}: variance over orders {ours[f'{kind}.variance'].mean:.1e}, with "
            f"the last symbol kept {ours[f'{kind}.variance_last'].mean:.1e}"
        )
    for kind in ("distance", "rotary"):
        ours[f"{kind}.variance_most"] = ours[f"{kind}.variance"]
    curves = {
        "draws": sizes.draws,
        "hidden": sizes.hidden,
        "symbols": recipe.symbols,
        "networks": networks,
        "estimates": {k: e.document() for k, e in ours.items()},
    }
    return Findings(ours, curves, seeds)


def _trained(
    kind: str, process: DirichletCategorical, recipe: Recipe, sizes: Sizes, seeds: Sequence[int]
) -> list[Learner]:
    """One a seed, trained together: cells of another depth and window than those by name."""
    cell, layers = KINDS[kind]
    outcomes = process.num_symbols + 1
    model = Model(cell(outcomes, sizes.hidden, sizes.draws + 2, layers), outcomes, (64,))
    trainer = make_trainer(process, model, recipe)
    keys = [jax.random.key(seed) for seed in seeds]
    start = [model.init(jax.random.fold_in(key, INIT), recipe.timescale) for key in keys]
    state = trainer.init(jax.tree.map(lambda *leaves: jnp.stack(leaves), *start))
    drawn = jnp.stack([jax.random.fold_in(key, TRAINING) for key in keys])
    for progress in fit(trainer, state, drawn, None, [recipe.iterations]):
        state = progress.state
    params = trainer.get_params(state)
    return [
        Learner(
            model,
            get_seed(params, n),
            process.num_symbols,
            learner_settings(process, recipe, kind, sizes.hidden, seed),
        )
        for n, seed in enumerate(seeds)
    ]


def _measured(
    learner: Learner, process: DirichletCategorical, histories: Histories
) -> dict[str, Any]:
    """Variances over orders, by the number of symbols before: from two on, of orders that end alike
    from three on, where there are any. The exact gap, and of it the part that is order."""
    log_q = learner.log_predictive(histories.symbols)
    exact = exact_gap(learner, process)
    order = exact.decomposition.same_belief
    assert order is not None, "a Dirichlet process's belief is the counts"
    return {
        "variance": order_variance(histories, log_q, same_symbols)[2:].tolist(),
        "variance_last": order_variance(histories, log_q, same_symbols_and_last)[3:].tolist(),
        "gap": exact.gap,
        "order": float(order.mean()),
    }


def _claims() -> Sequence[Claim]:
    squared = "a probability squared"
    none, most = "variance over orders", "at most"
    out = [
        Claim(
            "unplaced.variance",
            f"No positions, two layers: {none}",
            squared,
            1e-16,
            _ROUNDING,
            "most",
            note="Table 2 has about 1e-16; read as rounding of float32, anything up to 1.4e-14.",
        ),
        Claim(
            "one_layer.variance",
            f"No positions, one layer: {none}",
            squared,
            1e-16,
            _ROUNDING,
            "most",
        ),
        Claim(
            "one_layer.variance_last",
            f"No positions, one layer: {none} that end alike",
            squared,
            1e-16,
            _ROUNDING,
            "most",
        ),
    ]
    for kind in ("distance", "rotary"):
        title = NETWORKS[kind][0]
        out += [
            Claim(
                f"{kind}.variance",
                f"{title}: {none}",
                squared,
                1e-8,
                0.0,
                "least",
                note="Table 2 has 1e-8 to 1e-6." if kind == "distance" else "",
            ),
            Claim(f"{kind}.variance_most", f"{title}: {none}, {most}", squared, 1e-6, 0.0, "most"),
        ]
    out.append(
        Claim(
            "unplaced.variance_last",
            f"No positions, two layers: {none} that end alike",
            squared,
            None,
        )
    )
    for kind, (title, *_) in NETWORKS.items():
        out.append(Claim(f"{kind}.gap", f"{title}: exact gap", "nats a symbol", None))
        out.append(
            Claim(f"{kind}.order", f"{title}: part of it that is order", "nats a symbol", None)
        )
    return out


PAPER = Paper(
    name="chlon-2025",
    title="LLMs are Bayesian, in expectation, not in realization",
    authors="Chlon et al. (2025)",
    arxiv="2507.11768",
    setting=(
        "Bernoulli sequences. Transformers trained from scratch that differ in their positional "
        "encoding alone; the variance of the prediction over orders of the same prefix, about "
        "1e-16 without positions and 1e-8 to 1e-6 with standard ones (Table 2)."
    ),
    assumed=(
        "p from a uniform prior, tasks of 12 draws; the variance of q(1) over all orders of the "
        "same symbols, all as likely, the mean over counts and over prefixes of 2 to 11 symbols.",
        "Layers, widths, training and how prefixes are reordered could not be had.",
    ),
    differs=(
        "Causal decoders of one or two layers, width 32, that predict after every symbol; the "
        "last symbol is what asks for the prediction.",
        "Positions: a learned bias by distance, and rotary ones. All histories, none sampled.",
        "Their figures of language models behind an interface (0.74 and 0.26) are not measured.",
    ),
    claims=tuple(_claims()),
    run=run,
    tables=tables,
    panels=panels,
    says=says,
)
