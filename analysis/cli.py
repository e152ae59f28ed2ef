"""The ``meta-learn`` command."""

from __future__ import annotations

import click

from analysis.commands.audit import audit
from analysis.commands.compare import compare
from analysis.commands.experiments import experiments
from analysis.commands.hidden import hidden
from analysis.commands.inpaint import inpaint
from analysis.commands.papers import papers
from analysis.commands.pixels import pixels
from analysis.commands.questions import questions
from analysis.commands.reproduce import reproduce
from analysis.commands.streams import streams
from analysis.commands.sweep import sweep
from analysis.console import one_line_errors
from analysis.interrupts import handle_signals, interrupted, stop
from autoregressive.versions import package_version

_START = """\
Start here:

\b
  meta-learn compare --alpha 10,1,1 --T 20
  meta-learn compare --experiment M2 --seeds 5
  meta-learn experiments --out coursework
  meta-learn reproduce --quick
  meta-learn sweep --alpha 10,1,1 --T 20 --hidden 8 --hidden 32 --seeds 3
  meta-learn inpaint --mask square:3
"""


def _print_version(context: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"meta-learn {package_version()}")
        context.exit()


def _load(context: click.Context, option: click.Parameter, named: tuple[str, ...]) -> None:
    """Loads extensions before the command is parsed, so that its help can list them."""
    if not named:
        return
    from analysis import extensions

    with one_line_errors():
        for one in named:
            try:
                extensions.load(one)
            except extensions.ExtensionError as error:
                raise click.UsageError(str(error)) from None


class _Group(click.Group):
    """A group whose commands an interrupt ends with 'stopped' and 130."""

    def __call__(self, *args: object, **kwargs: object) -> object:
        """The whole command, for a program that calls ``main()``."""
        with handle_signals(program=True):
            return super().__call__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> object:
        with handle_signals():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                stop()
            except Exception:
                # Some libraries turn an interrupt into exceptions of their own.
                if interrupted():
                    stop()
                raise


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=_START,
    invoke_without_command=True,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.option(
    "--load",
    multiple=True,
    metavar="FILE",
    expose_value=False,
    callback=_load,
    help="Before the command, load a Python file or module that adds processes, cells, masks, "
    "references or metrics; can be given again.",
)
@click.pass_context
def main(context: click.Context) -> None:
    """How far is a trained sequence network from the Bayes-optimal predictor?

    Trains LSTMs and GRUs on streams whose exact Bayesian predictor is known, and says in nats, with
    95% intervals, how close the network comes to it. Results go to stdout, progress to stderr.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


main.add_command(audit)
main.add_command(compare)
main.add_command(experiments)
main.add_command(hidden)
main.add_command(inpaint)
main.add_command(papers)
main.add_command(pixels)
main.add_command(questions)
main.add_command(reproduce)
main.add_command(streams)
main.add_command(sweep)
