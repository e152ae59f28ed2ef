"""Predictions for all histories, and states beside them, as another program wrote them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64

from analysis.all_histories.file import HistoriesFile
from analysis.comparison.array_files import open_arrays
from analysis.comparison.predictions import apart, read_predictions, shape_in_words
from autoregressive.errors import DataError

# Numbers in the states of a file: 4 GB in float32.
MOST_STATE_NUMBERS = 10**9
# How far states may differ that should be equal, as a share of the largest number at that place: what
# float32 and other batches make of it.
MOST_STATE_DIFFERENCE = 1e-3


def read_all(
    path: Path, histories: HistoriesFile
) -> Float[np.ndarray, "{histories.symbols.shape[0]} {histories.length} outcomes"]:
    """As ``read_predictions``. Errors: DataError, also as for ``check_same_prefixes``."""
    return read_predictions(path, histories, partial(check_same_prefixes, histories=histories))


def read_states(path: Path, histories: HistoriesFile) -> Float[np.ndarray, "rows length _"] | None:
    """The ``states`` (rows, D, width) of a predictions file as they are stored; None where it has none.

    Errors: DataError, one line, where they are of another shape or type, not finite, or more numbers
    than ``MOST_STATE_NUMBERS``.
    """
    with open_arrays(path) as (stored, _):
        if "states" not in stored:
            return None
        array, rows = stored["states"], histories.symbols.shape
        wanted = f"{shape_in_words(rows)} x numbers of a state"
        if len(array.shape) != 3 or tuple(array.shape[:2]) != rows or not array.shape[2]:
            raise DataError(
                f"{path}: states has the shape {shape_in_words(array.shape)}; expected {wanted}, row t "
                "the state that x_t is predicted from"
            )
        if array.dtype.kind != "f" or array.dtype.itemsize < 4:
            raise DataError(f"{path}: states is of type {array.dtype}; expected float32 or float64")
        if math.prod(array.shape) > MOST_STATE_NUMBERS:
            raise DataError(
                f"{path}: states has {math.prod(array.shape):,} numbers, more than "
                f"{MOST_STATE_NUMBERS:,}; keep fewer numbers of each state, or ask for fewer draws"
            )
        states = array.read()
    if not np.isfinite(states).all():
        row, place, _ = np.argwhere(~np.isfinite(states))[0]
        raise DataError(f"{path}: states are not finite in row {row} at place {place}")
    _check_same_states(path, states, histories)
    return states


def check_same_prefixes(
    log_q: Float[np.ndarray, "rows length outcomes"], histories: HistoriesFile
) -> None:
    """Errors: DataError where two rows of all histories with the same x_<t say something else of x_t."""
    for place, of in enumerate(_first_rows(histories)):
        said = log_q[: histories.rows, place]
        difference, over = apart(said, said[of])
        if over.any():
            row = int(np.argwhere(over)[0, 0])
            raise DataError(
                f"rows {of[row]} and {row} have the same {place} first symbols, so that their "
                f"predictions for place {place} should be equal, but log-probabilities differ by "
                f"{difference[over].max():.2g}; they look ahead, are of other histories, or are random "
                "(dropout must be off)"
            )


def _check_same_states(
    path: Path, states: Float[np.ndarray, "rows length _"], histories: HistoriesFile
) -> None:
    """Errors: DataError where two rows with the same x_<t have other states before x_t."""
    for place, of in enumerate(_first_rows(histories)):
        held = np.asarray(states[: histories.rows, place], np.float64)
        size = max(float(np.abs(held).max()), 1.0)
        over = np.abs(held - held[of]).max(-1) > MOST_STATE_DIFFERENCE * size
        if over.any():
            row = int(np.flatnonzero(over)[0])
            raise DataError(
                f"{path}: rows {of[row]} and {row} have the same {place} first symbols, so that their "
                f"states at place {place} should be equal, but they differ by "
                f"{np.abs(held[row] - held[of[row]]).max():.2g}; row t is the state that x_t is "
                "predicted from, before it has seen x_t, and dropout must be off"
            )


def _first_rows(histories: HistoriesFile) -> Iterator[Int64[np.ndarray, " rows"]]:
    """For each place, of every row the first row with the same symbols before the place."""
    for firsts in histories.prefixes.T:
        rows = np.flatnonzero(firsts)
        yield rows[np.cumsum(firsts) - 1]
