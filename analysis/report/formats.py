"""Numbers as tables and sentences show them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def nats(value: float | None) -> str:
    """A number of nats for a table: fixed point, or scientific where that would lose it."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    return f"{value:.5f}" if abs(value) >= 0.001 else f"{value:.2e}"


def interval(ci95: Any, form: Callable[[float | None], str] = nats) -> str:
    """An interval for a table."""
    return "" if ci95[0] is None else f"[{form(ci95[0])}, {form(ci95[1])}]"


def percent(value: float | None) -> str:
    """A share for a table."""
    return "-" if value is None else f"{100 * value:.3f}%"
