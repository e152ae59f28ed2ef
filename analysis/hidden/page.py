"""The report of one network's hidden state: sentences, tables, panels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from analysis.hidden.effects_page import interventions_table, simulation_table
from analysis.hidden.names import target_title
from analysis.hidden.results import document, to_datatree
from analysis.hidden.simulation import Simulation
from analysis.hidden.tables import (
    both,
    carry_over_table,
    count_text,
    dimensions_table,
    direction_table,
    jacobian_table,
    probe_table,
    r2_text,
)
from analysis.report.formats import dirichlet_name, nats, network_name
from analysis.report.report import Panel, Report, Table
from meta_learning.processes import DirichletCategorical

if TYPE_CHECKING:
    from analysis.hidden.examine import Hidden
    from analysis.hidden.interventions import Interventions
    from analysis.intervals import Estimate
    from meta_learning.learner import Learner


def title_of(hidden: Hidden) -> str:
    """Whose state it is, for headings."""
    process, network = hidden.process, network_name(hidden.settings)
    title = process.title
    if isinstance(process, DirichletCategorical):
        title = f"{dirichlet_name(process.alpha)}, T={process.T:g}"
    return f"The hidden state of {network} trained on {title}"


def headline(hidden: Hidden) -> str:
    """What was found, in a few sentences."""
    return " ".join(findings(hidden))


def findings(hidden: Hidden) -> list[str]:
    """What was found, a sentence each: what a probe reads, what swaps change, what simulations do, how
    many directions matter."""
    h = hidden.dimensions["h"].shares
    parts = []
    target = next(iter(hidden.place_only))
    trained, untrained = (
        hidden.probes[network][hidden.whole][target].r2 for network in ("trained", "untrained")
    )
    what = target_title(hidden.process, target)
    if trained.mean is not None and what != "place in task":
        parts.append(
            f"A linear probe reads the {what} from the state with R² = "
            f"{_between(trained, r2_text)}; before training {_between(untrained, r2_text)}."
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
    if h["ranked_prediction"].needed.mean is not None:
        parts.append(
            f"{both(h['variance'].needed, count_text)} directions of h carry 99% of its variance; of "
            f"directions ranked by what the prediction feels, "
            f"{both(h['ranked_prediction'].needed, count_text)} carry 99% of the prediction."
        )
    parts = [part for part in parts if part]
    return parts or ["These streams leave nothing to tell histories apart."]


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
    out = [dimensions_table(hidden), direction_table(hidden), probe_table(hidden)]
    if hidden.interventions is not None:
        out.append(interventions_table(hidden.interventions))
    if isinstance(hidden.simulation, Simulation):
        out.append(simulation_table(hidden.simulation))
    if hidden.carry_over.kl.mean is not None:
        out.append(carry_over_table(hidden))
    return [*out, jacobian_table(hidden)] if hidden.jacobians else out


def panels(hidden: Hidden) -> list[Panel]:
    """The figures of the report."""
    from analysis.hidden import belief_figures, effects_figures, figures

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
                effects_figures.interventions(hidden),
                "Effect of swapped states in nats on a log axis, by when they were swapped and by "
                "symbols since, by kind of the other history.",
                "What another history's state changes. Bands: 95% intervals over tasks. A network that "
                "is Bayes would lie on Bayes's curves, which are at 0 for the same "
                f"{hidden.interventions.noun}. What is infinite or 0 is not drawn.",
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
    if hidden.jacobians:
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


def view(hidden: Hidden) -> str:
    """What there is to say of a state, as a notebook shows it."""
    from analysis.report.views import html_view

    return html_view(title_of(hidden), headline(hidden), tables(hidden))


def make_report(hidden: Hidden, learner: Learner, seed: int) -> Report:
    """What there is to say of a network's hidden state. seed: of the test streams."""
    own = learner.settings.get("seed", 0)
    first, *more = findings(hidden)
    return Report(
        "hidden",
        title_of(hidden),
        first,
        document(hidden),
        tables(hidden),
        panels=lambda: panels(hidden),
        trees=lambda: {"hidden": to_datatree(hidden)},
        networks={f"network-seed{own}": learner},
        seeds=[own],
        findings=more,
        run={"test_seed": seed},
    )


def _between(estimate: Estimate, form: Callable[[float | None], str]) -> str:
    return f"{form(estimate.mean)} (95%: {form(estimate.low)} to {form(estimate.high)})"
