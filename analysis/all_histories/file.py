"""All histories of a task in one file, for predictors of any kind made anywhere.

``symbols`` (N + M, D): a row for every history of D - 1 draws that the process can make, in the order of
their symbols, each with one more symbol that can come; row t of a prediction is given x_<t, so that the
first rows of each prefix hold what is said after every shorter history, too. Then M rows that repeat
some of them up to the last symbol, which is another: they show a prediction that has seen it.
``pairs`` (M, 3) names them, as in a streams file.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Integer

from analysis.comparison.array_files import (
    Labelled,
    check_signature,
    open_arrays,
    sign,
    write_arrays,
)
from analysis.comparison.streams_file import MOST_PAIRS
from analysis.report.report import Document
from autoregressive.errors import DataError, counted
from autoregressive.versions import package_version
from meta_learning.processes import Process, process_kind

FORMAT, KIND = 1, "all-histories"
# Numbers in the predictions of a file: 400 MB in float32.
MOST_NUMBERS = 10**8
# Where T is infinite and nothing is said: the most draws, and the most numbers.
MOST_DRAWS, MOST_BY_DEFAULT = 20, 10**7


@dataclass(frozen=True, eq=False)
class HistoriesFile:
    """What a file of all histories holds.

    symbols: int32 (N + M, D). pairs: int32 (M, 3), as in ``streams_file``.
    """

    process: Process
    symbols: Integer[np.ndarray, "rows draws"]
    pairs: Integer[np.ndarray, "pairs 3"]

    @property
    def rows(self) -> int:
        """N, the histories of D - 1 draws."""
        return len(self.symbols) - len(self.pairs)

    @property
    def streams(self) -> int:
        """The rows that are scored, as a streams file calls them."""
        return self.rows

    @property
    def length(self) -> int:
        """D, the draws whose predictions are looked at."""
        return self.symbols.shape[1]

    @property
    def prefixes(self) -> Bool[np.ndarray, "{self.rows} {self.length}"]:
        """Whether a row is the first with its first t symbols: one place for every history."""
        symbols = self.symbols[: self.rows, :-1]
        other = np.ones((self.rows, self.length), bool)
        other[1:, 0] = False
        other[1:, 1:] = np.logical_or.accumulate(symbols[1:] != symbols[:-1], axis=1)
        return other

    def settings(self) -> Document:
        """As JSON values; T is null where there is no RESET."""
        return {
            "format": FORMAT,
            "kind": KIND,
            "meta-learn": package_version(),
            "process": {"name": self.process.name, **self.process.settings()},
            "num_symbols": self.process.num_symbols,
            "rows": self.rows,
            "length": self.length,
        }


def numbers(process: Process, draws: int) -> float:
    """How many a prediction has, at most: inf where they are too many to be told."""
    K = process.num_symbols
    if draws * math.log(K) > 200:
        return math.inf
    return float(K ** (draws - 1) * draws * (K + 1))


def draws_of(process: Process, draws: int | None) -> int:
    """D: what is asked for, T - 1, or where T is infinite the most that are few enough.

    Errors: ValueError, one line, where tasks have no draw, ``draws`` is not what T says, or there are
    too many histories.
    """
    T, most = process.task_length, MOST_BY_DEFAULT
    if math.isinf(T) and draws is None:
        return max(n for n in range(1, MOST_DRAWS + 1) if n == 1 or numbers(process, n) <= most)
    if not math.isinf(T):
        if draws not in (None, int(T) - 1):
            raise ValueError(
                f"a task of length T={int(T)} has {int(T) - 1} draws; got {draws}: leave it out, or "
                "ask for another T"
            )
        draws = int(T) - 1
    assert draws is not None
    if draws < 1:
        raise ValueError("all histories need a drawn symbol: T must be 2 or more")
    if numbers(process, draws) > MOST_NUMBERS:
        K = process.num_symbols
        fits = max(n for n in range(1, 200) if n == 1 or numbers(process, n) <= MOST_NUMBERS)
        ask = f"fewer --draws, at most {fits}" if math.isinf(T) else f"T of at most {fits + 1}"
        raise ValueError(
            f"K={K} with {draws} draws has about 1e{(draws - 1) * math.log10(K):.0f} histories, and "
            f"predictions of more than {MOST_NUMBERS:.0e} numbers; ask for {ask}, or without "
            "--all-histories for sampled streams"
        )
    return draws


def all_histories(process: Process, draws: int | None = None) -> HistoriesFile:
    """Every history of a task of ``process``. Errors: as ``draws_of``."""
    D, K = draws_of(process, draws), process.num_symbols
    whole = np.indices((K,) * (D - 1)).reshape(D - 1, K ** (D - 1)).T
    whole = np.concatenate([whole, np.zeros((len(whole), 1), int)], axis=1).astype(np.int32)
    log_b = process.log_predictive_along(whole)
    symbols, last = _possible(whole, log_b)
    pairs = np.zeros((0, 3), np.int32)
    # Another last symbol, where one can come.
    last = last.copy()
    last[np.arange(len(last)), symbols[:, -1]] = -np.inf
    able = np.flatnonzero(~np.isneginf(last.max(-1)))
    first = able[np.linspace(0, len(able) - 1, min(MOST_PAIRS, len(able))).round().astype(int)]
    other = symbols[first]
    other[:, -1] = last[first].argmax(-1)
    second = len(symbols) + np.arange(len(first))
    pairs = np.stack([first, second, np.full(len(first), D - 1)], axis=-1).astype(np.int32)
    return HistoriesFile(process, np.concatenate([symbols, other]), pairs)


def _possible(
    whole: Integer[np.ndarray, "rows draws"], log_b: Float64[np.ndarray, "rows draws symbols"]
) -> tuple[Integer[np.ndarray, "some draws"], Float64[np.ndarray, "some symbols"]]:
    """The rows that can be made, with the most probable last symbol, and log p of that symbol."""
    drawn = np.take_along_axis(log_b[:, :-1], whole[:, :-1, None].astype(np.int64), -1)
    # After what cannot come a machine may say anything, NaN too.
    fine = np.isfinite(drawn[..., 0]).all(-1)
    symbols, last = whole[fine], log_b[fine, -1]
    symbols[:, -1] = last.argmax(-1)
    return symbols, last


def write_histories(path: Path, histories: HistoriesFile) -> None:
    """Writes the file, NPZ or netCDF 4 by its suffix. Errors: DataError, OSError."""
    arrays, settings = _arrays(histories), histories.settings()
    dims = {"symbols": ("row", "place"), "pairs": ("pair", "part")}
    labelled = {name: Labelled(dims[name], values) for name, values in arrays.items()}
    write_arrays(path, labelled, sign(arrays, settings))


def read_histories(path: Path) -> HistoriesFile | None:
    """What ``write_histories`` wrote; None where the file is none of all histories.

    Errors: DataError, one line, for a file that is damaged.
    """
    with open_arrays(path) as (stored, text):
        settings = _settings(text)
        if settings.get("kind") != KIND:
            return None
        if not {"symbols", "pairs"} <= stored.keys():
            raise DataError(f"{path} is damaged: it has no symbols or no pairs")
        if math.prod(map(float, stored["symbols"].shape)) > MOST_NUMBERS:
            raise DataError(f"{path} holds more histories than meta-learn streams writes")
        arrays = {name: stored[name].read() for name in ("symbols", "pairs")}
    digest = settings.pop("digest", None)
    check_signature(path, arrays, settings, digest)
    try:
        if settings["format"] != FORMAT:
            raise ValueError(f"format {settings['format']!r}, expected {FORMAT}")
        described = dict(settings["process"])
        process = process_kind(described.pop("name")).from_settings(described)
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path}: the settings are not those of all histories: {reason}") from None
    return HistoriesFile(process, arrays["symbols"].astype(np.int32), arrays["pairs"])


def document(histories: HistoriesFile, path: Path) -> Document:
    """What was written to ``path``, as JSON values."""
    about = {"file": str(path), "outcomes": histories.process.num_symbols + 1}
    return histories.settings() | about | {"rows": len(histories.symbols)}


def limits(process: Process, draws: int) -> str:
    """What predictions of all histories take at most, in one line."""
    K = process.num_symbols
    histories, rows = sum(K**n for n in range(draws)), K ** (draws - 1)
    rows += min(MOST_PAIRS, rows)  # those that show looking ahead are predicted, too
    return (
        f"{process.title}: at most {_histories(histories, draws - 1)}; predictions take up to "
        f"{_size(4 * rows * draws * (K + 1))} in float32"
    )


def next_step(histories: HistoriesFile, path: Path) -> str:
    """What was written to ``path``, and what to do with it, in two lines."""
    rows, length = histories.symbols.shape
    K, pairs = histories.process.num_symbols, len(histories.pairs)
    show = "shows" if pairs == 1 else "show"
    whole = _histories(int(histories.prefixes.sum()), length - 1)
    return (
        f"{path}: {whole if length == 1 else f'all {whole}'} of {histories.process.title}, in "
        f"{counted(histories.rows, 'row')}, and {counted(pairs, 'row')} that {show} looking ahead.\n"
        f"Predict {'the row' if rows == 1 else f'all {rows:,} rows'}: log_probabilities "
        f"{(rows, length, K + 1)}, row t given x_<t from a RESET on, outcome {K} is RESET. Then: "
        f"meta-learn compare --predictions FILE --streams-file {path}"
    )


def _histories(count: int, longest: int) -> str:
    """ "40 histories of up to 3 draws"; before the first draw there is one."""
    if longest == 0:
        return "1 history, that of no draw"
    return f"{counted(count, 'history', 'histories')} of up to {counted(longest, 'draw')}"


def _size(count: int) -> str:
    """Bytes, in MB from 0.1 MB on."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else counted(count, "byte")


def _settings(text: str | None) -> Document:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _arrays(histories: HistoriesFile) -> dict[str, np.ndarray]:
    small = np.uint8 if histories.process.num_symbols < 256 else np.int32
    return {"symbols": histories.symbols.astype(small), "pairs": histories.pairs}
