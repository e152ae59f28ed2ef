"""Tables of what states do: swapped for another history's, and simulated from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from analysis.report.formats import interval, nats
from analysis.report.report import Table

if TYPE_CHECKING:
    from analysis.hidden.interventions import Interventions
    from analysis.hidden.simulation import Simulation
    from analysis.intervals import Estimate


def interventions_table(effects: Interventions) -> Table:
    """The effects of swapped states."""
    noun = effects.noun
    names = {
        f"same_{noun}": f"same {noun}",
        f"other_{noun}": f"other {noun}",
        f"other_{noun}_bayes": "other, Bayes",
        f"other_{noun}_h": "other, h only",
        f"other_{noun}_c": "other, c only",
        f"nearest_{noun}": f"nearest {noun}",
        f"nearest_{noun}_bayes": "nearest, Bayes",
    }
    compares = effects.other in effects.mean
    rows = [
        [
            name,
            both(effects.mean[kind], missing="infinite"),
            *(
                [both(effects.ratio[kind], missing="infinite") if kind in effects.ratio else ""]
                if compares
                else []
            ),
        ]
        for kind, name in names.items()
        if kind in effects.mean
    ]
    head = ["history with", "nats a symbol [95%]"]
    return Table(
        "State of another history: KL(own || swapped) over the rest of the task, nats",
        [*head, f"ratio to other {noun} [95%]"] if compares else head,
        rows,
        f"{effects.tasks} tasks from the initial state on, swapped after {effects.draws[0]} to "
        f"{effects.draws[-1]} draws; the same {effects.pairs} pairs of a task and a place in every row, "
        f"intervals over tasks. {_kinds_note(effects)}",
    )


def _kinds_note(effects: Interventions) -> str:
    if effects.noun == "counts":
        return (
            "Same counts: in another order. Bayes: the change in the exact predictive, which is 0 for "
            "the same counts. h only, c only: the other part of the state stays."
        )
    says = {
        "same_belief": "Same belief: another history after which Bayes believes exactly the same.",
        "nearest_belief": "No two beliefs agree. Nearest: the sampled history whose belief is nearest.",
        "other_belief": "Other: another task's history.",
        "other_belief_bayes": "Bayes: the change in the exact predictive along the same symbols"
        + (", 0 for the same belief." if "same_belief" in effects.mean else "."),
        "other_belief_h": "h only, c only: the other part of the state stays.",
    }
    said = [text for kind, text in says.items() if kind in effects.mean]
    bayes = effects.mean.get("other_belief_bayes")
    if bayes is not None and bayes.mean is None:
        said.append("Infinite: one belief rules out what the other does not.")
    return " ".join(said)


def simulation_table(found: Simulation) -> Table:
    """Simulation both ways, for each network."""
    identity = found.identity
    state, belief = found.mean["bayes_from_state"], found.mean["network_from_belief"]
    rows = [
        _row("network || Bayes from state", {k: v["network"] for k, v in state.items()}),
        _row("Bayes || Bayes from state", {k: v["bayes"] for k, v in state.items()}),
        _row("network || Bayes", {k: v["network_bayes"] for k, v in identity.items()}),
        _row("network || it from belief", {k: v["network"] for k, v in belief.items()}),
        _row("Bayes || it from belief", {k: v["bayes"] for k, v in belief.items()}),
        _row("Bayes || network", {k: v["bayes_network"] for k, v in identity.items()}),
    ]
    others = [name for name in identity if name != "trained"]
    return Table(
        "Simulation both ways: KL over the rest of the task, nats a symbol",
        ["KL(.. || ..)", "trained [95%]", *others],
        rows,
        f"After {_listed(found.draws)} draws a line maps the network's state to Bayes's belief, or the "
        "belief to a state, and Bayes, or the network (it), runs on from there. The rows without a map "
        "are what a perfect one would give; Bayes || Bayes and network || network are 0. Lines: least "
        f"squares on {found.fitted:,} other tasks; {found.held_out:,} held out, intervals over them. "
        "Over the symbols that can come, RESET left out.",
    )


def _row(title: str, kls: dict[str, Estimate]) -> list[str]:
    """The trained network's with its interval; of the others the value."""
    return [title, *(both(e) if k == "trained" else nats(e.mean) for k, e in kls.items())]


def _listed(numbers: object) -> str:
    *rest, last = [str(n) for n in numbers]  # type: ignore[attr-defined]
    return f"{', '.join(rest)} and {last}" if rest else last


def both(estimate: Estimate, form: Callable[[float | None], str] = nats, missing: str = "-") -> str:
    """A value and its interval in one cell."""
    if estimate.mean is None:
        return missing
    return f"{form(estimate.mean)} {interval(estimate.ci95, form)}"
