"""Cells by name, one architecture a file. A new one joins by its line in CELLS."""

from __future__ import annotations

from autoregressive.cells.base import Cell
from autoregressive.cells.gru import GRU
from autoregressive.cells.lru import LRU
from autoregressive.cells.lstm import LSTM
from autoregressive.cells.mamba import Mamba
from autoregressive.cells.mingru import MinGRU
from autoregressive.cells.transformer import RotaryTransformer, Transformer, UnplacedTransformer

__all__ = [
    "CELLS",
    "GRU",
    "LRU",
    "LSTM",
    "RECURRENT",
    "Cell",
    "Mamba",
    "MinGRU",
    "RotaryTransformer",
    "Transformer",
    "UnplacedTransformer",
]

RECURRENT: dict[str, type[Cell]] = {"lstm": LSTM, "gru": GRU}
CELLS: dict[str, type[Cell]] = {
    **RECURRENT,
    "mingru": MinGRU,
    "lru": LRU,
    "mamba": Mamba,
    "transformer": Transformer,
    "transformer-rotary": RotaryTransformer,
    "transformer-unplaced": UnplacedTransformer,
}
