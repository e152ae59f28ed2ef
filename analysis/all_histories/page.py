"""The report of predictions for all histories: the page of an audit, without a network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from analysis.all_histories.gap import exact_gap_of, score, weights, worst_of
from analysis.all_histories.states import Held, examine_states, targets_of
from analysis.audit.page import decomposition_table, gap_panel, lead, worst_document, worst_table
from analysis.hidden.names import target_title
from analysis.report.report import Document, Panel, Report, Table

if TYPE_CHECKING:
    import numpy as np
    import xarray
    from jaxtyping import Float

    from analysis.all_histories.file import HistoriesFile
    from analysis.audit.gap import ExactGap
    from analysis.audit.worst_histories import WorstHistories
    from meta_learning.processes import Process


class Judged(NamedTuple):
    """What there is to say of predictions for all histories. held: None without states."""

    process: Process
    exact: ExactGap
    worst: WorstHistories
    held: Held | None


def judge(
    histories: HistoriesFile,
    log_q: Float[np.ndarray, "rows length outcomes"],
    states: Float[np.ndarray, "rows length width"] | None,
) -> Judged:
    """Everything that is found out about predictions (rows, D, K+1), and states (rows, D, width), row t
    the one that x_t is predicted from. Errors: those of ``exact_gap_of``."""
    scored, process = score(histories, log_q), histories.process
    held = None
    if states is not None:
        at = scored.row, scored.place
        targets = targets_of(process, histories.symbols[: histories.rows], *at)
        held = examine_states(states[at], targets, scored.place, weights(histories, scored))
    return Judged(process, exact_gap_of(histories, scored), worst_of(histories, scored), held)


def document(judged: Judged, names: Document) -> Document:
    """Plain JSON values; gaps in nats a drawn symbol. names: of the files."""
    return {
        "process": judged.process.name,
        **judged.process.settings(),
        **names,
        **judged.exact.document(),
        "worst_histories": worst_document(judged.worst),
        "hidden_state": judged.held and judged.held.document(),
    }


def make_report(judged: Judged, names: Document) -> Report:
    """What there is to say. names: of the files, by "predictions" and "streams_file"."""
    held, process = judged.held, judged.process

    def trees() -> dict[str, xarray.DataTree]:
        from analysis.audit.results import to_datatree

        return {"audit": to_datatree(judged.exact, worst=judged.worst)}

    return Report(
        "audit",
        f"Predictions of {names['predictions']} for all histories of {process.title}",
        lead(judged.exact, math.isinf(process.task_length), "model"),
        document(judged, names),
        [
            decomposition_table(judged.exact, None, "model"),
            worst_table(judged.worst),
            *([] if held is None else [_probe_table(held, process)]),
        ],
        panels=lambda: _panels(judged),
        trees=trees,
        findings=[] if held is None else [_held(held, process)],
    )


def _held(held: Held, process: Process) -> str:
    named = [(p.r2, name) for name, p in held.probes.items() if p.r2 is not None]
    directions = f"{held.needed} of its {held.width} directions carry 99% of the state's variance"
    if not named:
        return f"{directions}."
    r2, name = max(named)
    return f"{directions}; a line reads Bayes's {target_title(process, name)} with R² {r2:.4f}."


def _probe_table(held: Held, process: Process) -> Table:
    def text(value: float | None) -> str:
        return "-" if value is None else f"{round(value, 4) + 0.0:.4f}"  # and no -0

    return Table(
        "Linear probes of the state: R² over all histories",
        ["target", "state", "length alone"],
        [
            [target_title(process, name), text(p.r2), text(p.of_length)]
            for name, p in held.probes.items()
        ],
        f"Least squares with an intercept, each of the {held.histories:,} histories weighed by its "
        f"probability and every length alike: no sampling, and nothing held out. States of {held.width} "
        "numbers. Length alone: the target's mean at each length. -: it is constant.",
    )


def _panels(judged: Judged) -> list[Panel]:
    found = [gap_panel(judged.exact, None)]
    if judged.held is not None and judged.held.readings is not None:
        from analysis.hidden.belief_figures import belief_caption_of, belief_of

        process, readings = judged.process, judged.held.readings
        found.append(
            Panel(
                "belief",
                belief_of(process, readings),
                "Bayes's belief after every history, exact and as a probe of the state reads it.",
                belief_caption_of(process, readings, "history"),
            )
        )
    return found
