"""A trained network of p(x_t | x_<t), as a file and as a predictor: what symbols and pixels share.

A subclass says what a row is: which model a header describes, how rows are checked and fed in, and what
the logits mean. The model need not be made of ``CELLS``: only its ``init``, which gives a flat dict of
parameters, and its ``sizes`` are used here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
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
from autoregressive.checkpoint import CheckpointError, Tensors, check_params, with_prefix
from autoregressive.errors import show
from autoregressive.header import Header, Settings, check_settings
from autoregressive.model import Model
from autoregressive.registry import UnknownName

Kind = TypeVar("Kind", bound="Network")
# What a file of a kind that is not expected can be used for: for errors.
_USES = {
    "meta-learner": "a network of symbols, for compare, audit or hidden with --checkpoint FILE",
    "pixels": "a network of images, for pixels evaluate FILE, pixels continue FILE or inpaint "
    "--checkpoint FILE",
    "unfinished": "a training that was stopped: give its command again, and it goes on",
}


class Network(ABC):
    """A trained network. A subclass is a frozen dataclass with these fields and some of its own.

    settings: how it came to be, as JSON values. history: learning curves (points,), and single numbers.
    kind: the subclass's name in headers. header_fields: fields that its header has beside the settings.
    curves: names of the learning curves, all of one length. floors: names of the single numbers beside
    them, such as a loss that the curves cannot fall below.
    """

    kind: ClassVar[str]
    header_fields: ClassVar[tuple[str, ...]] = ()
    curves: ClassVar[tuple[str, ...]]
    floors: ClassVar[tuple[str, ...]] = ()
    model: Model
    params: Params
    settings: Settings
    history: dict[str, Shaped[np.ndarray, "..."]]

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
        """The model that a header describes, and the subclass's own fields by name.

        The header is not trusted: nothing of a size that it names may be allocated here.
        Errors: ValueError where it is incomplete or wrong.
        """

    @abstractmethod
    def check(self, rows: ArrayLike) -> Integer[np.ndarray, "n ..."]:
        """The rows as an array. Errors: ValueError where this network cannot take them."""

    @abstractmethod
    def run(self, rows: Integer[np.ndarray, "n ..."]) -> Float[Array, "n ..."]:
        """Logits of one chunk of checked rows, compiled for its shape."""

    def run_in_chunks(
        self, rows: Integer[np.ndarray, "n ..."], most: int
    ) -> Iterator[tuple[slice, Float[np.ndarray, "some ..."]]]:
        """``run`` over all rows, at most ``most`` at a time. Yields which rows, and their logits."""
        for where, chunk in padded_chunks(rows, most):
            yield where, np.asarray(self.run(chunk))[: where.stop - where.start]

    def save(self, path: str | Path) -> None:
        """Writes the network, its settings and its learning curves. Errors: OSError."""
        tensors = {f"params.{k}": np.asarray(v) for k, v in self.params.items()}
        tensors |= {f"history.{k}": np.asarray(v) for k, v in self.history.items()}
        fields = {name: getattr(self, name) for name in self.header_fields}
        checkpoint.save(path, tensors, {"kind": self.kind, **fields, **self.settings})

    @classmethod
    def load(cls: type[Kind], path: str | Path) -> Kind:
        """Reads what ``save`` wrote.

        Errors: CheckpointError where the file is no checkpoint, is damaged, holds another kind of
        network, names a cell that is not registered, or has tensors that do not fit the network that its
        header describes. No memory is taken for sizes in the header that exceed the file's tensors.
        """
        tensors, header = checkpoint.load(path)
        kind = header.pop("kind", None)
        if kind != cls.kind:
            use = _USES.get(kind) if isinstance(kind, str) else None
            raise CheckpointError(
                f"{path} holds a {show(kind)}, expected a {cls.kind!r}"
                + (f"; it is {use}" if use else "; try a file that meta-learn trained")
            )
        params, history = with_prefix(tensors, "params."), with_prefix(tensors, "history.")
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
        settings = {k: v for k, v in header.items() if k not in cls.header_fields}
        arrays = {k: jnp.asarray(v) for k, v in params.items()}
        make = cast(Callable[..., Kind], cls)  # the constructor of a subclass, which is a dataclass
        return make(model=model, params=arrays, settings=settings, history=history, **own)


def padded_chunks(
    rows: Shaped[np.ndarray, "n ..."], most: int
) -> Iterator[tuple[slice, Shaped[np.ndarray, "size ..."]]]:
    """Rows in chunks of one size, at most ``most``, so that one compiled program serves all.

    Yields which rows, and the chunk; the last one is padded with zeros.
    """
    size = min(max(most, 1), max(len(rows), 1))
    for start in range(0, len(rows), size):
        chunk = rows[start : start + size]
        missing = ((0, size - len(chunk)), *((0, 0),) * (rows.ndim - 1))
        yield slice(start, start + len(chunk)), np.pad(chunk, missing)


def _check_sizes(path: str | Path, sizes: tuple[int, ...], params: Tensors) -> None:
    """Errors: CheckpointError where a header's sizes need more numbers than the file has."""
    held = sum(value.size for value in params.values())
    # Each size is the length of a bias or the width of a matrix, and each layer has a bias or a matrix.
    if max(sizes) > held or len(sizes) > held:
        raise CheckpointError(
            f"{path} is of another architecture: its header says sizes up to {max(sizes)} in "
            f"{len(sizes)} layers, and its tensors hold {held} numbers in all"
        )


def _check_history(
    path: str | Path,
    history: Tensors,
    curves: tuple[str, ...],
    floors: tuple[str, ...],
) -> None:
    """Errors: CheckpointError unless all learning curves are there, of one length, or none is."""
    shapes = {history[name].shape if name in history else () for name in curves}
    single = all(name in history and history[name].size == 1 for name in floors)
    whole = single and len(shapes) == 1 and all(len(shape) == 1 for shape in shapes)
    if history and not (whole and all(v.dtype.kind in "iuf" for v in history.values())):
        raise CheckpointError(f"{path}: the learning curves are incomplete or of different lengths")
