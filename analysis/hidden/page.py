"""The report of one network's hidden state: sentences, tables, panels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from analysis.hidden.effects_page import interventions_table, simulation_table
from analysis.hidden.interventions import belief_name
from analysis.hidden.names import belief_titles, column_title, target_title
from analysis.hidden.results import document, to_datatree
from analysis.hidden.simulation import Simulation
from analysis.report.formats import dirichlet_name, interval, nats, network_name, percent
from analysis.report.report import Panel, Report, Table
from meta_learning.processes import DirichletCategorical

if TYPE_CHECKING:
    from analysis.hidden.examine import Hidden
    from analysis.hidden.interventions import Interventions
    from analysis.intervals import Estimate
    from meta_learning.learner import Learner

# Probes are listed by symbol up to so many of them, and directions of each part of the state.
_SYMBOLS_LISTED = 4
_DIRECTIONS_LISTED = 5


def title_of(hidden: Hidden) -> str:
    """Whose state it is, for headings."""
    process, network = hidden.process, network_name(hidden.settings)
    title = process.title
    if isinstance(process, DirichletCategorical):
        title = f"{dirichlet_name(process.alpha)}, T={process.T:g}"
    return f"The hidden state of {network} trained on {title}"


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
    target = next(iter(hidden.place_only))
    trained, untrained = (
        hidden.probes[network][hidden.whole][target].r2 for network in ("trained", "untrained")
    )
    what = target_title(hidden.process, target)
    if trained.mean is not None and what != "place in task":
        parts.append(
            f"A linear probe reads the {what} from the state with R² = "
            f"{_between(trained, _r2)}; before training {_between(untrained, _r2)}."
        )
    if (effects := hidden.interventions) is not None:
        parts.append(_swapped(effects))
    if isinstance(hidden.simulation, Simulation):
        kls = hidden.simulation.mean["bayes_from_state"]["trained"]
        itself = hidden.simulation.identity["trained"]["network_bayes"]
        if kls["bayes"].mean is not None and itself.mean is not None:
            parts.append(
                "Bayes that goes on from what a line reads off the state is "
                f"{nats(kls['bayes'].mean)} nats a symbol from Bayes and {nats(kls['network'].mean)} "
                f"from the network, which is {nats(itself.mean)} from Bayes."
            )
    return " ".join(parts) or "These streams leave nothing to tell histories apart."


def _swapped(effects: Interventions) -> str:
    """What an exchanged state changes, in a sentence."""
    noun, mean = effects.noun, effects.mean
    says = {
        "same_counts": "that of the same counts in another order",
        "same_belief": "that of another history with the same belief",
        "nearest_belief": "that of the history with the nearest belief",
    }
    first = next((kind for kind in says if kind in mean), None)
    other = mean.get(effects.other)
    if first is None:
        return (
            f"Exchanging the state for that of another {noun} changes the predictions that follow by "
            f"{_between(other, nats)} nats a symbol."
            if other is not None
            else ""
        )
    sentence = (
        f"Exchanging the state for {says[first]} changes the predictions that follow by "
        f"{_between(mean[first], nats)} nats a symbol"
    )
    near = mean.get("nearest_belief_bayes")
    if near is not None and first == "nearest_belief":
        sentence += f" (Bayes's by {nats(near.mean, 'infinitely many')})"
    if other is not None:
        of = f"other {noun}" if noun == "counts" else f"an other {noun}"
        sentence += f", for that of {of.replace('an other', 'another')} by {_between(other, nats)}"
    return f"{sentence}."


def tables(hidden: Hidden) -> list[Table]:
    """The numbers as text."""
    out = [_dimensions_table(hidden), _direction_table(hidden), _probe_table(hidden)]
    if hidden.interventions is not None:
        out.append(interventions_table(hidden.interventions))
    if isinstance(hidden.simulation, Simulation):
        out.append(simulation_table(hidden.simulation))
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
                    *(_r2(e.mean) for e in scores),
                ]
            )
    return Table(
        "What the leading directions follow (R²)",
        ["direction", "of variance", "place in task", f"+ {noun}", "+ place in stream"],
        rows,
        "Each column adds a cause: the mean at each place of the task, a line in "
        f"{belief_titles(hidden.process).replace(', ', ' and ')}, the mean at each place of the stream. What is left to 1 is none of these: "
        "order, past tasks, curvature. The JSON has intervals.",
    )


def _probe_table(hidden: Hidden) -> Table:
    process, rows = hidden.process, []
    of_networks = {name: spaces[hidden.whole] for name, spaces in hidden.probes.items()}
    for target, alone in hidden.place_only.items():
        scores = [of[target] for of in of_networks.values()]
        cells = [_cell(s.r2, n) for n, s in enumerate(scores)]
        rows.append([target_title(process, target), *cells, _short(alone.r2.mean)])
        columns = len(alone.by_column)
        if 1 < columns <= _SYMBOLS_LISTED:
            for k, place_only in enumerate(alone.by_column):
                cells = [_cell(s.by_column[k], n) for n, s in enumerate(scores)]
                title = column_title(process, target, k, columns)
                rows.append([title, *cells, _short(place_only.mean)])
    return Table(
        f"Linear probes of the whole state: R² on {hidden.held_out} held-out streams",
        ["target", "trained [95%]", *[name for name in of_networks if name != "trained"], "place"],
        rows,
        "Least squares with an intercept, drawn places. Untrained: the network that training "
        "started from, same probe, same streams. Place: the target's mean at each place of the "
        f"task. {hidden.early} The JSON has all intervals.",
    )


def _cell(estimate: Estimate, number: int) -> str:
    """The trained network's with its interval; of the others the value."""
    return _both(estimate, _r2) if number == 0 else _r2(estimate.mean)


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
        slow = int((scales > hidden.process.task_length).sum())
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
    from analysis.hidden import belief_figures, figures

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
            "belief, the place in the stream, or none of them.",
            "What the leading directions follow, by variance. Each shade is what a cause adds to "
            "those below it; place in the stream is of no use to a Bayesian.",
        ),
        Panel(
            "trajectories",
            figures.trajectories(hidden),
            "Scatter of states in two leading directions, coloured by place and by Bayes's belief.",
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
    if hidden.readings is not None:
        out.append(
            Panel(
                "belief",
                belief_figures.belief(hidden),
                "Dots of Bayes's belief after every history, exact and as linear probes of the trained "
                "and the untrained network read it.",
                belief_figures.belief_caption(hidden),
            )
        )
    if hidden.interventions is not None:
        out.append(
            Panel(
                "swaps",
                figures.interventions(hidden),
                "Effect of swapped states in nats on a log axis, by when they were swapped and by "
                "symbols since, by kind of the other history.",
                "What another history's state changes. Bands: 95% intervals over tasks. A network that "
                "is Bayes would lie on Bayes's curves, which are at 0 for the same "
                f"{hidden.interventions.noun}.",
            )
        )
    if isinstance(hidden.simulation, Simulation):
        out.append(
            Panel(
                "simulation",
                belief_figures.simulation(hidden),
                "KL from Bayes that runs on from the network's state, and from the network that runs on "
                "from Bayes's belief, by when they start, on a log axis.",
                "Left: Bayes runs on from what a line reads off the network's state. Right: the network "
                "runs on from the state that a line makes of Bayes's belief. Dotted: "
                "the network itself from Bayes.",
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
