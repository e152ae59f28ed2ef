"""``meta-learn experiments``: the coursework's four models on its three test streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.common import (
    arguments,
    cell_options,
    command_line,
    interval,
    nats,
    percent,
    prepare,
    print_results,
    shared_options,
)

if TYPE_CHECKING:
    from analysis.compare import Comparison
    from analysis.report import Panel, Table
    from meta_learning.learner import Learner

DEFAULT_OUT = Path("meta-learn-experiments")

_EXAMPLES = """\
Examples:

\b
  meta-learn experiments
  meta-learn experiments --recipe coursework --out coursework
"""


@click.command(epilog=_EXAMPLES)
@click.option("--recipe", default="default", show_default=True, metavar="NAME",
              help="How to train: default or coursework.")  # fmt: skip
@click.option("--budget", type=click.IntRange(1), help="Training symbols.  [6,400,000]")
@cell_options
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1, 1000),
              help="Networks of each model.")  # fmt: skip
@click.option("--streams", default=4_000, show_default=True, type=click.IntRange(2),
              help="Test streams of each kind.")  # fmt: skip
@shared_options
def experiments(
    recipe: str,
    budget: int | None,
    cell: str,
    hidden: int,
    seeds: int,
    streams: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train M1 to M4 and compare them on the three test streams.

    M1, M2: alpha=(10,1,1) with T=5 and T=20. M3, M4: alpha=(1.3,1.3,1.3) with T=5 and T=20. Every
    model is scored on (1) tasks from Dirichlet(10,1,1), (2) from Dirichlet(1.3,1.3,1.3) and (3) tasks
    whose p is always (1,0,0), at its own T. The report goes to --out (default:
    ./meta-learn-experiments).
    """
    from analysis.commands.compare import run_comparison
    from analysis.commands.networks import train_with_progress
    from analysis.results import document, estimate_all
    from meta_learning.experiments import EXPERIMENTS, TEST_STREAMS
    from meta_learning.recipes import make_recipe

    if out is None and not as_json:
        out = DEFAULT_OUT
    prepare(out)
    made = make_recipe(recipe, budget=budget)
    learners: dict[str, list[Learner]] = {}
    comparisons: dict[str, dict[str, Comparison]] = {}
    found: dict[str, dict[str, Any]] = {}
    for name, process in EXPERIMENTS.items():
        if not quiet:
            click.echo(f"{name}: alpha={_show(process.alpha)}, T={process.T}", err=True)
        learners[name] = train_with_progress(
            process, made, cell, hidden, range(seed, seed + seeds), quiet
        )
        comparisons[name] = {
            key: run_comparison(
                learners[name], process, process, stream.make(process.T), seed, streams
            )
            for key, stream in TEST_STREAMS.items()
        }
        found[name] = {key: document(c, estimate_all(c)) for key, c in comparisons[name].items()}
    if out is not None:
        _write(out, comparisons, found, learners, seed)
    title = "The coursework's four models and three test streams"
    print_results(found, as_json, title, _tables(found), out)


def _tables(found: dict[str, dict[str, Any]]) -> list[Table]:
    from analysis.report import Table
    from meta_learning.experiments import TEST_STREAMS

    own = {"M1": "1", "M2": "1", "M3": "2", "M4": "2"}
    home = []
    for name, streams in found.items():
        numbers = streams[own[name]]
        home.append(
            [
                f"{name} {_show(numbers['alpha'])} T={numbers['T']}",
                nats(numbers["loss"]["network"]), nats(numbers["loss"]["bayes"]),
                nats(numbers["gap"]["mean"]), percent(numbers["gap_closed"]["mean"]),
                interval(numbers["gap_closed"]["ci95"], percent),
            ]
        )  # fmt: skip
    tables = [
        Table(
            "Each model on streams of its own prior, nats a drawn symbol",
            ["model", "loss", "Bayes", "gap", "closed", "95% interval"],
            home,
            "gap: mean KL(Bayes || network). closed: share of the gap between a memoryless "
            "predictor and Bayes that the network closes.",
        )
    ]
    for key, stream in TEST_STREAMS.items():
        rows = []
        for name, streams in found.items():
            numbers = streams[key]
            loss = numbers["loss"]
            rows.append(
                [
                    name, str(numbers["T"]), nats(loss["network"]), nats(loss["bayes"]),
                    nats(loss.get("bayes_test", loss["bayes"] if own[name] == key else None)),
                    nats(loss["oracle"]), nats(numbers["gap"]["mean"]),
                ]
            )  # fmt: skip
        tables.append(
            Table(
                f"Test stream {key}: {stream.title}",
                ["model", "T", "loss", "Bayes (own)", "Bayes (test)", "oracle", "gap"],
                rows,
                "Bayes (own): with the model's own alpha; Bayes (test): with the test streams' alpha, "
                "the best predictor there. gap: mean KL(Bayes (own) || network).",
            )
        )
    return tables


def _panels(
    comparisons: dict[str, dict[str, Comparison]], learners: dict[str, list[Learner]]
) -> list[Panel]:
    from analysis import figures
    from analysis.report import Panel
    from meta_learning.experiments import EXPERIMENTS, TEST_STREAMS

    titles = {name: f"{name}: alpha=({_show(p.alpha)}), T={p.T}" for name, p in EXPERIMENTS.items()}
    own = {"M1": "1", "M2": "1", "M3": "2", "M4": "2"}
    panels = [
        Panel(
            "learning-curves",
            figures.learning_curves(
                {titles[n]: [x.history for x in group] for n, group in learners.items()}
            ),
            "Training and held-out loss of the four models against training symbols, each with "
            "the Bayes loss of its own process as a dashed floor.",
            "Learning curves of the four models. Upper row: loss at drawn places. Lower row: "
            "KL(Bayes || network) on held-out streams.",
        ),
        Panel(
            "gap-by-position",
            figures.shared_gap({titles[n]: comparisons[n][own[n]] for n in EXPERIMENTS}),
            "Gap to Bayes by position within the task for all four models on one axis.",
            "The four models on streams of their own prior: KL(Bayes || network) by position "
            "within the task.",
        ),
    ]
    for T, pair in ((5, ("M1", "M3")), (20, ("M2", "M4"))):
        panels.append(
            Panel(
                f"predictions-T{T}",
                figures.predictions_shared(
                    {
                        f"Test stream {key}, T={T}: {stream.title}": {
                            name: comparisons[name][key] for name in pair
                        }
                        for key, stream in TEST_STREAMS.items()
                    },
                    places=40 if T == 20 else 30,
                ),
                f"Probability of symbol 0 along the three test streams: networks {pair[0]} and "
                f"{pair[1]} and the exact Bayesian predictor under each one's prior.",
                f"The two models with T={T} on the same streams: what each predicts for symbol 0, "
                "beside exact Bayes under the model's own prior. Marks above show where symbol 0 "
                "came.",
            )
        )
    return panels


def _write(
    out: Path,
    comparisons: dict[str, dict[str, Comparison]],
    found: dict[str, dict[str, Any]],
    learners: dict[str, list[Learner]],
    seed: int,
) -> None:
    from analysis.report import manifest, write_json, write_netcdf, write_page
    from analysis.results import to_datatree

    for name, group in learners.items():
        for learner in group:
            learner.save(out / f"{name}-seed{learner.settings['seed']}.safetensors")
        for key, comparison in comparisons[name].items():
            write_netcdf(
                out / f"{name}-stream{key}.nc",
                to_datatree(comparison, group),
            )
    seeds = next(iter(comparisons.values()))["1"].seeds
    run = manifest(arguments(), seeds, test_seed=seed)
    write_json(out / "experiments.json", found)
    write_json(out / "manifest.json", run)
    best = {n: found[n]["1" if n in ("M1", "M2") else "2"]["gap_closed"]["mean"] for n in found}
    shares = ", ".join(f"{name} {percent(share)}" for name, share in best.items())
    write_page(
        out,
        title="The coursework's four models and three test streams",
        lead=f"Share of the gap between a memoryless predictor and Bayes that is closed: {shares}.",
        tables=_tables(found),
        panels=_panels(comparisons, learners),
        command=command_line(),
        run=run,
    )


def _show(values: Any) -> str:
    return ",".join(f"{v:g}" for v in values)
