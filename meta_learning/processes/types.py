"""Types of what is passed between processes, machines and NumPyro."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from jax import Array
from jaxtyping import Float, Integer, PyTree, Shaped
from numpy import typing as npt

from autoregressive.broadcast import AnyArray
from autoregressive.header import Settings

__all__ = [
    "ArrayLike",
    "Belief",
    "Coordinates",
    "Entry",
    "Json",
    "Latent",
    "Matrices",
    "Settings",
    "Sites",
    "Symbol",
    "Symbols",
]

# What a machine knows of a task so far: any tree of arrays.
Belief = PyTree[Shaped[AnyArray, "..."]]
# What a task's symbols depend on: a tree of arrays, or None where nothing is given.
Latent = PyTree[Shaped[AnyArray, "..."]]
# What a network's state might hold of a belief, by name.
Coordinates = dict[str, Float[Array, " _"]]
# The sites of a NumPyro trace by name, each with its "type" and "value".
Sites = Mapping[str, Mapping[str, Any]]
# A plain JSON value.
Json = Any
# The type of a matrix's entries, and T^(x)_ij as nested sequences (K, S, S) of them.
Entry = type[float] | type[Fraction]
Matrices = Sequence[Sequence[Sequence[float | Fraction]]]

if TYPE_CHECKING:
    ArrayLike = npt.ArrayLike
    Symbols = ArrayLike
    Symbol = Array
else:
    # NumPy's own name leaves tuples out when it is checked.
    ArrayLike = Shaped[AnyArray, "..."] | Sequence | bool | int | float | np.generic
    # Streams of symbols, also as lists. A scalar passes here and gets a clear error later.
    Symbols = (
        Shaped[AnyArray, "*streams length"] | Shaped[AnyArray, ""] | Sequence | int | np.generic
    )
    # One symbol, as a machine takes it in.
    Symbol = Integer[AnyArray, ""] | int
