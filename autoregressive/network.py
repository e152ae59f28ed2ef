"""A network of p(x_t | x_<t) as a file and as a predictor: what symbols and pixels share.

A kind of network adds what its rows are: how a header tells its model, how rows are checked and go in,
and what its logits mean. The model need not be one of ``CELLS``: what is used of it is its flat dict
of parameters from ``init``, and its ``sizes``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Integer, Shaped
from numpy.typing import ArrayLike

from autoregressive import checkpoint
from autoregressive.cells.base import Params
from autoregressive.checkpoint import CheckpointError, check_params, part
from autoregressive.header import Header, Settings, check_settings, show
from autoregressive.model import Model
from autoregressive.registry import UnknownName

Kind = TypeVar("Kind", bound="Network")


class Network(ABC):
    """A trained network. A kind is a frozen dataclass with these fields and some of its own.

    settings: how it came to be, as JSON values. history: learning curves. kind: its name in headers.
    apart: its own fields that a header holds beside the settings. curves: names of the learning
    curves, of one length; floors: names of single numbers beside them.
    """

    kind: ClassVar[str]
    apart: ClassVar[tuple[str, ...]] = ()
    curves: ClassVar[tuple[str, ...]]
    floors: ClassVar[tuple[str, ...]] = ()
    model: Model
    params: Params
    settings: Settings
    history: dict[str, np.ndarray]

    def __repr__(self) -> str:
        settings = {
            name: self.settings[name] for name in ("cell", "hidden") if name in self.settings
        }
        named = ", ".join(f"{name}={value}" for name, value in settings.items())
        weights = sum(int(np.size(value)) for value in self.params.values())
        what = f"{named}, {weights:,} weights" if named else f"{weights:,} weights"
        seed = self.settings.get("seed")
        return f"<{type(self).__name__}: {what}" + (f", seed {seed}>" if seed is not None else ">")

    @classmethod
    @abstractmethod
    def read_header(cls, header: Header) -> tuple[Model, Settings]:
        """The model that a header describes, and this kind's own fields by name.

        Nothing of a size that the header names may be allocated here.
        Errors: ValueError.
        """

    @abstractmethod
    def check(self, rows: ArrayLike) -> Integer[np.ndarray, "n ..."]:
        """The rows as an array. Errors: ValueError where they are not what this network knows."""

    @abstractmethod
    def run(self, rows: Integer[np.ndarray, "n ..."]) -> Float[Array, "n ..."]:
        """Logits of one chunk of checked rows, compiled for its shape."""

    def run_in_chunks(
        self, rows: Integer[np.ndarray, "n ..."], most: int
    ) -> Iterator[tuple[slice, Float[np.ndarray, "some ..."]]]:
        """The logits of ``run`` for all rows, at most ``most`` of them at a time.

        Yields which rows, and their logits.
        """
        for where, chunk in padded_chunks(rows, most):
            yield where, np.asarray(self.run(chunk))[: where.stop - where.start]

    def save(self, path: str | Path) -> None:
        """Writes the network, its settings and its learning curves. Errors: OSError."""
        tensors = {f"params.{k}": np.asarray(v) for k, v in self.params.items()}
        tensors |= {f"history.{k}": np.asarray(v) for k, v in self.history.items()}
        apart = {name: getattr(self, name) for name in self.apart}
        checkpoint.save(path, tensors, {"kind": self.kind, **apart, **self.settings})

    @classmethod
    def load(cls: type[Kind], path: str | Path) -> Kind:
        """Reads what ``save`` wrote.

        Errors: CheckpointError where the file is no checkpoint, is damaged, holds another kind of
        network, names a cell that is not registered, or its tensors do not fit the network its header
        describes. No memory is taken for what a header says before the file was seen to hold as much.
        """
        tensors, header = checkpoint.load(path)
        kind = header.pop("kind", None)
        if kind != cls.kind:
            raise CheckpointError(f"{path} holds a {show(kind)}, expected a {cls.kind!r}")
        params, history = part(tensors, "params."), part(tensors, "history.")
        try:
            model, own = cls.read_header(header)
            check_settings(header)
        except UnknownName as error:
            raise CheckpointError(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: the header is incomplete or wrong: {error}") from None
        _check_sizes(path, model.sizes, params)
        check_params(path, jax.eval_shape(model.init, jax.random.key(0)), params)
        _check_history(path, history, cls.curves, cls.floors)
        settings = {k: v for k, v in header.items() if k not in cls.apart}
        arrays = {k: jnp.asarray(v) for k, v in params.items()}
        make = cast(Callable[..., Kind], cls)  # its constructor is that of the dataclass it is
        return make(model=model, params=arrays, settings=settings, history=history, **own)


def padded_chunks(
    rows: Shaped[np.ndarray, "n ..."], most: int
) -> Iterator[tuple[slice, Shaped[np.ndarray, "size ..."]]]:
    """Rows in chunks of one size, the last one padded, so that one compiled program serves all.

    Yields which rows, and an array of the size of all chunks.
    """
    size = min(max(most, 1), max(len(rows), 1))
    for start in range(0, len(rows), size):
        chunk = rows[start : start + size]
        missing = ((0, size - len(chunk)), *((0, 0),) * (rows.ndim - 1))
        yield slice(start, start + len(chunk)), np.pad(chunk, missing)


def _check_sizes(
    path: str | Path, sizes: tuple[int, ...], params: Mapping[str, np.ndarray]
) -> None:
    """Errors: CheckpointError where a header's sizes need more numbers than the file holds."""
    held = sum(value.size for value in params.values())
    # Each size is the length of a bias or the width of a matrix, and each layer has some.
    if max(sizes) > held or len(sizes) > held:
        raise CheckpointError(
            f"{path} is of another architecture: its header says sizes up to {max(sizes)} in "
            f"{len(sizes)} layers, and its tensors hold {held} numbers in all"
        )


def _check_history(
    path: str | Path,
    history: Mapping[str, np.ndarray],
    curves: tuple[str, ...],
    floors: tuple[str, ...],
) -> None:
    """Errors: CheckpointError unless the learning curves are there in one length, or not at all."""
    found = [history.get(name) for name in curves]
    lengths = {None if c is None or c.ndim != 1 else len(c) for c in found}
    lone = [history.get(name) for name in floors]
    whole = (
        len(lengths) == 1
        and None not in lengths
        and all(value is not None and value.size == 1 for value in lone)
    )
    if history and not (whole and all(v.dtype.kind in "iuf" for v in history.values())):
        raise CheckpointError(f"{path}: the learning curves are incomplete or of different lengths")
