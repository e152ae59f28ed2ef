"""Names of what is passed between processes, machines and NumPyro."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from jaxtyping import PyTree
from numpy.typing import ArrayLike

__all__ = ["ArrayLike", "Belief", "Entry", "Json", "Latent", "Matrices", "Settings", "Sites"]

# What a machine holds of a task so far: any tree of arrays.
Belief = PyTree
# What a task's symbols depend on: a tree of arrays, or None where nothing is given.
Latent = PyTree
# The sites of a NumPyro trace by name, each with its "type" and "value".
Sites = Mapping[str, Mapping[str, Any]]
# A plain JSON value, and an object of them.
Json = Any
Settings = dict[str, Any]
# A number as floats or exact fractions, and T^(x)_ij nested (K, S, S) of them.
Entry = type[float] | type[Fraction]
Matrices = Any
