"""``meta-learn compare``: train or load a network, and say how far from Bayes it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.commands.common import (
    ALPHA,
    PROBABILITIES,
    TASK_LENGTH,
    prepare,
    print_json,
    print_tables,
    shared_options,
    training_progress,
    usage_errors,
)

if TYPE_CHECKING:
    from analysis.compare import Comparison
    from meta_learning.learner import Learner
    from meta_learning.process import DirichletCategorical, Process

DEFAULT_OUT = Path("meta-learn-report")
CHECKPOINT_OUT = Path("meta-learn-report-checkpoint")

_EXAMPLES = """\
Examples:

\b
  meta-learn compare --alpha 10,1,1 --T 20
  meta-learn compare --experiment M2 --seeds 5 --out m2
  meta-learn compare --alpha 10,1,1 --T 20 --recipe coursework
  meta-learn compare --checkpoint m2/network-seed0.safetensors --p 1,0,0
"""


@click.command(epilog=_EXAMPLES)
@click.option("--alpha", type=ALPHA, help="Prior of the tasks, one entry a symbol: 10,1,1.")
@click.option("--T", "task_length", type=TASK_LENGTH,
              help="Task length, RESET included; inf for no RESET.")  # fmt: skip
@click.option("--experiment", metavar="M1..M4", help="The coursework's alpha and T by name.")
@click.option("--checkpoint", type=click.Path(path_type=Path),
              help="Compare a saved network instead of training one.")  # fmt: skip
@click.option("--test-alpha", type=ALPHA, help="Prior of the test streams.  [as trained]")
@click.option("--test-T", "test_task_length", type=TASK_LENGTH,
              help="Task length of the test streams.  [as trained]")  # fmt: skip
@click.option("--p", type=PROBABILITIES, help="Test streams whose p is always this: 1,0,0.")
@click.option("--recipe", default="default", show_default=True, metavar="NAME",
              help="How to train: default or coursework.")  # fmt: skip
@click.option("--budget", type=click.IntRange(1), help="Training symbols.  [6,400,000]")
@click.option("--iterations", type=click.IntRange(1), help="Instead of a budget.")
@click.option("--batch-size", type=click.IntRange(1), help="Streams an iteration.")
@click.option("--unroll", type=click.IntRange(1), help="Symbols a stream.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@click.option("--cell", default="lstm", show_default=True, metavar="NAME", help="lstm or gru.")
@click.option("--hidden", default=32, show_default=True, type=click.IntRange(1, 4096),
              help="Hidden units.")  # fmt: skip
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1, 1000),
              help="Networks to train, with seeds from --seed on.")  # fmt: skip
@click.option("--streams", default=10_000, show_default=True, type=click.IntRange(2),
              help="Test streams.")  # fmt: skip
@shared_options
def compare(
    alpha: tuple[float, ...] | None,
    task_length: float | None,
    experiment: str | None,
    checkpoint: Path | None,
    test_alpha: tuple[float, ...] | None,
    test_task_length: float | None,
    p: tuple[float, ...] | None,
    recipe: str,
    budget: int | None,
    iterations: int | None,
    batch_size: int | None,
    unroll: int | None,
    learning_rate: float | None,
    cell: str,
    hidden: int,
    seeds: int,
    streams: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """How far is a network from the exact Bayesian predictor?

    Trains a network on streams of a Dirichlet-categorical process (or finds it in the cache, or
    loads --checkpoint), computes the exact posterior predictive, and prints the gap
    KL(Bayes || network) in nats with a 95% interval. The report, with figures, goes to --out
    (default: ./meta-learn-report).
    """
    if test_alpha is not None and p is not None:
        raise click.UsageError("give --test-alpha or --p, not both")
    if out is None and not as_json:
        out = DEFAULT_OUT if checkpoint is None else CHECKPOINT_OUT
    if checkpoint is None:
        from meta_learning.recipes import make_recipe

        with usage_errors():
            made = make_recipe(
                recipe,
                budget=budget,
                iterations=iterations,
                batch_size=batch_size,
                unroll=unroll,
                learning_rate=learning_rate,
            )
        process = training_process(alpha, task_length, experiment)
        prior, source = test_processes(process, test_alpha, test_task_length, p)
        prepare(out)
        learners = train_with_progress(
            process, made, cell, hidden, range(seed, seed + seeds), quiet
        )
    else:
        refuse_training_options()
        from meta_learning.learner import Learner

        learners = [Learner.load(checkpoint)]
        process = process_of(learners[0], checkpoint)
        prior, source = test_processes(process, test_alpha, test_task_length, p)
        prepare(out)

    comparison = run_comparison(learners, process, prior, source, seed, streams)
    from analysis.commands import compare_pages as pages
    from analysis.results import document, estimate_all

    found = document(comparison, estimate_all(comparison))
    if out is not None:
        pages.write_report(out, comparison, found, learners, seed)
    if as_json:
        print_json(found)
    else:
        print_tables(
            pages.title_of(comparison),
            pages.summary_tables(comparison, found),
            pages.headline(comparison, found),
        )
        click.echo(f"Report: {out}/report.html")


def refuse_training_options(
    instead: str = "; use --test-alpha, --test-T or --p for the test streams",
) -> None:
    """Errors: UsageError where an option of training was given beside --checkpoint."""
    context = click.get_current_context()
    training = ("alpha", "task_length", "experiment", "recipe", "budget", "iterations",
                "batch_size", "unroll", "learning_rate", "cell", "hidden", "seeds")  # fmt: skip
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in training and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{option.opts[0]} cannot be given with --checkpoint, which has its own{instead}"
            )


def training_process(
    alpha: tuple[float, ...] | None, task_length: float | None, experiment: str | None
) -> DirichletCategorical:
    """The process to train on. Errors: UsageError where it is not determined, or twice."""
    from meta_learning.experiments import EXPERIMENTS
    from meta_learning.process import DirichletCategorical

    if experiment is not None:
        if alpha is not None or task_length is not None:
            raise click.UsageError("--experiment sets alpha and T; give it or --alpha and --T")
        experiment = experiment.upper()
        if experiment not in EXPERIMENTS:
            raise click.UsageError(
                f"unknown experiment {experiment!r}: expected one of {', '.join(EXPERIMENTS)}"
            )
        return EXPERIMENTS[experiment]
    if alpha is None or task_length is None:
        raise click.UsageError(
            "say what to train on: --alpha and --T (for example --alpha 10,1,1 --T 20), "
            "--experiment, or --checkpoint"
        )
    return DirichletCategorical(alpha, task_length)


def process_of(learner: Learner, path: Path) -> DirichletCategorical:
    """The process a saved network was trained on. Errors: CheckpointError where it is not told."""
    from autoregressive.checkpoint import CheckpointError
    from meta_learning.process import DirichletCategorical

    try:
        settings = learner.settings["process"]
        T = settings["T"]
        process = DirichletCategorical(settings["alpha"], float("inf") if T is None else T)
        if process.num_symbols != learner.num_symbols:
            raise ValueError(f"alpha {settings['alpha']}, symbols {learner.num_symbols}")
        return process
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not say what it was trained on: {error}") from None


def test_processes(
    process: DirichletCategorical,
    test_alpha: tuple[float, ...] | None,
    test_task_length: float | None,
    p: tuple[float, ...] | None,
) -> tuple[DirichletCategorical, Process]:
    """The references' prior at the test streams' T, and the source of the test streams."""
    from meta_learning.process import DirichletCategorical, FixedCategorical

    T = process.T if test_task_length is None else test_task_length
    for name, given in (("--test-alpha", test_alpha), ("--p", p)):
        if given is not None and len(given) != process.num_symbols:
            raise click.UsageError(
                f"{name} has {len(given)} entries, but the network knows {process.num_symbols} "
                "symbols; they must agree"
            )
    prior = DirichletCategorical(process.alpha, T)
    if p is not None:
        return prior, FixedCategorical(p, T)
    return prior, prior if test_alpha is None else DirichletCategorical(test_alpha, T)


test_processes.__test__ = False  # type: ignore[attr-defined]


def train_with_progress(
    process: DirichletCategorical, recipe: Any, cell: str, hidden: int, seeds: Any, quiet: bool
) -> list[Learner]:
    """Learners from the cache or trained now, with a progress bar."""
    from autoregressive.cache import cache_folder
    from meta_learning.trained import train

    many = f", {len(seeds)} seeds" if len(seeds) > 1 else ""
    with training_progress(f"training {cell}-{hidden}{many}", quiet) as on_point:
        return train(
            process,
            recipe,
            seeds=seeds,
            cell=cell,
            hidden=hidden,
            folder=cache_folder(),
            on_point=on_point,
        )


def run_comparison(
    learners: list[Learner],
    process: DirichletCategorical,
    prior: DirichletCategorical,
    source: Process,
    seed: int,
    streams: int,
) -> Comparison:
    """Scores learners on streams drawn with the test key of ``seed``."""
    import jax

    from analysis.compare import compare as score
    from meta_learning.learner import TEST
    from meta_learning.process import json_task_length
    from meta_learning.trained import stream_length

    comparison = score(
        [learner.log_predictive for learner in learners],
        prior,
        source,
        key=jax.random.fold_in(jax.random.key(seed), TEST),
        streams=streams,
        length=stream_length(source.task_length),
        seeds=[learner.settings.get("seed", 0) for learner in learners],
    )
    settings = learners[0].settings
    recipe = settings.get("recipe", {})
    comparison.settings = {
        "train_T": json_task_length(process.T),
        "cell": settings["cell"],
        "hidden": settings["hidden"],
        "recipe": recipe.get("name"),
        "iterations": recipe.get("iterations"),
        "batch_size": recipe.get("batch_size"),
        "unroll": recipe.get("unroll"),
        "symbols": recipe.get("iterations", 0)
        * recipe.get("batch_size", 0)
        * recipe.get("unroll", 0),
    }
    return comparison
