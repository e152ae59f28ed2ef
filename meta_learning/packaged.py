"""The coursework's four models, trained, with their learning curves; they come with the package.

M1 .. M4 are of the default recipe, ``M1-coursework`` .. ``M4-coursework`` of the coursework's, all of
seed 0. ``meta-learn experiments`` made them; ``weights/*.json`` beside them are the manifests of its two
runs.
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
    if name not in EXPERIMENTS or recipe not in RECIPES:
        raise CheckpointError(
            f"no packaged network {name!r} of recipe {recipe!r}: expected one of "
            f"{', '.join(EXPERIMENTS)} with {' or '.join(sorted(RECIPES))}"
        )
    stem = name if recipe == "default" else f"{name}-{recipe}"
    with as_file(files("meta_learning") / "weights" / f"{stem}.safetensors") as path:
        return Learner.load(path)
