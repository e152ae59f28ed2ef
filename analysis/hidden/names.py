"""What the reports call a target of the probes, its columns, networks and kinds of swaps."""

from __future__ import annotations

from meta_learning.processes import DirichletCategorical, Process

# Networks that a state is examined of.
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
    """A target in words: its name, but that the posterior mean of any other process than
    dirichlet-categorical is called the predictive."""
    return _TARGETS.get(target, _known(process, target).replace("_", " "))


def column_title(process: Process, target: str, column: int, columns: int) -> str:
    """One column of a target in words."""
    name = _known(process, target)
    if columns == 1:
        return target_title(process, target)
    if name == "transition_counts":
        K = process.num_symbols
        return f"transitions {column // K} to {column % K}"
    return _COLUMNS.get(name, f"{name.replace('_', ' ')} {{}}").format(column)


def belief_titles(process: Process) -> str:
    """The coordinates that a cause of directions is a line in."""
    return (
        "counts and posterior mean" if isinstance(process, DirichletCategorical) else "the belief"
    )


def _known(process: Process, target: str) -> str:
    if target == "posterior_mean" and not isinstance(process, DirichletCategorical):
        return "predictive"
    return target
