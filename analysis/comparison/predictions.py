"""Predictions that another program made on a streams file: checked, then scored as networks are.

A predictions file, NPZ or netCDF 4, holds ``symbols`` (rows, L), those of the streams file, and
``log_probabilities`` (rows, L, K+1), float32 or float64: row t is log p(x_t | x_<t) in nats over the
symbols 0..K-1 and RESET.

What float32 decides: it keeps a number to 6e-8 of it, log-softmax of a few outcomes sums to 1 within
1e-6, and LSTMs of 32 to 256 units run in float32 are within 2e-7 to 6e-6 nats of float64. So rows may
sum to 1 within ``SUM_TOLERANCE`` and are then normalised in float64; two streams that share a prefix
may differ there by ``SAME_TOLERANCE`` times max(1, -log q). What a prediction can gain from the future
below that is no more than 1e-5 times max(1, its loss).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer

from analysis.comparison.array_files import Stored, open_arrays
from analysis.comparison.chunks import chunk_rows
from analysis.comparison.compare import Comparison, score
from analysis.comparison.scores import Rows
from analysis.comparison.streams_file import StreamsFile
from autoregressive.errors import DataError
from autoregressive.scores import kl, log_softmax
from meta_learning.processes import Process, Streams

log = logging.getLogger(__name__)

SUM_TOLERANCE = 1e-5
SAME_TOLERANCE = 1e-5
# exp(-60) is 1e-26: below it log-probabilities may differ by anything.
_FLOOR = -60.0
# Streams on which rows are compared with their neighbours.
_LAG_STREAMS = 500


@runtime_checkable
class Asked(Protocol):
    """What was asked to be predicted: rows of ``symbols``, of which ``streams`` are scored and ``pairs``
    show looking ahead. A streams file, or one of another kind."""

    @property
    def process(self) -> Process: ...
    @property
    def symbols(self) -> Integer[np.ndarray, "rows length"]: ...
    @property
    def pairs(self) -> Integer[np.ndarray, "pairs 3"]: ...
    @property
    def streams(self) -> int: ...
    @property
    def length(self) -> int: ...


def read_predictions(
    path: Path,
    streams: Asked,
    check: Callable[[Float[np.ndarray, "rows length outcomes"]], None] = lambda log_q: None,
) -> Float[np.ndarray, "{streams.symbols.shape[0]} {streams.length} outcomes"]:
    """The log-probabilities (rows, L, K+1) of a predictions file, as they are stored.

    Errors: DataError, one line, where an array is missing or of another shape or type, where symbols
    are not those of ``streams``, and as for ``check_rows``, ``check`` and ``check_no_look_ahead``.
    """
    with open_arrays(path) as (stored, _):
        missing = [name for name in ("symbols", "log_probabilities") if name not in stored]
        if missing:
            raise DataError(
                f"{path} has no {' and no '.join(missing)}: a predictions file holds symbols and "
                f"log_probabilities; it has {', '.join(sorted(stored)) or 'no array'}"
            )
        _check_shapes(path, stored, streams)
        symbols = stored["symbols"].read()
        _check_symbols(path, symbols, streams)
        log_q = stored["log_probabilities"].read()
    try:
        check_rows(log_q)
        check(log_q)
        check_no_look_ahead(log_q, streams)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return log_q


def check_rows(log_q: Float[np.ndarray, "rows length outcomes"]) -> None:
    """Errors: DataError unless every row (streams, L, K+1) is the logarithm of probabilities that sum
    to 1 within ``SUM_TOLERANCE``; -inf stands for probability 0."""
    for start, rows in _parts(log_q):
        bad = np.isnan(rows).any(-1)
        if bad.any():
            row, place = np.argwhere(bad)[0]
            raise DataError(f"log_probabilities are NaN in row {start + row} at place {place}")
        with np.errstate(over="ignore"):
            total = np.exp(rows).sum(-1)
        bad = ~(np.abs(total - 1) <= SUM_TOLERANCE)
        if bad.any():
            row, place = np.argwhere(bad)[0]
            raise DataError(
                f"the probabilities of row {start + row} at place {place} sum to "
                f"{total[row, place]:.7g}, not to 1 within {SUM_TOLERANCE:g}; expected natural "
                "logarithms of probabilities, such as log_softmax gives"
            )


def apart(
    one: Float[np.ndarray, "*places outcomes"], other: Float[np.ndarray, "*places outcomes"]
) -> tuple[Float64[np.ndarray, "*places outcomes"], Bool[np.ndarray, "*places outcomes"]]:
    """How far log-probabilities are apart, and where that is more than rounding."""
    one, other = (np.maximum(np.asarray(rows, np.float64), _FLOOR) for rows in (one, other))
    difference = np.abs(one - other)
    return difference, difference > SAME_TOLERANCE * np.maximum(1.0, -np.maximum(one, other))


def check_no_look_ahead(log_q: Float[np.ndarray, "rows length outcomes"], streams: Asked) -> None:
    """Errors: DataError where two streams with the same x_<t have other rows t (rows, L, K+1)."""
    worst, where, at_once = 0.0, (0, 0, 0, 0), True
    for first, second, shared in streams.pairs:
        difference, over = apart(log_q[first, : shared + 1], log_q[second, : shared + 1])
        if over.any():
            at_once &= not over[:-1].any()
            if difference[over].max() > worst:
                worst = float(difference[over].max())
                place = int(np.argwhere((difference == worst) & over)[0, 0])
                where = (int(first), int(second), int(shared), place)
    if not worst:
        return
    first, second, shared, place = where
    cause = (
        "these rows seem to be one place early: row t must not have seen x_t"
        if at_once
        else "they look ahead, are of other streams, or are random (dropout must be off)"
    )
    raise DataError(
        f"rows {first} and {second} have the same {shared} first symbols, so that their predictions "
        f"for place {place} should be equal, but log-probabilities differ by {worst:.2g}; {cause}"
    )


def lags(log_q: Float[np.ndarray, "rows length outcomes"], streams: StreamsFile) -> bool:
    """Whether rows seem to be one place late: row t + 1 nearer to Bayes at place t than row t is.

    Nearer: less than half of the mean KL from Bayes, over all places, RESET included. A row that has
    seen x_t loses against Bayes, which has not, unless rows are late.
    """
    few = streams.symbols[: min(streams.streams, _LAG_STREAMS)]
    if few.shape[1] < 2:
        return False
    bayes = streams.process.log_predictive(few)[:, :-1]
    rows = np.maximum(log_softmax(log_q[: len(few)]), _FLOOR)
    as_given, late = kl(bayes, rows[:, :-1]).mean(), kl(bayes, rows[:, 1:]).mean()
    return bool(late < as_given / 2)


def compare_predictions(
    streams: StreamsFile,
    log_q: Float[np.ndarray, "rows length outcomes"],
    prior: Process | None = None,
    settings: Mapping[str, str] | None = None,
) -> Comparison:
    """Scores rows (rows, L, K+1) as a network's: reference ladder, gaps and all.

    prior: what 'bayes' and 'memoryless' believe in; by default the process that made the streams.
    settings: how the rows came to be, for reports; the streams' seed is added.
    Rows are normalised in float64. Warns in the log where they seem to be one place late.
    """
    if lags(log_q, streams):
        log.warning(
            "the rows seem to be one place late: row t + 1 is much nearer to Bayes at place t than "
            "row t is; row t should be log p(x_t | x_<t), row 0 before any symbol"
        )
    symbols, latent = streams.test_streams()
    size = chunk_rows(streams.streams, streams.length)

    def chunks() -> Iterator[tuple[Streams, list[Rows]]]:
        for start in range(0, streams.streams, size):
            here = slice(start, min(start + size, streams.streams))
            yield Streams(symbols[here], latent[here]), [log_softmax(log_q[here])]

    comparison = score(prior or streams.process, streams.process, chunks(), length=streams.length)
    comparison.subject = "model"
    comparison.settings = {**(settings or {}), "streams_seed": streams.seed}
    return comparison


def _check_shapes(path: Path, stored: dict[str, Stored], streams: Asked) -> None:
    rows, outcomes = streams.symbols.shape, streams.process.num_symbols + 1
    wanted = {"symbols": (rows, "iu"), "log_probabilities": ((*rows, outcomes), "f")}
    for name, (shape, kinds) in wanted.items():
        array = stored[name]
        if tuple(array.shape) != shape:
            raise DataError(
                f"{path}: {name} has the shape {shape_in_words(array.shape)}; the streams file needs "
                f"{shape_in_words(shape)}{_advice(tuple(array.shape), shape, streams)}"
            )
        if array.dtype.kind not in kinds:
            raise DataError(
                f"{path}: {name} is of type {array.dtype}; expected "
                f"{'whole numbers' if kinds == 'iu' else 'float32 or float64'}"
            )
        if kinds == "f" and array.dtype.itemsize < 4:
            raise DataError(
                f"{path}: {name} is of type {array.dtype}, too coarse to compare with Bayes; "
                "save float32 or float64"
            )


def _advice(shape: tuple[int, ...], wanted: tuple[int, ...], streams: Asked) -> str:
    """What may have gone wrong where an array has another shape."""
    if len(shape) != len(wanted):
        return ""
    if shape[0] == streams.streams and shape[1] == wanted[1] and len(streams.pairs):
        return f": predict on all its rows, the last {len(streams.pairs)} too"
    if shape[1] == wanted[1] - 1:
        return ": row 0 is the prediction before any symbol"
    if len(shape) == 3 and shape[2] == wanted[2] - 1:
        return ": the last outcome is RESET, -inf where there is none"
    return ": are these predictions of other streams?"


def _check_symbols(path: Path, symbols: Integer[np.ndarray, "rows length"], streams: Asked) -> None:
    wrong = symbols != streams.symbols
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        raise DataError(
            f"{path}: its symbols are not those of the streams file: {wrong.any(1).sum():,} of "
            f"{len(symbols):,} rows differ, first row {row} at place {place} "
            f"({symbols[row, place]}, expected {streams.symbols[row, place]})"
        )


def shape_in_words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _parts(log_q: Float[np.ndarray, "rows length outcomes"]) -> Iterator[tuple[int, Rows]]:
    """Some rows at a time in float64, with the number of the first."""
    size = chunk_rows(len(log_q), log_q.shape[1])
    for start in range(0, len(log_q), size):
        yield start, np.asarray(log_q[start : start + size], np.float64)
