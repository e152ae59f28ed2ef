"""Tables of what a state holds: its directions, what probes read, what passes a RESET, its step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from analysis.hidden.names import belief_name, belief_titles, column_title, target_title
from analysis.hidden.states import space_title
from analysis.report.formats import interval, nats, percent
from analysis.report.report import Table

if TYPE_CHECKING:
    from analysis.hidden.examine import Hidden
    from analysis.intervals import Estimate

# A target's columns are listed one by one up to so many; the leading directions of each part.
_SYMBOLS_LISTED = 4
_DIRECTIONS_LISTED = 5


def dimensions_table(hidden: Hidden) -> Table:
    """How many directions carry 99% of the variance and of the prediction, a row a space."""
    columns = ("variance", "prediction", "prediction_with_reset", "ranked_prediction")
    rows = []
    for space, dimensions in hidden.dimensions.items():
        shares = dimensions.shares
        cells = [both(shares[c].needed, count_text) if c in shares else "" for c in columns]
        rows.append([space_title(space), str(len(dimensions.eigenvalues)), *cells])
    whole = hidden.dimensions["h"].shares["prediction"].whole
    return Table(
        "How many directions carry 99%",
        ["state", "size", "of variance", "of prediction", "with RESETs", "ranked by it"],
        rows,
        "Directions by variance, found on half of the streams and judged on the other; [95% "
        "interval over its streams]. Prediction: KL(whole state's || projected state's prediction) "
        f"against that of the mean state, {nats(whole)} nats at drawn places; with RESETs: "
        "at all places. Ranked by it: directions of h in the order of what the prediction feels. "
        "The read-out sees h only: c alone has no column of prediction. -: nothing to carry, or more "
        "than 64.",
    )


def direction_table(hidden: Hidden) -> Table:
    """What explains the leading directions of each part of the state: R^2 by cause."""
    rows = []
    noun = belief_name(hidden.process)
    for space, causes in hidden.causes.items():
        if len(space) > 1:
            continue
        sizes = hidden.dimensions[space].eigenvalues
        part = sizes / max(sizes.sum(), 1e-300)
        for n in range(min(_DIRECTIONS_LISTED, len(causes["place"].by_column))):
            scores = [causes[name].by_column[n] for name in ("place", "belief", "stream")]
            rows.append(
                [
                    f"{space}, direction {n + 1}",
                    f"{100 * part[n]:.1f}%",
                    *(r2_text(e.mean) for e in scores),
                ]
            )
    return Table(
        "What the leading directions follow (R²)",
        ["direction", "of variance", "place in task", f"+ {noun}", "+ place in stream"],
        rows,
        "Each column adds a cause: the mean at each place of the task, a line in "
        f"{belief_titles(hidden.process)}, the mean at each place of the stream. What is left to 1 is "
        "none of these: order, past tasks, curvature. The JSON has intervals.",
    )


def probe_table(hidden: Hidden) -> Table:
    """R^2 of the probes of the whole state, a row a target and a column a network."""
    process, rows = hidden.process, []
    of_networks = {name: spaces[hidden.whole] for name, spaces in hidden.probes.items()}
    for target, alone in hidden.place_only.items():
        scores = [of[target] for of in of_networks.values()]
        cells = _r2_cells([s.r2 for s in scores])
        rows.append([target_title(process, target), *cells, _short_r2(alone.r2.mean)])
        columns = len(alone.by_column)
        if 1 < columns <= _SYMBOLS_LISTED:
            for k, place_only in enumerate(alone.by_column):
                cells = _r2_cells([s.by_column[k] for s in scores])
                title = column_title(process, target, k, columns)
                rows.append([title, *cells, _short_r2(place_only.mean)])
    return Table(
        f"Linear probes of the whole state: R² on {hidden.held_out} held-out streams",
        ["target", "trained [95%]", *[name for name in of_networks if name != "trained"], "place"],
        rows,
        "Least squares with an intercept, drawn places. Untrained: the network that training "
        "started from, same probe, same streams. Place: the target's mean at each place of the "
        f"task. {hidden.early} The JSON has all intervals.",
    )


def _r2_cells(estimates: Sequence[Estimate]) -> list[str]:
    """R^2 of each network: of the first one, which is the trained one, with its interval."""
    return [both(estimates[0], r2_text), *(r2_text(e.mean) for e in estimates[1:])]


def carry_over_table(hidden: Hidden) -> Table:
    """What passes a RESET: shares of variance, and nats."""
    rows = [
        [
            f"variance of {space_title(space)}, after / before",
            percent(e.mean),
            interval(e.ci95, percent),
        ]
        for space, e in hidden.carry_over.variance.items()
    ]
    kl = hidden.carry_over.kl
    rows.append(["KL(first prediction || after RESET)", nats(kl.mean), interval(kl.ci95)])
    return Table(
        "What passes a RESET",
        ["quantity", "value", "95% interval"],
        rows,
        "Variance between streams at the same place: after a RESET it can only be about past tasks. "
        "KL in nats, from the stream's first prediction to the first after each of its RESETs.",
    )


def jacobian_table(hidden: Hidden) -> Table:
    """Eigenvalues and gain of the step, a row an input; times in symbols."""
    rows = []
    for jacobian in hidden.jacobians:
        is_reset = jacobian.symbol == hidden.process.num_symbols
        scales = jacobian.timescales
        slow = int((scales > hidden.process.task_length).sum())
        rows.append(
            [
                "RESET" if is_reset else str(jacobian.symbol),
                f"{jacobian.spectral_radius:.5f}",
                *([f"{t:.1f}" for t in scales[:3]] + [""] * 3)[:3],
                str(slow),
                f"{jacobian.gain:.3f}",
            ]
        )
    return Table(
        "Eigenvalues of the step at the state after RESET",
        ["input", "radius", "longest", "second", "third", "over T", "gain"],
        rows,
        "Radius: the largest |lambda|. Longest, second, third: -1 / log|lambda| in symbols; over T: "
        "how many are longer than a task. Gain: the largest singular value, the most one step can "
        "stretch a difference. Exact, at the one state that the initial state and RESET lead to.",
    )


def both(estimate: Estimate | None, form: Callable[[float | None], str]) -> str:
    """A value and its interval in one cell; empty without an estimate, "-" where it does not exist."""
    if estimate is None or estimate.mean is None:
        return "" if estimate is None else "-"
    return f"{form(estimate.mean)} {interval(estimate.ci95, form)}"


def r2_text(value: float | None) -> str:
    """R^2 for a table."""
    return "-" if value is None else f"{value:.4f}"


def _short_r2(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"


def count_text(value: float | None) -> str:
    """A number of directions for a table."""
    return "-" if value is None else f"{value:.0f}"
