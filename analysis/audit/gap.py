"""The exact gap of one network on one process as a value, made from the sums of a walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from analysis.audit.decomposition import (
    Decomposition,
    OfCells,
    Term,
    by_belief,
    by_counts,
    by_length,
    by_position,
    is_exchangeable,
    probabilities,
)
from analysis.audit.tree.belief_classes import Classes, find_classes
from analysis.audit.tree.belief_tree import HISTORIES, LEAK, LOG_Q, RESET, WEIGHT
from analysis.audit.tree.count_vectors import Counts
from analysis.audit.tree.prefix_tree import Sums
from analysis.report.formats import finite
from analysis.report.views import Viewed
from meta_learning.processes import Process

# How far the probabilities of all histories of a length may sum from 1.
_SUM_TOLERANCE = 1e-9
# A share of the gap closed so near to 0 is the rounding of float32.
SAME = 1e-6


@dataclass(frozen=True, repr=False)
class ExactGap(Viewed):
    """The exact gap of one network on one process, in nats, with its parts.

    decomposition: terms by position, arrays (D,). nodes: histories that were scored.

    By belief, all None where histories share none: draws: the length of its histories, int (cells,).
    probability: among histories of that length, (cells,). cells: its terms. counts: int (cells, K);
    None where the belief is not the counts. classes: more about each belief; None where the walk went
    by counts.
    """

    decomposition: Decomposition
    nodes: int
    draws: Int64[np.ndarray, " cells"] | None = None
    probability: OfCells | None = None
    cells: Decomposition | None = None
    counts: Counts | None = None
    classes: Classes | None = None

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {value:.3g}" for name, value in self.terms.items())
        return f"<ExactGap {self.gap:.4g} nats a symbol over {self.nodes:,} histories: {parts}>"

    @property
    def by_position(self) -> Term:
        """The gap at each of the D draws."""
        return self.decomposition.gap

    @property
    def gap(self) -> float:
        """The exact gap: the mean over positions."""
        return float(self.decomposition.gap.mean())

    @property
    def memoryless(self) -> float:
        """The memoryless predictor's gap."""
        return float(self.decomposition.memoryless.mean())

    @property
    def gap_closed(self) -> float | None:
        """1 - gap / memoryless; None where memoryless is Bayes, as at T=2."""
        return 1 - self.gap / self.memoryless if self.memoryless > 1e-12 else None

    @property
    def terms(self) -> dict[str, float]:
        """The parts, means over positions, which sum to ``gap``: those of ``TERMS`` that exist here."""
        return {name: float(values.mean()) for name, values in self.parts.items()}

    @property
    def parts(self) -> dict[str, Term]:
        """The same by position, arrays (D,)."""
        found = {name: getattr(self.decomposition, name) for name in TERMS}
        return {name: values for name, values in found.items() if values is not None}

    def document(self) -> dict[str, object]:
        """Plain JSON values; None for what is infinite, and for terms that then do not exist."""
        return {
            "draws": len(self.by_position),
            "gap": {
                "mean": finite(self.gap),
                "by_position": [finite(v) for v in self.by_position],
                "memoryless": self.memoryless,
            },
            "gap_closed": None if self.gap_closed is None else finite(self.gap_closed),
            "budget": self._budget(),
            "reset": {
                "leak": float(self.decomposition.reset.mean()),
                "leak_by_position": self.decomposition.reset.tolist(),
            },
            "histories": self.nodes,
        }

    def _budget(self) -> dict[str, object]:
        def part(values: Term | None) -> dict[str, object] | None:
            if values is None:
                return None
            by_position = [finite(v) for v in values]
            return {"mean": finite(float(values.mean())), "by_position": by_position}

        names = dict(zip(TERMS, TERMS, strict=True))
        if self.counts is not None:
            names |= {"order": "same_belief", "counts": "rest"}
        return {name: part(getattr(self.decomposition, term)) for name, term in names.items()}


# The parts of a gap, in the order in which they are shown.
TERMS = ("leak", "same_belief", "rest")


def gap_by_counts(process: Process, counts: Counts, sums: Sums, nodes: int) -> ExactGap:
    """The exact gap from sums over the histories with each count vector. sums: as for ``by_counts``.
    nodes: histories that were scored. Errors: ValueError where probabilities do not sum to 1."""
    cells = by_counts(process, counts, sums)
    weights, draws = probabilities(process, counts), counts.sum(-1)
    _check_weights(process, np.bincount(draws, weights))
    return ExactGap(by_position(draws, weights, cells), nodes, draws, weights, cells, counts)


def gap_by_belief(process: Process, positions: int, sums: Sums) -> ExactGap:
    """The exact gap from the sums of a ``BeliefWalk``, (cells, columns). positions: D. Errors:
    ValueError where probabilities do not sum to 1."""
    nodes, weights = round(sums[:, HISTORIES].sum()), sums[:, WEIGHT]
    classes = find_classes(process, positions)
    if classes is None:
        _check_weights(process, weights)
        return ExactGap(by_length(sums), nodes)
    # Beliefs whose probability underflows have no means, and no weight.
    means = sums / np.where(weights > 0, weights, 1.0)[:, None]
    cells = by_belief(
        classes.log_predictive,
        classes.log_predictive[:1],
        means[:, LOG_Q:LEAK],
        means[:, LEAK],
        means[:, RESET],
    )
    _check_weights(process, np.bincount(classes.draws, weights))
    counts = classes.counts(process.num_symbols) if is_exchangeable(process) else None
    by = by_position(classes.draws, weights, cells)
    return ExactGap(by, nodes, classes.draws, weights, cells, counts, classes)


def _check_weights(process: Process, totals: Float64[np.ndarray, " lengths"]) -> None:
    """Errors: ValueError unless the probabilities of all histories of each length sum to 1."""
    worst = int(np.argmax(np.abs(totals - 1)))
    if not abs(totals[worst] - 1) <= _SUM_TOLERANCE:
        raise ValueError(
            f"the histories of {worst} draws of {process.title} have probabilities that sum to "
            f"{totals[worst]:.12g} and not to 1: its log_predictive_of must be normalised"
        )
