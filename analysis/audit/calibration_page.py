"""What an audit says of a rolled-forward future: a sentence, a table, a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.report.formats import interval, nats
from analysis.report.report import Panel, Table
from autoregressive.errors import counted

if TYPE_CHECKING:
    from analysis.audit.calibration import Calibration
    from analysis.audit.future_counts import CountsDistance


_COUNTS = (
    "Counts: half the chi-square divergence of the rolled counts from DirichletMultinomial, nats a "
    "future; the interval holds where it is small."
)
_NO_COUNTS = "The exact distribution of the counts has no short form here and is left out."


def headline(calibration: Calibration) -> str:
    """The answer in a sentence or two."""
    p = calibration.p_value("network")
    if p >= 0.05:
        said = "No miscalibration is seen in the future that the network implies"
    elif p >= 0.001:
        said = "Whether the future that the network implies is calibrated stays in doubt"
    else:
        said = "The future that the network implies is not calibrated"
    text = (
        f"{said}: for uniform ranks of the true counts among {calibration.rolls} rolls p is {p:.2g}"
    )
    if "bayes" in calibration.predictors:
        text += f", for exact Bayes by the same code {calibration.p_value('bayes'):.2g}"
    text += "."
    first = calibration.distances[0][0]
    if first is not None:
        text += (
            f" Its counts of the task's rest, after {counted(calibration.histories[0], 'draw')}, are "
            f"{nats(first.distance.mean)} nats from their exact distribution "
            f"{interval(first.distance.ci95)}."
        )
    return text


def table(calibration: Calibration) -> Table:
    """Every predictor after every history."""
    from analysis.report.style import look

    rows = []
    exact = any(distance is not None for row in calibration.distances for distance in row)
    for i, name in enumerate(calibration.predictors):
        for j, m in enumerate(calibration.histories):
            own = calibration.p_values[i, j]
            rows.append(
                [
                    look(name)[0],
                    str(m),
                    f"{min(1.0, own.min() * own.size):.2g}",
                    *(_distance(calibration.distances[i][j]) if exact else ()),
                    "0"
                    if calibration.early_end[i, j] == 0
                    else f"{calibration.early_end[i, j]:.1e}",
                ]
            )
    distances = ["counts, nats", "95% interval"] if exact else []
    past = f"after {calibration.past_tasks} earlier tasks and " if calibration.past_tasks else ""
    return Table(
        "Is the implied future calibrated?",
        ["predictor", "after", "p", *distances, "early RESET"],
        rows,
        f"{calibration.tasks:,} tasks; {past}after so many draws each predictor is rolled forward "
        f"{calibration.rolls} times to draw {calibration.draws}, symbols sampled from its own "
        "probabilities without RESET's. p: the ranks of the true counts are uniform (chi-square in 20 "
        "bins, "
        f"Bonferroni over symbols). {_COUNTS if exact else _NO_COUNTS} Early RESET: probability of a "
        "RESET before the end.",
    )


def panel(calibration: Calibration) -> Panel:
    """ArviZ's plot of the ranks."""
    from analysis.audit.calibration_figures import rank_figure

    return Panel(
        "calibration",
        rank_figure(calibration),
        "ECDF of the ranks of the true counts minus the uniform one, by symbol, for the network above "
        "and Bayes below, with a band that holds uniform ranks.",
        "A curve inside the band: counts of the task's rest come as often as the predictor's own "
        "rolled-forward samples say. A hump to the left of the middle above zero and one to the right "
        "below: the true counts lie outside of the rolled ones too often. Bayes goes through the same "
        "code.",
    )


def _distance(counts: CountsDistance | None) -> list[str]:
    if counts is None:
        return ["-", ""]
    # A large distance is far outside of where its interval holds.
    large = (counts.distance.mean or 0) > 0.05
    return [nats(counts.distance.mean), "" if large else interval(counts.distance.ci95)]
