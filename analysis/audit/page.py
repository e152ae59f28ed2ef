"""The report of one network's audit: sentences, tables, panels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from analysis.audit import calibration_page as calibration_pages
from analysis.audit import nuts_page as nuts_pages
from analysis.audit.gap import SAME
from analysis.comparison import off_prior_page as off_prior_pages
from analysis.hidden import page as hidden_pages
from analysis.report.formats import (
    finite,
    interval,
    nats,
    network_name,
    percent,
    said,
)
from analysis.report.report import Panel, Report, Table
from autoregressive.errors import counted

if TYPE_CHECKING:
    import xarray

    from analysis.audit.calibration import Calibration
    from analysis.audit.carry_over import CarryOver
    from analysis.audit.gap import ExactGap
    from analysis.audit.nuts import PosteriorSample
    from analysis.audit.worst_histories import History, WorstHistories
    from analysis.comparison.off_prior import OffPrior
    from analysis.hidden.examine import Hidden
    from meta_learning.learner import Learner
    from meta_learning.processes import Process


def term_names(exact: ExactGap) -> dict[str, str]:
    """What each part of the gap is called, by its name in ``gap.TERMS``."""
    if exact.counts is not None:
        same, rest = "dependence on the order", "wrong function of the counts"
    else:
        same, rest = "different answers to the same belief", "wrong function of the belief"
    if exact.cells is None:
        rest = "rest: KL over the symbols"
    return {"leak": "leak: probability given to RESET", "same_belief": same, "rest": rest}


class Audit(NamedTuple):
    """What there is to say of one network. carry_over is None without RESET; off_prior, calibration and
    hidden are None where only the gap was asked for, nuts where it was not asked for."""

    exact: ExactGap
    carry_over: CarryOver | None
    worst: WorstHistories
    off_prior: OffPrior | None
    calibration: Calibration | None
    hidden: Hidden | None
    nuts: PosteriorSample | None = None


def document(audit: Audit, learner: Learner, process: Process) -> dict[str, object]:
    """Plain JSON values; gaps in nats a drawn symbol."""
    from analysis.hidden.results import document as hidden_document

    over = audit.carry_over
    return {
        "process": process.name,
        **process.settings(),
        "cell": learner.settings["cell"],
        "hidden": learner.settings["hidden"],
        **audit.exact.document(),
        "carry_over": over
        and {
            "mean": over.mean.mean,
            "ci95": over.mean.ci95,
            "past_tasks": over.past_tasks,
            "tasks": over.tasks,
        },
        "worst_histories": worst_document(audit.worst),
        "off_prior": audit.off_prior and audit.off_prior.document(),
        "calibration": audit.calibration and audit.calibration.document(),
        "hidden_state": audit.hidden and hidden_document(audit.hidden),
        "nuts": audit.nuts and audit.nuts.document(),
    }


def findings(audit: Audit) -> list[str]:
    """What was found beside the exact gap, a sentence or two each."""
    text = []
    if audit.off_prior is not None:
        text.append(off_prior_pages.headline(audit.off_prior))
    if audit.calibration is not None:
        text.append(calibration_pages.headline(audit.calibration))
    if audit.hidden is not None:
        text += hidden_pages.findings(audit.hidden)
    if audit.nuts is not None:
        text.append(nuts_pages.headline(audit.nuts))
    return text


def tables(audit: Audit) -> list[Table]:
    """The numbers as text."""
    out = [decomposition_table(audit.exact, audit.carry_over), worst_table(audit.worst)]
    if audit.off_prior is not None:
        out += off_prior_pages.tables(audit.off_prior)
    if audit.calibration is not None:
        out.append(calibration_pages.table(audit.calibration))
    if audit.nuts is not None:
        out.append(nuts_pages.table(audit.nuts))
    return out + ([] if audit.hidden is None else hidden_pages.tables(audit.hidden))


def panels(audit: Audit) -> list[Panel]:
    """The figures of the report."""
    out = [gap_panel(audit.exact, audit.carry_over)]
    if audit.off_prior is not None:
        out.append(off_prior_pages.panel(audit.off_prior))
    if audit.calibration is not None:
        out.append(calibration_pages.panel(audit.calibration))
    return out + ([] if audit.hidden is None else hidden_pages.panels(audit.hidden))


def view(exact: ExactGap) -> str:
    """An exact gap as a notebook shows it."""
    from analysis.report.views import html_view

    return html_view("The exact gap", "", [decomposition_table(exact, None)])


def make_report(audit: Audit, learner: Learner, process: Process, seed: int) -> Report:
    """What there is to say of a network's audit. seed: of the test streams."""
    from analysis.hidden.results import to_datatree as hidden_tree
    from autoregressive.checkpoint import tensors_digest

    own = learner.settings.get("seed", 0)

    def trees() -> dict[str, xarray.DataTree]:
        from analysis.audit.results import to_datatree

        tree = to_datatree(
            audit.exact,
            seed=own,
            carry_over=audit.carry_over,
            worst=audit.worst,
            calibration=audit.calibration,
        )
        out = {"audit": tree}
        if audit.hidden is not None:
            out["hidden"] = hidden_tree(audit.hidden)
        if audit.nuts is not None:
            out["nuts"] = audit.nuts.to_datatree()
        return out

    return Report(
        "audit",
        title_of(learner, process),
        lead(audit.exact, audit.carry_over is None),
        document(audit, learner, process),
        tables(audit),
        panels=lambda: panels(audit),
        trees=trees,
        networks={"network": learner},
        seeds=[own],
        findings=findings(audit),
        run={"test_seed": seed, "network_digest": tensors_digest(learner.params)},
    )


def title_of(learner: Learner, process: Process) -> str:
    return f"The audit of {network_name(learner.settings)} on {process.title}"


def lead(exact: ExactGap, endless: bool, subject: str = "network") -> str:
    """The exact gap in a sentence. endless: T is infinite. subject: what is judged."""
    draws = len(exact.by_position)
    which = f"{counted(exact.nodes, 'history', 'histories')} of a task after a RESET"
    if endless:
        which += f" (T is infinite: the first {draws} draws are looked at)"
    if math.isinf(exact.gap):
        return (
            f"Over all {which} there are some where the {subject} gives probability 0 to a symbol that "
            "Bayes does not rule out: its gap is infinite."
        )
    names = term_names(exact)
    largest = max(exact.terms, key=lambda name: exact.terms[name])
    closed = exact.gap_closed
    share = "" if closed is None else f" and closes {percent(closed)} of memoryless's"
    if closed is not None and abs(closed) < SAME:
        share = ", as memoryless's"
    elif closed is not None and closed < 0:
        share = f", more than memoryless's {nats(exact.memoryless)}"
    return (
        f"Over all {which} the gap to Bayes is exactly "
        f"{nats(exact.gap)} nats a symbol{share}. Its largest part: {names[largest]}, "
        f"{nats(exact.terms[largest])}."
    )


def decomposition_table(
    exact: ExactGap, carry_over: CarryOver | None, subject: str = "network"
) -> Table:
    """The exact gap and its parts as text. subject: what is judged."""

    def share(value: float) -> str:
        return percent(value / exact.gap) if 0 < exact.gap < math.inf else "-"

    rows = [[f"gap KL(Bayes || {subject})", said(exact.gap, nats), share(exact.gap)]]
    names = term_names(exact)
    rows += [[names[name], said(value, nats), share(value)] for name, value in exact.terms.items()]
    rows.append(["gap of a memoryless predictor", nats(exact.memoryless), ""])
    note = (
        f"Nats a drawn symbol, exact to float32 rounding of the {subject}: no sampling. The parts sum "
        "to the gap."
    )
    if exact.cells is None:
        note += (
            " What differs where beliefs are equal is left out: no two histories share a belief."
        )
    elif exact.classes is not None:
        note += (
            f" The {exact.nodes:,} histories have {len(exact.classes.histories):,} different beliefs, "
            "told apart by length; those that the process cannot make are not among them."
        )
    if carry_over is not None:
        note += (
            (
                f" Apart from it, sampled: after {carry_over.past_tasks} earlier tasks the gap changes "
                f"by {nats(carry_over.mean.mean)} (95% interval over {carry_over.tasks:,} tasks "
                f"{interval(carry_over.mean.ci95)})."
            )
            if carry_over.mean.mean is not None
            else " What earlier tasks change is infinite minus infinite."
        )
    return Table("The exact gap and its parts", ["part", "nats", "share of the gap"], rows, note)


def worst_table(worst: WorstHistories) -> Table:
    """The worst histories as text."""
    rows = [
        ["".join(map(str, h.symbols)) or "(none)", f"{h.probability:.2e}", said(h.gap, nats)]
        for h in worst.by_gap
    ]
    return Table(
        "The worst histories, by their gap at the next draw",
        ["symbols since RESET", "probability", "gap, nats"],
        rows,
        f"Of all histories of up to {counted(worst.longest, 'draw')} that the process can make. "
        "Probability: of just these symbols.",
    )


def worst_document(worst: WorstHistories) -> dict[str, object]:
    """The worst histories as JSON values."""
    return {
        "longest": worst.longest,
        "by_gap": [history_document(h) for h in worst.by_gap],
        "by_weight": [history_document(h) for h in worst.by_weight],
    }


def history_document(history: History) -> dict[str, object]:
    """Plain JSON values of one history."""
    return {
        "symbols": [int(s) for s in history.symbols],
        "probability": float(history.probability),
        "gap": finite(history.gap),
        "bayes": [float(p) for p in history.bayes],
        "network": [float(p) for p in history.network],
    }


def gap_panel(exact: ExactGap, carry_over: CarryOver | None) -> Panel:
    """The parts of the gap by position."""
    from analysis.audit.figures import decomposition_figure

    return Panel(
        "error-budget",
        decomposition_figure(exact, carry_over),
        "Stacked parts of the exact gap by position within the task; beside them the carry-over.",
        "Where the error sits: the exact gap after a RESET by position, split into its parts. "
        "Where there is a second panel, it shows what earlier tasks change, with 95% intervals."
        + (" What is infinite is left out." if math.isinf(exact.gap) else ""),
    )
