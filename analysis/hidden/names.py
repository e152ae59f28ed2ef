"""What reports call the networks, the targets of probes with their columns, and the belief."""

from __future__ import annotations

from meta_learning.processes import DirichletCategorical, Process

# The networks whose states are examined.
NETWORKS = {"trained": "trained", "early": "early in training", "untrained": "untrained"}
_TARGETS = {"place": "place in task"}
_COLUMNS = {
    "counts": "count of {}",
    "posterior_mean": "posterior mean {}",
    "predictive": "predictive of {}",
    "state_probabilities": "probability of state {}",
    "component_weights": "weight of component {}",
    "last_symbol": "last symbol is {}",
}


def target_title(process: Process, target: str) -> str:
    """A target in words. What other processes than dirichlet-categorical call their posterior mean is
    called the predictive."""
    return _TARGETS.get(target, _known(process, target).replace("_", " "))


def column_title(process: Process, target: str, column: int, columns: int) -> str:
    """One column of a target in words. columns: how many it has."""
    name = _known(process, target)
    if columns == 1:
        return target_title(process, target)
    if name == "transition_counts":
        K = process.num_symbols
        return f"transitions {column // K} to {column % K}"
    return _COLUMNS.get(name, f"{name.replace('_', ' ')} {{}}").format(column)


def belief_name(process: Process) -> str:
    """The belief in one word, as in the names of interventions: "counts" or "belief"."""
    return "counts" if isinstance(process, DirichletCategorical) else "belief"


def belief_titles(process: Process) -> str:
    """The coordinates of the belief, which directions of the state are explained by, in words."""
    return (
        "counts and posterior mean" if isinstance(process, DirichletCategorical) else "the belief"
    )


def _known(process: Process, target: str) -> str:
    if target == "posterior_mean" and not isinstance(process, DirichletCategorical):
        return "predictive"
    return target
