"""Cells by name, one architecture a file. A new one joins by its line in CELLS."""

from __future__ import annotations

from autoregressive.cells.base import Cell
from autoregressive.cells.gru import GRU
from autoregressive.cells.lstm import LSTM
from autoregressive.cells.transformer import Transformer

__all__ = ["CELLS", "GRU", "LSTM", "RECURRENT", "Cell", "Transformer"]

RECURRENT: dict[str, type[Cell]] = {"lstm": LSTM, "gru": GRU}
CELLS: dict[str, type[Cell]] = {**RECURRENT, "transformer": Transformer}
