"""``meta-learn hidden``: what the state of a trained network holds."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.commands.common import (
    ALPHA,
    TASK_LENGTH,
    prepare,
    print_json,
    print_tables,
    shared_options,
    usage_errors,
)
from analysis.commands.compare import (
    process_of,
    refuse_training_options,
    train_with_progress,
    training_process,
)

DEFAULT_OUT = Path("meta-learn-hidden")

_EXAMPLES = """\
Examples:

\b
  meta-learn hidden --experiment M2
  meta-learn hidden --alpha 1.3,1.3,1.3 --T 20 --cell gru
  meta-learn hidden --checkpoint m2/network-seed0.safetensors --out m2-hidden
"""


@click.command(epilog=_EXAMPLES)
@click.option("--alpha", type=ALPHA, help="Prior of the tasks, one entry a symbol: 10,1,1.")
@click.option("--T", "task_length", type=TASK_LENGTH,
              help="Task length, RESET included; inf for no RESET.")  # fmt: skip
@click.option("--experiment", metavar="M1..M4", help="The coursework's alpha and T by name.")
@click.option("--checkpoint", type=click.Path(path_type=Path),
              help="Look into a saved network instead of training one.")  # fmt: skip
@click.option("--recipe", default="default", show_default=True, metavar="NAME",
              help="How to train: default or coursework.")  # fmt: skip
@click.option("--budget", type=click.IntRange(1), help="Training symbols.  [6,400,000]")
@click.option("--iterations", type=click.IntRange(1), help="Instead of a budget.")
@click.option("--batch-size", type=click.IntRange(1), help="Streams an iteration.")
@click.option("--unroll", type=click.IntRange(1), help="Symbols a stream.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@click.option("--cell", default="lstm", show_default=True, metavar="NAME", help="lstm or gru.")
@click.option("--hidden", "width", default=32, show_default=True, type=click.IntRange(1, 4096),
              help="Hidden units.")  # fmt: skip
@click.option("--streams", default=2_000, show_default=True, type=click.IntRange(4),
              help="Test streams, and tasks whose states are swapped.")  # fmt: skip
@shared_options
def hidden(
    alpha: tuple[float, ...] | None,
    task_length: float | None,
    experiment: str | None,
    checkpoint: Path | None,
    recipe: str,
    budget: int | None,
    iterations: int | None,
    batch_size: int | None,
    unroll: int | None,
    learning_rate: float | None,
    cell: str,
    width: int,
    streams: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """What does the hidden state of a network hold?

    Trains a network as compare does (or finds it in the cache, or loads --checkpoint), and looks at
    its state: how many directions carry its variance and the prediction, what a linear probe reads
    from it, what swapping the states of two histories changes, and the eigenvalues of its step. The
    report goes to --out (default: ./meta-learn-hidden).
    """
    if out is None and not as_json:
        out = DEFAULT_OUT
    from analysis.hidden import check_can_examine, examine
    from analysis.hidden_results import document

    if checkpoint is None:
        from meta_learning.learner import learner_model
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
        # What cannot be looked into is not worth training.
        check_can_examine(learner_model(process.num_symbols, cell, width), process, streams)
        prepare(out)
        (learner,) = train_with_progress(process, made, cell, width, [seed], quiet)
    else:
        refuse_training_options("")
        from meta_learning.learner import Learner

        learner = Learner.load(checkpoint)
        process = process_of(learner, checkpoint)
        check_can_examine(learner.model, process, streams)
        prepare(out)

    import jax

    from analysis.commands import hidden_pages as pages
    from meta_learning.learner import TEST

    key = jax.random.fold_in(jax.random.key(seed), TEST)
    found = examine(learner, process, key=key, streams=streams)
    numbers = document(found)
    if out is not None:
        pages.write_report(out, found, numbers, learner, seed)
    if as_json:
        print_json(numbers)
    else:
        print_tables(pages.title_of(found), pages.tables(found), pages.headline(found))
        click.echo(f"Report: {out}/report.html")
