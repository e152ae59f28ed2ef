"""``meta-learn hidden``: what the state of a trained network holds."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.commands.networks import (
    NetworkOptions,
    find_networks,
    network_options,
)
from analysis.commands.options import shared_options, streams_option
from analysis.output import finish

DEFAULT_OUT = Path("meta-learn-hidden")

_EXAMPLES = """\
Examples:

\b
  meta-learn hidden --experiment M2
  meta-learn hidden --process mess3
  meta-learn hidden --alpha 1.3,1.3,1.3 --T 20 --cell gru
  meta-learn hidden --checkpoint m2/network-seed0.safetensors --out m2-hidden
"""


@click.command(epilog=_EXAMPLES)
@network_options
@streams_option("Test streams, and tasks whose states are swapped.", 2_000, 4)
@shared_options
def hidden(
    network: NetworkOptions,
    streams: int,
    seed: int,
    out: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """What does the hidden state of a network hold?

    Trains a network as compare does (or finds it in the cache, or loads --checkpoint), and looks at
    its state: how many directions carry its variance and the prediction, what a linear probe reads
    from it of Bayes's belief, what swapping the states of two histories changes, whether Bayes can go
    on from the state and the network from the belief, and the eigenvalues of its step. Any process.
    The report goes to --out (default: ./meta-learn-hidden).
    """
    from analysis.hidden.examine import check_can_examine, examine

    out = out or (None if as_json else DEFAULT_OUT)
    (learner,), process = find_networks(
        network,
        [seed],
        out,
        quiet,
        lambda model, process: check_can_examine(model, process, streams),
    )

    import jax

    from analysis.hidden.page import make_report
    from meta_learning.learner import TEST

    key = jax.random.fold_in(jax.random.key(seed), TEST)
    state = examine(learner, process, key=key, streams=streams)
    finish(make_report(state, learner, seed), out, as_json)
