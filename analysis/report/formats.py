"""Numbers as tables and sentences show them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from analysis.report.report import Json


def finite(value: float) -> float | None:
    """A JSON number, or None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def said(value: float, form: Callable[[float | None, str], str]) -> str:
    """A number that may be infinite in words, or NaN for what does not exist: "infinite", "-"."""
    words = {math.inf: "infinite", -math.inf: "-infinite"}
    return form(finite(value), words.get(value, "-"))


def nats(value: float | None, missing: str = "-") -> str:
    """A number of nats for a table: fixed point, or scientific where that would lose it. missing: what
    stands for None, "infinite" where it is that."""
    if value is None:
        return missing
    if value == 0:
        return "0"
    return f"{value:.5f}" if 0.001 <= abs(value) < 1e6 else f"{value:.2e}"


def interval(ci95: Sequence[float | None], form: Callable[[float | None], str] = nats) -> str:
    """An interval for a table."""
    return "" if ci95[0] is None else f"[{form(ci95[0])}, {form(ci95[1])}]"


def network_name(settings: Mapping[str, Json]) -> str:
    """ "LSTM-32"."""
    return f"{settings['cell'].upper()}-{settings['hidden']}"


def dirichlet_name(alpha: Sequence[float]) -> str:
    """ "Dirichlet(10, 1, 1)"."""
    return f"Dirichlet({', '.join(f'{a:g}' for a in alpha)})"


def percent(value: float | None, missing: str = "-") -> str:
    """A share for a table. missing: what stands for None."""
    if value is None:
        return missing
    return f"{100 * value:.3f}%" if abs(value) < 1e4 else f"{100 * value:.2e}%"
