"""Test streams in one file, for predictors of any kind made anywhere.

``symbols`` (N + M, L): N test streams, then M rows that are there to notice looking ahead. Row N + i
shares its first ``pairs[i, 2]`` symbols with row ``pairs[i, 0]`` and differs at the next place. Row t of
a prediction is given x_<t, so rows 0 to ``pairs[i, 2]``, inclusive, must be the same for both. Every
pair is a stream that the process can make. ``latent``: what the oracle knows, of the N streams alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Integer, PRNGKeyArray, Shaped

from analysis.comparison.array_files import (
    Labelled,
    Stored,
    check_signature,
    open_arrays,
    sign,
    write_arrays,
)
from analysis.comparison.chunks import chunk_rows, drawn_chunks
from analysis.report.report import Document
from autoregressive.errors import DataError
from autoregressive.versions import package_version
from meta_learning.learner import PAIRS, TEST
from meta_learning.processes import Machine, Process, Streams, drawn_places, process_kind
from meta_learning.processes.places import stream_length

FORMAT = 1
# Pairs differ first at as many places: at every drawn one of streams of about 100 symbols.
MOST_PAIRS = 128
_MOST_BYTES = 2**34


@dataclass(frozen=True, eq=False)
class StreamsFile:
    """What a streams file holds.

    symbols: int32 (N + M, L), RESET = K. latent: (N, ...), as the process samples it. pairs: int32
    (M, 3): first row, second row, how many symbols they share. seed: what they were drawn with.
    """

    process: Process
    symbols: Integer[np.ndarray, "rows length"]
    latent: Shaped[np.ndarray, "streams ..."]
    pairs: Integer[np.ndarray, "pairs 3"]
    seed: int

    @property
    def streams(self) -> int:
        """N, the streams that are scored."""
        return len(self.latent)

    @property
    def length(self) -> int:
        """L, the places of a stream."""
        return self.symbols.shape[1]

    def test_streams(self) -> Streams:
        """The test streams, without the rows of pairs."""
        return Streams(self.symbols[: self.streams], self.latent)

    def settings(self) -> Document:
        """As JSON values; T is null where there is no RESET. digest: SHA-256 of the arrays."""
        return {
            "format": FORMAT,
            "meta-learn": package_version(),
            "process": {"name": self.process.name, **self.process.settings()},
            "num_symbols": self.process.num_symbols,
            "seed": self.seed,
            "streams": self.streams,
            "length": self.length,
        }


def draw_streams(process: Process, streams: int, seed: int) -> StreamsFile:
    """The test streams of ``meta-learn compare`` with this seed, and pairs of streams.

    Errors: ValueError for fewer than two streams.
    """
    if streams < 2:
        raise ValueError(f"an interval needs 2 or more test streams; got {streams}")
    root = jax.random.key(seed)
    length = stream_length(process.task_length)
    chunks = list(drawn_chunks(process, jax.random.fold_in(root, TEST), streams, length))
    symbols = np.concatenate([chunk.symbols for chunk in chunks])
    latent = np.concatenate([chunk.latent for chunk in chunks])
    first, second, shared = _pairs(process, symbols, jax.random.fold_in(root, PAIRS))
    pairs = np.stack([first, streams + np.arange(len(first)), shared], axis=-1).astype(np.int32)
    return StreamsFile(process, np.concatenate([symbols, second]), latent, pairs, seed)


def _pairs(
    process: Process, symbols: Integer[np.ndarray, "streams length"], key: PRNGKeyArray
) -> tuple[
    Integer[np.ndarray, " pairs"],
    Integer[np.ndarray, "pairs length"],
    Integer[np.ndarray, " pairs"],
]:
    """Rows of ``symbols`` (M,), other streams (M, L), and how many symbols they share (M,).

    The other stream has at the next place the symbol that is, of all others, the most probable there,
    and goes on as another draw of the process, but for symbols that cannot come after those before
    them. Where no other symbol can come there is no pair.
    """
    length = symbols.shape[1]
    places = np.flatnonzero(drawn_places(length, process.task_length))
    spread = np.linspace(0, len(places) - 1, min(MOST_PAIRS, len(places))).round().astype(int)
    shared = places[spread]
    first = np.arange(len(shared)) % len(symbols)
    here = np.arange(len(shared))
    if not len(shared):
        return first, symbols[:0], shared
    begun = symbols[first]
    log_p = process.log_predictive(begun)[here, shared, :]
    log_p[here, begun[here, shared]] = -np.inf
    # As many are drawn as in a chunk of test streams: one compiled program serves both.
    drawn = np.asarray(process.sample(key, chunk_rows(len(symbols), length), length))
    second = drawn[here % len(drawn)]
    before = np.arange(length) < shared[:, None]
    second[before] = begun[before]
    second[here, shared] = log_p.argmax(-1)
    possible = np.isfinite(log_p.max(-1))
    second[~possible] = begun[~possible]
    while True:
        # Of another task, the draw may not be able to follow: the most probable symbol can.
        rows = Machine.log_predictive(process, second)
        cannot = np.isneginf(np.take_along_axis(rows, second[..., None], -1)[..., 0])
        stuck = np.flatnonzero(cannot.any(-1))
        if not stuck.size:
            break
        place = cannot[stuck].argmax(-1)
        second[stuck, place] = rows[stuck, place].argmax(-1)
    return first[possible], second[possible], shared[possible]


def write_streams(path: Path, streams: StreamsFile) -> None:
    """Writes a streams file, NPZ or netCDF 4 by its suffix. Errors: DataError, OSError."""
    arrays = _arrays(streams)
    settings = streams.settings()
    axes = ("stream", *(f"latent_{n}" for n in range(1, streams.latent.ndim)))
    dims = {"symbols": ("row", "place"), "latent": axes, "pairs": ("pair", "part")}
    labelled = {name: Labelled(dims[name], values) for name, values in arrays.items()}
    write_arrays(path, labelled, sign(arrays, settings))


def document(streams: StreamsFile, path: Path) -> Document:
    """What was written to ``path``: the JSON document of ``meta-learn streams --json``."""
    outcomes = streams.process.num_symbols + 1
    about = {"file": str(path), "rows": len(streams.symbols), "outcomes": outcomes}
    return streams.settings() | about


def next_step(streams: StreamsFile, path: Path) -> str:
    """What was written to ``path``, and what to do with it, in two lines."""
    (rows, length), process = streams.symbols.shape, streams.process
    shape = (rows, length, process.num_symbols + 1)
    return (
        f"{path}: {streams.streams:,} streams of {length} symbols of {process.title}, and "
        f"{rows - streams.streams} rows that show looking ahead.\n"
        f"Predict all {rows:,} rows: log_probabilities {shape}, row t given x_<t, outcome "
        f"{process.num_symbols} is RESET. Then: meta-learn compare --predictions FILE --streams-file "
        f"{path}"
    )


def read_streams(path: Path) -> StreamsFile:
    """What ``write_streams`` wrote. Errors: DataError, one line, for anything else."""
    with open_arrays(path) as (stored, text):
        # Files of all histories have no latent: it is missed where the rest is there.
        missing = [name for name in ("symbols", "pairs") if name not in stored]
        missing += ["settings"] if text is None else []
        if not missing and "latent" not in stored:
            missing = ["latent"]
        if missing or text is None:
            lacks = ", ".join(missing)
            raise DataError(
                f"{path} is not a streams file: it has no {lacks}; meta-learn streams writes one"
            )
        _check_sizes(path, stored)
        arrays = {name: stored[name].read() for name in ("symbols", "latent", "pairs")}
    try:
        settings = json.loads(text)
        digest = settings.pop("digest")
        if settings["format"] != FORMAT:
            raise ValueError(f"format {settings['format']!r}, expected {FORMAT}")
        described = dict(settings["process"])
        process = process_kind(described.pop("name")).from_settings(described)
        seed = int(settings["seed"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path}: the settings are not those of a streams file: {reason}") from None
    check_signature(path, arrays, settings, digest)
    return StreamsFile(
        process, arrays["symbols"].astype(np.int32), arrays["latent"], arrays["pairs"], seed
    )


def _check_sizes(path: Path, stored: dict[str, Stored]) -> None:
    """Errors: DataError unless shapes and types are such as ``write_streams`` writes."""
    symbols, latent, pairs = (stored[name] for name in ("symbols", "latent", "pairs"))
    fits = (
        len(symbols.shape) == 2
        and len(latent.shape) >= 1
        and len(pairs.shape) == 2
        and pairs.shape[1] == 3
        and 2 <= latent.shape[0] == symbols.shape[0] - pairs.shape[0]
        and symbols.dtype.kind in "iu"
        and pairs.dtype.kind in "iu"
        and latent.dtype.kind in "iuf"
    )
    size = sum(s.dtype.itemsize * int(np.prod(s.shape, dtype=float)) for s in (symbols, latent))
    if not fits or size > _MOST_BYTES:
        raise DataError(
            f"{path} is not a streams file: symbols {symbols.dtype} {symbols.shape}, latent "
            f"{latent.dtype} {latent.shape}, pairs {pairs.dtype} {pairs.shape}"
        )


def _arrays(streams: StreamsFile) -> dict[str, np.ndarray]:
    small = np.uint8 if streams.process.num_symbols < 256 else np.int32
    return {
        "symbols": streams.symbols.astype(small),
        "latent": streams.latent,
        "pairs": streams.pairs,
    }
