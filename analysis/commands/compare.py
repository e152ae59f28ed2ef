"""``meta-learn compare``: train or load a network, and say how far from Bayes it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.commands.networks import (
    NetworkOptions,
    find_networks,
    network_options,
    refuse_options,
)
from analysis.commands.options import (
    ALPHA,
    PROBABILITIES,
    TASK_LENGTH,
    seeds_option,
    shared_options,
    streams_option,
)
from analysis.console import usage_errors
from analysis.interrupts import whole_program
from analysis.output import expect_figures, finish, prepare

if TYPE_CHECKING:
    from analysis.all_histories.file import HistoriesFile
    from meta_learning.processes import Process

DEFAULT_OUT = Path("meta-learn-report")
CHECKPOINT_OUT = Path("meta-learn-report-checkpoint")
PREDICTIONS_OUT = Path("meta-learn-report-predictions")

_EXAMPLES = """\
Examples:

\b
  meta-learn compare --alpha 10,1,1 --T 20
  meta-learn compare --experiment M2 --seeds 5 --out m2
  meta-learn compare --alpha 10,1,1 --T 20 --recipe coursework
  meta-learn compare --checkpoint m2/network-seed0.safetensors --p 1,0,0
  meta-learn compare --process change-points --param hazard=0.05
  meta-learn compare --predictions predictions.npz --streams-file streams.npz
"""


@click.command(epilog=_EXAMPLES)
@network_options
@click.option("--test-alpha", type=ALPHA, help="Prior of the test streams.  [as trained]")
@click.option(
    "--test-T",
    "test_task_length",
    type=TASK_LENGTH,
    help="Task length of the test streams.  [as trained]",
)
@click.option("--p", type=PROBABILITIES, help="Test streams whose p is always this: 1,0,0.")
@seeds_option("Networks to train, with seeds from --seed on.")
@streams_option()
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="What any other model predicts on a streams file.",
)
@click.option(
    "--streams-file", type=click.Path(path_type=Path), help="What meta-learn streams wrote."
)
@shared_options
def compare(
    network: NetworkOptions,
    test_alpha: tuple[float, ...] | None,
    test_task_length: float | None,
    p: tuple[float, ...] | None,
    seeds: int,
    streams: int,
    predictions: Path | None,
    streams_file: Path | None,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """How far is a network from the exact Bayesian predictor?

    Trains a network on streams of a process whose exact Bayesian predictor is known, by default
    Dirichlet-categorical (or finds it in the cache, or loads --checkpoint), computes the exact
    posterior predictive, and prints the gap KL(Bayes || network) in nats with a 95% interval. The
    report, with figures, goes to --out (default: ./meta-learn-report).

    With --predictions it scores what any model, in any framework, predicts on a --streams-file; the
    exact gap and its parts where that holds all histories of a task.
    """
    if predictions is not None or streams_file is not None:
        _compare_predictions(predictions, streams_file, out, as_json)
        return
    if test_alpha is not None and p is not None:
        raise click.UsageError("give --test-alpha or --p, not both")
    if out is None and not as_json:
        out = DEFAULT_OUT if network.checkpoint is None else CHECKPOINT_OUT

    def choose(process: Process) -> tuple[Process, Process]:
        return choose_test_processes(process, test_alpha, test_task_length, p)

    def compile_ahead(process: Process) -> None:
        from analysis.comparison.learners import score_ahead

        score_ahead(*choose(process), seed, streams)

    learners, process = find_networks(
        network,
        range(seed, seed + seeds),
        out,
        quiet,
        lambda model, process: choose(process),
        instead="; use --test-alpha, --test-T or --p for the test streams",
        # Threads may outlive the command, but not the program.
        beside=compile_ahead if whole_program() else None,
    )
    expect_figures(out)
    from analysis.comparison.learners import compare_learners
    from analysis.comparison.page import make_report
    from analysis.progress import scoring_progress

    prior, source = choose(process)
    with scoring_progress(quiet):
        comparison = compare_learners(learners, process, prior, source, seed, streams)
    finish(make_report(comparison, learners, seed), out, as_json)


def _compare_predictions(
    predictions: Path | None, streams_file: Path | None, out: Path | None, as_json: bool
) -> None:
    """Errors: UsageError beside options of other comparisons; DataError for files that do not fit."""
    if predictions is None or streams_file is None:
        raise click.UsageError(
            "--predictions and --streams-file go together: meta-learn streams writes the streams to "
            "predict, any program the predictions"
        )
    options = {option.name or "" for option in click.get_current_context().command.params}
    refuse_options(
        options - {"predictions", "streams_file", "out", "quiet", "as_json", "device"},
        "with --predictions: the streams file says what the streams are",
    )
    from analysis.all_histories.file import read_histories
    from analysis.comparison.page import make_report
    from analysis.comparison.predictions import compare_predictions, read_predictions
    from analysis.comparison.streams_file import read_streams

    out = out or (None if as_json else PREDICTIONS_OUT)
    histories = read_histories(streams_file)
    if histories is not None:
        _judge_all(histories, predictions, streams_file, out, as_json)
        return
    streams = read_streams(streams_file)
    log_q = read_predictions(predictions, streams)
    prepare(out)
    names = {"predictions": predictions.name, "streams_file": streams_file.name}
    comparison = compare_predictions(streams, log_q, settings=names)
    finish(make_report(comparison, [], streams.seed), out, as_json)


def _judge_all(
    histories: HistoriesFile, predictions: Path, file: Path, out: Path | None, as_json: bool
) -> None:
    """Errors: DataError for files that do not fit."""
    from analysis.all_histories.page import judge, make_report
    from analysis.all_histories.predictions import read_all, read_states

    log_q = read_all(predictions, histories)
    states = read_states(predictions, histories)
    prepare(out)
    names = {"predictions": predictions.name, "streams_file": file.name}
    finish(make_report(judge(histories, log_q, states), names), out, as_json)


def choose_test_processes(
    process: Process,
    test_alpha: tuple[float, ...] | None,
    test_task_length: float | None,
    p: tuple[float, ...] | None,
) -> tuple[Process, Process]:
    """The references' prior at the test streams' T, and the source of the test streams. Errors:
    UsageError for another number of symbols."""
    from meta_learning.processes import FixedCategorical

    for name, given in (("--test-alpha", test_alpha), ("--p", p)):
        if given is not None and len(given) != process.num_symbols:
            raise click.UsageError(
                f"{name} has {len(given)} entries, but the network knows {process.num_symbols} "
                "symbols; they must agree"
            )
    with usage_errors():
        prior = process if test_task_length is None else process.replace({"T": test_task_length})
        if p is not None:
            return prior, FixedCategorical(p, prior.task_length)
        return prior, prior if test_alpha is None else prior.replace({"alpha": test_alpha})
