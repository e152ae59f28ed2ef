"""What an audit says of a rolled-forward future: a sentence, a table, a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.report.formats import interval, nats
from analysis.report.publish import Panel, Table

if TYPE_CHECKING:
    from analysis.audit.calibration import RolledForward
    from analysis.audit.future_counts import CountsDistance


def headline(found: RolledForward) -> str:
    """The answer in a sentence or two."""
    p = found.p_value("network")
    if p >= 0.05:
        said = "No miscalibration is seen in the future that the network implies"
    elif p >= 0.001:
        said = "Whether the future that the network implies is calibrated stays in doubt"
    else:
        said = "The future that the network implies is not calibrated"
    text = f"{said}: for uniform ranks of what came among {found.rolls} rolls p is {p:.2g}"
    if "bayes" in found.predictors:
        text += f", for exact Bayes by the same code {found.p_value('bayes'):.2g}"
    text += "."
    first = found.distances[0][0]
    if first is not None:
        text += (
            f" Its counts of the task's rest, after {_draws(found.histories[0])}, are "
            f"{nats(first.distance.mean)} nats from their exact law {interval(first.distance.ci95)}."
        )
    return text


def table(found: RolledForward) -> Table:
    """Every predictor after every history."""
    from analysis.comparison.figures import look

    rows = []
    for i, name in enumerate(found.predictors):
        for j, m in enumerate(found.histories):
            own = found.p_values[i, j]
            rows.append(
                [
                    look(name)[0],
                    str(m),
                    f"{min(1.0, own.min() * own.size):.2g}",
                    *_distance(found.distances[i][j]),
                    "0" if found.early_end[i, j] == 0 else f"{found.early_end[i, j]:.1e}",
                ]
            )
    past = f"after {found.past_tasks} earlier tasks and " if found.past_tasks else ""
    return Table(
        "Is the implied future calibrated?",
        ["predictor", "after", "p", "counts, nats", "95% interval", "early RESET"],
        rows,
        f"{found.tasks:,} tasks; {past}after so many draws each predictor is rolled forward "
        f"{found.rolls} times to the task's end, symbols sampled from its own probabilities without "
        "RESET's. p: the ranks of the true counts are uniform (chi-square in 20 bins, Bonferroni over "
        "symbols). Counts: half the chi-square divergence of the rolled counts from "
        "DirichletMultinomial, nats a future; the interval holds where it is small. Early RESET: "
        "probability of a RESET before the end.",
    )


def panel(found: RolledForward) -> Panel:
    """ArviZ's plot of the ranks."""
    from analysis.audit.calibration_figures import calibration

    return Panel(
        "calibration",
        calibration(found),
        "ECDF of the ranks of what came minus the uniform one, by symbol, for the network above and "
        "Bayes below, with a band that holds uniform ranks.",
        "A curve inside the band: counts of the task's rest come as often as the predictor's own "
        "rolled-forward samples say. A hump to the left of the middle above zero and one to the right "
        "below: what came lies outside of what was rolled too often. Bayes goes through the same code.",
    )


def _distance(found: CountsDistance | None) -> list[str]:
    if found is None:
        return ["-", ""]
    # A large distance is far outside of where its interval holds.
    large = (found.distance.mean or 0) > 0.05
    return [nats(found.distance.mean), "" if large else interval(found.distance.ci95)]


def _draws(number: int) -> str:
    return f"{number} draw{'' if number == 1 else 's'}"
