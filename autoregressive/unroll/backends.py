"""Which backend unrolls a cell: chosen here for the whole program, and named in manifests.

``spans`` runs on any device. ``kernels`` (GPU) is the same with each loop over places as one kernel.
``cudnn`` (GPU, LSTM) is NVIDIA's. ``scan`` is the plain loop over ``step``. The environment variable
META_LEARN_UNROLL asks for one of them. Without it a GPU uses ``kernels`` where they work, and all else
``spans``: JAX's binding of cuDNN was slower than the plain scan at 32 to 512 units on an H200. What the
GPU backends need of JAX is imported only where they are used, so that a JAX without it loses that
backend, with one line in the log, and nothing more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from autoregressive.broadcast import AnyArray
from autoregressive.cells.base import Cell, Params, RecurrentCell, State
from autoregressive.cells.lstm import LSTM
from autoregressive.unroll.cudnn import cudnn_unroll
from autoregressive.unroll.scan import portable_unroll, recurrent_unroll, scan_unroll

log = logging.getLogger(__name__)

ASK = "META_LEARN_UNROLL"


def _by_kernels(
    cell: Cell, params: Params, state: State, xs: Float[AnyArray, "T B {cell.inputs}"]
) -> tuple[State, Float[Array, "T B {cell.hidden}"]]:
    from autoregressive.unroll.pallas import KERNELS

    return recurrent_unroll(cast(RecurrentCell, cell), params, state, xs, KERNELS)


# (cell, params, state, xs) -> the last state and the outputs, as ``unroll``.
Backend = Callable[[Cell, Params, State, AnyArray], tuple[State, Array]]
BACKENDS: dict[str, Backend] = {
    "spans": portable_unroll,
    "kernels": _by_kernels,
    "cudnn": cudnn_unroll,
    "scan": scan_unroll,
}
_used: set[str] = set()
_logged: set[str] = set()


def unroll(
    cell: Cell, params: Params, state: State, xs: Float[AnyArray, "T B {cell.inputs}"]
) -> tuple[State, Float[Array, "T B {cell.hidden}"]]:
    """A cell over all places, by the backend chosen for it. Returns the last state and the outputs."""
    name = choose_backend(cell, xs.dtype)
    _used.add(name)
    return BACKENDS[name](cell, params, state, xs)


def used_backends() -> list[str]:
    """The backends that this process has compiled so far."""
    return sorted(_used)


def choose_backend(cell: Cell, dtype: np.dtype) -> str:
    """The name of the backend for a cell with inputs of this type, on the device that JAX uses.

    It is ``spans`` where the one asked for cannot run, or the kernels of a GPU do not work; that is
    logged once. Errors: ValueError where META_LEARN_UNROLL names no backend.
    """
    asked = os.environ.get(ASK, "auto")
    if asked not in ("auto", *BACKENDS):
        raise ValueError(f"{ASK} is {asked!r}: expected auto, {', '.join(BACKENDS)}")
    gpu = jax.default_backend() == "gpu"
    wanted = asked if asked != "auto" else "kernels" if gpu else "spans"
    if wanted in ("spans", "scan"):
        return wanted
    reason, broken = _why_not(wanted, cell, dtype, gpu)
    if not reason:
        return wanted
    if (asked != "auto" or broken) and reason not in _logged:
        what = wanted if asked == "auto" else f"{ASK}={asked}"
        log.warning("%s: %s; the scan is used", what, reason)
        _logged.add(reason)
    return "spans"


def _why_not(name: str, cell: Cell, dtype: np.dtype, gpu: bool) -> tuple[str, bool]:
    """Why a GPU's backend cannot be used, empty where it can; and whether it ought to work."""
    if not gpu:
        return "there is no GPU", False
    if dtype != jnp.float32:
        return f"it takes float32, not {dtype}", False
    if name == "cudnn":
        return _why_no_cudnn(cell), False
    if not isinstance(cell, RecurrentCell):
        return f"there are no kernels for {type(cell).__name__}", False
    try:
        from autoregressive.unroll import pallas
    except (ImportError, AttributeError):
        return "this JAX has no Pallas as it is used here", True
    return pallas.why_no_kernels(cell), cell.hidden in pallas.SIZES


def _why_no_cudnn(cell: Cell) -> str:
    if not isinstance(cell, LSTM):
        return f"cuDNN here has no {type(cell).__name__}"
    try:
        from jax.experimental import rnn  # noqa: F401
    except ImportError:
        return "this JAX has no binding of cuDNN"
    return ""
