"""The coursework's four models, trained, so that nothing needs to be trained first.

M1 .. M4 with the default recipe and, as ``M1-coursework`` .. ``M4-coursework``, with the coursework's,
seed 0, with their learning curves. ``weights/*.json`` beside them are the manifests of the two runs
of ``meta-learn experiments`` that made them.
"""

from __future__ import annotations

from importlib.resources import as_file, files

from autoregressive.checkpoint import CheckpointError
from meta_learning.experiments import EXPERIMENTS
from meta_learning.learner import Learner
from meta_learning.recipes import RECIPES


def packaged_learner(name: str, recipe: str = "default") -> Learner:
    """A packaged network: M1 .. M4, and the recipe it was trained with.

    Errors: CheckpointError for an unknown name or recipe.
    """
    known = [*EXPERIMENTS]
    if name not in known or recipe not in RECIPES:
        raise CheckpointError(
            f"no packaged network {name!r} of recipe {recipe!r}: expected one of "
            f"{', '.join(known)} with {' or '.join(sorted(RECIPES))}"
        )
    stem = name if recipe == "default" else f"{name}-{recipe}"
    with as_file(files("meta_learning") / "weights" / f"{stem}.safetensors") as path:
        return Learner.load(path)
