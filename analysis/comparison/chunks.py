"""Test streams, some at a time: how many are drawn together, and how many scored."""

from __future__ import annotations

import math
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from analysis.comparison.scores import Rows
from meta_learning.processes import Process, Streams

# Symbols drawn and scored at a time, and numbers of one block.
_CHUNK_SYMBOLS = 250_000
_BLOCK_NUMBERS = 2**17


def drawn_chunks(
    source: Process, key: PRNGKeyArray, streams: int, length: int
) -> Iterator[Streams]:
    """``streams`` streams of ``source`` as NumPy arrays, some at a time; those of ``compare``."""
    per_chunk = chunk_rows(streams, length)
    starts = range(0, streams, per_chunk)
    # Every chunk is drawn whole, so that one compiled program serves all; JAX draws the next one
    # while the caller scores this one.
    drawn = (
        source.sample_with_latent(jax.random.fold_in(key, index), per_chunk, length)
        for index in range(len(starts))
    )
    ahead = next(drawn)
    for start in starts:
        now, ahead = ahead, next(drawn, ahead)
        keep = min(per_chunk, streams - start)
        yield Streams(*(np.asarray(a)[:keep] for a in now))


def chunk_rows(streams: int, length: int) -> int:
    """How many streams are drawn and scored at a time."""
    return min(streams, max(1, _CHUNK_SYMBOLS // length))


def cache_blocks(rows: Rows) -> list[slice]:
    """Streams of a chunk by so many that their numbers stay in a processor's cache: NumPy's temporaries
    then cost no new pages, which is most of the time otherwise."""
    streams = max(1, _BLOCK_NUMBERS // max(1, math.prod(rows.shape[1:])))
    return [slice(start, start + streams) for start in range(0, len(rows), streams)]
