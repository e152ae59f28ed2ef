"""``meta-learn experiments``: the coursework's four models on its three test streams."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.commands.common import shared_options


@click.command()
@shared_options
def experiments(seed: int, out: Path | None, quiet: bool, as_json: bool) -> None:
    """Train M1 to M4 and compare them on the three test streams."""
