"""The report of one network's hidden state: sentences, tables, panels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from analysis.hidden.results import document, to_datatree
from analysis.report.formats import dirichlet_name, interval, nats, network_name, percent
from analysis.report.report import Panel, Report, Table

if TYPE_CHECKING:
    from analysis.hidden.examine import Hidden
    from analysis.hidden.interventions import Interventions
    from analysis.intervals import Estimate
    from meta_learning.learner import Learner

# Probes are listed by symbol up to so many of them, and directions of each part of the state.
_SYMBOLS_LISTED = 4
_DIRECTIONS_LISTED = 5
_OF_SYMBOL = {"counts": "count of", "posterior_mean": "posterior mean"}


def title_of(hidden: Hidden) -> str:
    """Whose state it is, for headings."""
    settings, process = hidden.settings, hidden.process
    network, prior = network_name(settings), dirichlet_name(process.alpha)
    return f"The hidden state of {network} trained on {prior}, T={process.T:g}"


def headline(hidden: Hidden) -> str:
    """The answer in a few sentences."""
    h = hidden.dimensions["h"].shares
    parts = []
    if h["ranked_prediction"].needed.mean is not None:
        parts.append(
            f"{_both(h['variance'].needed, _count)} directions of h carry 99% of its variance; of "
            f"directions ranked by what the prediction feels, "
            f"{_both(h['ranked_prediction'].needed, _count)} carry 99% of the prediction."
        )
    trained, untrained = (
        hidden.probes[network][hidden.whole]["counts"].r2 for network in ("trained", "untrained")
    )
    if trained.mean is not None:
        parts.append(
            "A linear probe reads the counts from the state with R² = "
            f"{_between(trained, _r2)}; before training {_between(untrained, _r2)}."
        )
    if hidden.interventions is not None:
        effects = hidden.interventions.mean
        parts.append(
            "Exchanging the state for that of the same counts in another order changes the "
            f"predictions that follow by {_between(effects['same_counts'], nats)} nats a symbol, for "
            f"that of other counts by {_between(effects['other_counts'], nats)}."
        )
    return " ".join(parts) or "These streams leave nothing to tell histories apart."


def tables(hidden: Hidden) -> list[Table]:
    """The numbers as text."""
    out = [_dimensions_table(hidden), _direction_table(hidden), _probe_table(hidden)]
    if hidden.interventions is not None:
        out.append(_interventions_table(hidden.interventions))
    if hidden.carry_over.kl.mean is not None:
        out.append(_carry_over_table(hidden))
    return [*out, _jacobian_table(hidden)]


def _dimensions_table(hidden: Hidden) -> Table:
    from analysis.hidden.states import space_title

    columns = ("variance", "prediction", "prediction_with_reset", "ranked_prediction")
    rows = []
    for space, dimensions in hidden.dimensions.items():
        shares = dimensions.shares
        cells = [_both(shares[c].needed, _count) if c in shares else "" for c in columns]
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


def _direction_table(hidden: Hidden) -> Table:
    rows = []
    for space, causes in hidden.causes.items():
        if len(space) > 1:
            continue
        sizes = hidden.dimensions[space].eigenvalues
        part = sizes / max(sizes.sum(), 1e-300)
        for n in range(min(_DIRECTIONS_LISTED, len(causes["place"].by_column))):
            scores = [causes[name].by_column[n] for name in ("place", "counts", "stream")]
            rows.append(
                [
                    f"{space}, direction {n + 1}",
                    f"{100 * part[n]:.1f}%",
                    *(_r2(e.mean) for e in scores),
                ]
            )
    return Table(
        "What the leading directions follow (R²)",
        ["direction", "of variance", "place in task", "+ counts", "+ place in stream"],
        rows,
        "Each column adds a cause: the mean at each place of the task, a line in counts and "
        "posterior mean, the mean at each place of the stream. What is left to 1 is none of these: "
        "order, past tasks, curvature. The JSON has intervals.",
    )


def _probe_table(hidden: Hidden) -> Table:
    from analysis.hidden.figures import TARGETS

    rows = []
    trained, untrained = (hidden.probes[n][hidden.whole] for n in ("trained", "untrained"))
    for target, alone in hidden.place_only.items():
        scores = (trained[target], untrained[target])
        rows.append([TARGETS[target], *(_both(s.r2, _r2) for s in scores), _short(alone.r2.mean)])
        if 1 < len(alone.by_column) <= _SYMBOLS_LISTED:
            for k, place_only in enumerate(alone.by_column):
                cells = [_both(s.by_column[k], _r2) for s in scores]
                rows.append([f"{_OF_SYMBOL[target]} {k}", *cells, _short(place_only.mean)])
    return Table(
        f"Linear probes of the whole state: R² on {hidden.held_out} held-out streams",
        ["target", "trained [95%]", "untrained [95%]", "place"],
        rows,
        "Least squares with an intercept, drawn places. Untrained: the network that training "
        "started from, same probe, same streams. Place: the target's mean at each place of the "
        "task.",
    )


def _interventions_table(effects: Interventions) -> Table:
    names = {
        "same_counts": "same counts",
        "other_counts": "other counts",
        "other_counts_bayes": "other, Bayes",
        "other_counts_h": "other, h only",
        "other_counts_c": "other, c only",
    }
    rows = [
        [name, _both(effects.mean[kind], nats), _both(effects.ratio.get(kind), nats)]
        for kind, name in names.items()
        if kind in effects.mean
    ]
    return Table(
        "State of another history: KL(own || swapped) over the rest of the task, nats",
        ["history with", "nats a symbol [95%]", "ratio to other counts [95%]"],
        rows,
        f"{effects.tasks} tasks from the initial state on, swapped after {effects.draws[0]} to "
        f"{effects.draws[-1]} draws; the same tasks in every row, intervals over tasks. Same counts: "
        "in another order. Bayes: the change in the exact predictive, which is 0 for the same "
        "counts. h only, c only: the other part of the state stays.",
    )


def _carry_over_table(hidden: Hidden) -> Table:
    from analysis.hidden.states import space_title

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


def _jacobian_table(hidden: Hidden) -> Table:
    rows = []
    for jacobian in hidden.jacobians:
        is_reset = jacobian.symbol == hidden.process.num_symbols
        scales = jacobian.timescales
        slow = int((scales > hidden.process.T).sum())
        rows.append(
            [
                "RESET" if is_reset else str(jacobian.symbol),
                f"{jacobian.spectral_radius:.5f}",
                *[f"{t:.1f}" for t in scales[:3]],
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


def panels(hidden: Hidden) -> list[Panel]:
    """The figures of the report."""
    from analysis.hidden import figures

    out = [
        Panel(
            "spectrum",
            figures.dimensions(hidden),
            "Eigenvalues of the states' covariance falling over orders of magnitude; below, the "
            "share of variance and of prediction carried by the leading directions.",
            "Above: eigenvalues of the covariance. Below: the share that the first directions "
            "carry, of the variance and of the prediction. A direction of much variance need not "
            "matter to the prediction.",
        ),
        Panel(
            "directions",
            figures.meaning(hidden),
            "Stacked bars: how much of each leading direction follows the place in the task, the "
            "counts, the place in the stream, or none of them.",
            "What the leading directions follow, by variance. Each shade is what a cause adds to "
            "those below it; place in the stream is of no use to a Bayesian.",
        ),
        Panel(
            "trajectories",
            figures.trajectories(hidden),
            "Scatter of states in two leading directions, coloured by place and by the count of "
            "each symbol.",
            "h at drawn places of held-out streams. Above: the two directions of most variance. "
            "Below: the two that the prediction feels most, in standard deviations. Lines: the "
            "first task of three streams, from the dot on; later RESETs need not lead to the dot.",
        ),
        Panel(
            "probes",
            figures.probes(hidden),
            "Share of each target's variance that a linear probe leaves over, on a log axis, for "
            "the trained and the untrained network and for the place alone.",
            "What a straight line leaves over: further left is better. Bars: 95% intervals over "
            "held-out streams, often narrower than the marks. The place alone leaves nothing of "
            "log concentration and place, and so has no mark there.",
        ),
    ]
    if hidden.interventions is not None:
        out.append(
            Panel(
                "swaps",
                figures.interventions(hidden),
                "Effect of swapped states in nats on a log axis, by when they were swapped and by "
                "symbols since: far smaller for the same counts than for other counts.",
                "What another history's state changes. Bands: 95% intervals over tasks. A network that "
                "is Bayes would lie on Bayes's curve for other counts, and at 0 for the same ones.",
            )
        )
    out.append(
        Panel(
            "eigenvalues",
            figures.eigenvalues(hidden),
            "Eigenvalues of the Jacobian of the step in the complex plane with the unit circle, a "
            "panel an input symbol, and their time scales below.",
            "The step linearised at the state after RESET, for each input. Near the unit circle: "
            "differences of states that last. The state moves on with every symbol, so this is the "
            "memory at one state, not of a whole task.",
        )
    )
    return out


def make_report(hidden: Hidden, learner: Learner, seed: int) -> Report:
    """What there is to say of a network's hidden state. seed: of the test streams."""
    own = learner.settings.get("seed", 0)
    return Report(
        "hidden",
        title_of(hidden),
        headline(hidden),
        document(hidden),
        tables(hidden),
        panels=lambda: panels(hidden),
        trees=lambda: {"hidden": to_datatree(hidden)},
        networks={f"network-seed{own}": learner},
        seeds=[own],
        run={"test_seed": seed},
    )


def _both(estimate: Estimate | None, form: Callable[[float | None], str]) -> str:
    """A value and its interval in one cell."""
    if estimate is None or estimate.mean is None:
        return "" if estimate is None else "-"
    return f"{form(estimate.mean)} {interval(estimate.ci95, form)}"


def _r2(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _between(estimate: Estimate, form: Callable[[float | None], str]) -> str:
    return f"{form(estimate.mean)} (95%: {form(estimate.low)} to {form(estimate.high)})"
