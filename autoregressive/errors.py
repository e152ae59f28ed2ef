"""What a user can mend: one exception, one line."""

from __future__ import annotations


class DataError(ValueError):
    """Data that is missing, broken or asked for wrongly.

    The message is one line: what was expected, what came, what to try.
    """
